import type { ContractTerms } from '@antirio/service-contract';
import { identities } from './identities.ts';
import { rollDice, type Dice } from './random.ts';
import { drawOneOfTwo } from './without-grantor.ts';
import { drawScenario, type Fault, type NodeName, type ProviderName, type Scenario } from './scenario.ts';

type Cut = readonly (readonly [NodeName, NodeName])[];

/** The contract with a provider, the same but for who that is: one set, another slot. */
export function termsWith(terms: ContractTerms, provider: ProviderName): ContractTerms {
  if (provider === 'B') return terms;
  return {
    ...terms,
    contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be030',
    provider: identities.C.edgeId,
    slots: { ...terms.slots, provider: 2 },
    // beside one that only keeps frames another takes over
    confidentiality: 'process',
  };
}

const other = (name: NodeName): NodeName => (name === 'B' ? 'C' : name);

/** What separates the customer from one provider mostly separates it from both. */
function cutFromBoth(dice: Dice, links: Cut): Cut {
  const toB = links.filter((pair) => pair.includes('B'));
  return dice.chance(0.75)
    ? [...links, ...toB.map(([from, to]) => [other(from), other(to)] as const)]
    : links;
}

/** What befalls the only provider in a world with one befalls either of two. */
export function onEither(dice: Dice, fault: Fault): Fault {
  const { when } = fault;
  const either = (name: NodeName): NodeName => (dice.chance(0.4) ? other(name) : name);
  const moved = 'at' in when || when.node !== 'B' ? when : { ...when, node: dice.pick(['B', 'C'] as const) };
  if (fault.kind === 'cut') return { ...fault, when: moved, links: cutFromBoth(dice, fault.links) };
  if (!('node' in fault)) return { ...fault, when: moved };
  // a hold is an edge's, and either is one
  return { ...fault, when: moved, node: either(fault.node) } as Fault;
}

/** The customer is away for long, and who serves in its place fails as well. */
function drawSecondFailure(dice: Dice, at: number): Fault[] {
  const server = dice.pick(['B', 'C'] as const);
  const forMs = dice.between(6000, 25_000);
  const when = {
    node: server,
    enters: dice.pick(['active', 'active', 'reading', 'releasing', 'stating']),
    delayMs: dice.between(0, 6000),
  };
  const failing: Fault = dice.pick([
    { when, kind: 'kill', node: server, forMs },
    { when, kind: 'kill', node: server, forMs },
    { when, kind: 'freeze', node: server, forMs },
    {
      when,
      kind: 'cut',
      links: [
        [server, 'central'],
        ['central', server],
      ],
      forMs,
    },
  ]);
  return [{ when: { at }, kind: 'kill', node: 'A', forMs: dice.between(12_000, 40_000) }, failing];
}

/** A world in which the customer has two contracts over its one set, with B and with C. */
export function drawTwoProviders(seed: number): Scenario {
  const dice = rollDice(seed, 'two providers');
  const alone = drawScenario(seed);
  const faults = alone.faults.map((fault) => onEither(dice, fault));
  const more = dice.chance(0.6) ? drawSecondFailure(dice, dice.between(3000, alone.healAt * 0.4)) : [];
  return {
    ...alone,
    providers: ['B', 'C'],
    rates: { ...alone.rates, C: dice.pick([0.98, 1, 1.02]) },
    gatewayLoss: { ...alone.gatewayLoss, C: dice.between(0, 0.3) },
    faults: drawOneOfTwo(rollDice(seed, 'one of two'), alone.healAt, [...faults, ...more]),
  };
}
