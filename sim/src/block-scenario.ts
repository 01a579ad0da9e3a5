import { activationTerms } from '@antirio/service-contract';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type EdgeName, type Fault, type NodeName, type Scenario } from './scenario.ts';
import { drawTwoProviders } from './two-providers.ts';

type Pairs = readonly (readonly [NodeName, NodeName])[];

const between = (a: NodeName, b: NodeName): Pairs => [
  [a, b],
  [b, a],
];

/** Who else is of the set. */
type Others = readonly [EdgeName, ...EdgeName[]];

/** The grantor is away from who acts, and for how long. */
interface Absence {
  readonly acting: EdgeName;
  readonly at: number;
  readonly forMs: number;
}

/** Who acts starts again, once or often, with the disk that it had or an older one; or keeps some of its promisers away. */
function drawInAbsence(dice: Dice, { acting, at, forMs }: Absence, others: Others): Fault[] {
  const faults: Fault[] = [];
  const within = (): { readonly at: number } => ({ at: at + dice.between(2500, forMs) });
  const other = dice.pick(others);
  for (let i = dice.below(4); i > 0; i--)
    faults.push({ when: within(), kind: 'kill', node: acting, forMs: dice.between(50, 1500) });
  for (let i = dice.below(3); i > 0; i--)
    faults.push({ when: within(), kind: 'kill', node: dice.pick(others), forMs: dice.between(50, 1500) });
  for (let i = dice.below(3); i > 0; i--)
    faults.push({
      when: within(),
      kind: 'cut',
      links: between(acting, other),
      forMs: dice.between(200, 3000),
    });
  if (dice.chance(0.3))
    faults.push({
      when: within(),
      kind: 'killBetweenWrites',
      node: other,
      steps: 1 + dice.below(40),
      forMs: 500,
    });
  return faults;
}

/** A disk is old when the grantor is back or a little before, while another party is there or silent. */
function drawOld(dice: Dice, { acting, at, forMs }: Absence, others: Others): Fault[] {
  const back = at + forMs;
  const when = { at: Math.max(9000, back + dice.between(-6000, 1500)) };
  const old: Fault = dice.chance(0.75)
    ? {
        ...{ when, kind: 'oldDisk', node: dice.chance(0.8) ? acting : dice.pick(others) },
        ...{ agoMs: dice.between(3000, 18_000), forMs: dice.between(200, 3000) },
      }
    : { when, kind: 'oldBackup', forMs: dice.between(50, 500) };
  if (dice.chance(0.5)) return [old];
  const silent = { at: when.at - dice.between(0, 800) };
  return [old, { when: silent, kind: 'kill', node: dice.pick(others), forMs: dice.between(6000, 12_000) }];
}

function drawAbsence(dice: Dice, acting: EdgeName, at: number): [Absence, Fault] {
  const forMs = dice.between(8000, 25_000);
  const when = { at };
  const fault: Fault = dice.chance(0.5)
    ? { when, kind: 'kill', node: 'central', forMs }
    : { when, kind: 'cut', links: between(acting, 'central'), forMs };
  return [{ acting, at, forMs }, fault];
}

/** The customer acts all along, or its provider serves while it is back and stands by. */
function drawFaults(dice: Dice, providers: Scenario['providers'], activeMs: number): Fault[] {
  const serves = dice.chance(0.3);
  const acting = serves ? 'B' : 'A';
  const faults: Fault[] = [];
  const at = serves ? dice.between(16_000, 20_000) : dice.between(4000, 9000);
  if (serves) {
    faults.push({ when: { at: 4000 }, kind: 'kill', node: 'A', forMs: dice.between(6000, 9000) });
    faults.push({ when: { at: 5000 }, kind: 'hold', node: 'A', forMs: activeMs - 6000 });
  }
  const others: Others = serves ? ['A', ...providers.filter((one) => one !== 'B')] : providers;
  const [absence, away] = drawAbsence(dice, acting, at);
  faults.push(away, ...drawInAbsence(dice, absence, others));
  if (dice.chance(0.7)) faults.push(...drawOld(dice, absence, others));
  return faults;
}

/** Who has just given its epoch up dies, and comes back with a disk from before while the grantor is away: it knows nothing of that. */
function drawLetGo(dice: Dice): Fault[] {
  const [node, enters] = dice.pick([
    ['A', 'yielded'],
    ['B', 'released'],
  ] as const);
  const gone: Fault =
    node === 'A'
      ? { when: { at: dice.between(7000, 11_000) }, kind: 'planned', forMs: 60_000 }
      : { when: { at: 4000 }, kind: 'kill', node: 'A', forMs: dice.between(3000, 6000) };
  const after = (least: number, most: number): Fault['when'] => ({
    ...{ node, enters },
    delayMs: dice.between(least, most),
  });
  return [
    gone,
    { when: after(20, 400), kind: 'kill', node: 'central', forMs: dice.between(6000, 14_000) },
    {
      ...{ when: after(200, 1200), kind: 'oldDisk', node },
      ...{ agoMs: dice.between(1000, 5000), forMs: dice.between(200, 3000) },
    },
  ];
}

/** The customer takes its epoch from a provider that sleeps, and its disk forgets that, while the grantor is away: then the provider wakes. */
function drawForgotten(dice: Dice): Fault[] {
  const taken = (least: number, most: number): Fault['when'] => ({
    ...{ node: 'A', enters: 'retaken' },
    delayMs: dice.between(least, most),
  });
  const back: Fault['when'] = { node: 'A', enters: 'recovering', delayMs: dice.between(0, 150) };
  return [
    { when: { at: 4000 }, kind: 'kill', node: 'A', forMs: dice.between(3000, 6000) },
    { when: back, kind: 'freeze', node: 'B', forMs: dice.between(3200, 5000) },
    { when: taken(50, 400), kind: 'kill', node: 'central', forMs: dice.between(6000, 14_000) },
    {
      ...{ when: taken(100, 600), kind: 'oldDisk', node: 'A' },
      ...{ agoMs: dice.between(1000, 3000), forMs: dice.between(200, 900) },
    },
  ];
}

/** What an old disk does not know of who has the epoch. */
const drawUnknowing = (dice: Dice): Fault[] => (dice.chance(0.6) ? drawLetGo(dice) : drawForgotten(dice));

/**
 * Worlds in which devices are sent so much that a block lasts for a second or two, and the grantor is away for many of them: what is
 * sent then stands on the promises of the others, whoever starts again and whichever disk comes back old.
 */
export function drawBlocks(seed: number): Scenario {
  const dice = rollDice(seed, 'blocks');
  const unknowing = rollDice(seed, 'unknowing');
  const scenario = dice.chance(0.35) ? drawTwoProviders(seed) : drawScenario(seed);
  const { healAt, providers, links } = scenario;
  const activation = activationTerms.parse({});
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation }),
    answers: 0.5,
    commandsEveryMs: dice.between(40, 150),
    links: { ...links, loss: links.loss / 3 },
    faults: unknowing.chance(0.2) ? drawUnknowing(unknowing) : drawFaults(dice, providers, healAt),
  };
}
