import type { ContractRecord } from '@antirio/ledger-machine';
import { activationTerms } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { Engine } from './engine.ts';
import { identities } from './identities.ts';
import { FUNDS } from './ledger.ts';
import type { Pieces } from './pieces.ts';
import { rollDice, type Dice } from './random.ts';
import { rentOf } from './rent.ts';
import { drawScenario, type Fault, type Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** A provider that does not keep its word. */
export interface Faithless {
  /** From then on, true ms, it takes nothing over, though it is READY and hears. */
  readonly lazyFrom: number;
}

/** Long enough for the ledger to find out: a lease, the time to take over in the terms, and a look. */
const AWAY_MS = 50_000;

/** It takes the stakes, and leaves its customer alone; sometimes when it has served it once. */
function drawLazy(dice: Dice, scenario: Scenario): Scenario {
  const once = dice.chance(0.5);
  const lazyFrom = once ? dice.between(28_000, 32_000) : dice.between(8000, 12_000);
  const activation = activationTerms.parse({ takeovers: 3 });
  const first: Fault = { when: { at: 5000 }, kind: 'kill', node: 'A', forMs: 5000 };
  const away: Fault = { when: { at: lazyFrom }, kind: 'kill', node: 'A', forMs: AWAY_MS };
  const { silenceAt, endAt } = scenario;
  const healAt = lazyFrom + AWAY_MS + 2000;
  const later = healAt - scenario.healAt;
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation }),
    faults: once ? [first, away] : [away],
    faithless: { lazyFrom },
    ...{ healAt, silenceAt: silenceAt + later, endAt: endAt + later },
  };
}

/** Its operator wants to take over, and its customer lives. */
function drawGreedy(dice: Dice, scenario: Scenario): Scenario {
  const activation = activationTerms.parse({});
  const told = Array.from({ length: 6 }, (): Fault => ({
    when: { at: dice.between(3000, scenario.healAt) },
    kind: 'takeoverTold',
  }));
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation, opening: 'witnessed' }),
    links: { loss: 0, duplication: 0, latencyMs: 2, jitterMs: 2, resets: 0 },
    ledgerMs: Math.min(scenario.ledgerMs, 50),
    faults: [...scenario.faults.filter(({ when }) => 'at' in when && when.at > 20_000), ...told],
  };
}

/**
 * Nobody is faithless but an attacker: the customer nods off again and again, so that it is probed, and of its answers most are held back
 * until it is dead.
 */
function drawPlayedBack(dice: Dice, scenario: Scenario): Scenario {
  const naps = Array.from({ length: 32 }, (_, i): Fault => ({
    when: { at: 5000 + 1100 * i },
    kind: 'freeze',
    node: 'A',
    forMs: dice.between(520, 640),
  }));
  const at = 42_000;
  const later = 32_000;
  const activation = activationTerms.parse({ takeovers: 1000 });
  return {
    ...scenario,
    terms: (devices) => ({
      ...scenario.terms(devices),
      ...{ activation, opening: 'witnessed', leaseMs: 500, escrow: { threshold: 1, holders: [] } },
    }),
    links: { loss: 0, duplication: 0, latencyMs: 2, jitterMs: 2, resets: 0 },
    ledgerMs: 1,
    attack: {
      ...scenario.attack,
      ...{ kinds: ['probeReply'], heldBack: 0.6, patient: true, answersFrom: at },
    },
    faults: [...naps, { when: { at }, kind: 'kill', node: 'A', forMs: 28_000 }],
    healAt: at + 30_000,
    silenceAt: at + later + 19_000,
    endAt: at + later + 33_000,
  };
}

/** Worlds in which a provider leaves its customer alone, or wants its keys while it lives, or somebody plays a dead customer's answers back. */
export function drawFaithless(seed: number): Scenario {
  const dice = rollDice(seed, 'faithless');
  const scenario = drawScenario(seed);
  const kind = dice.below(4);
  if (kind === 0) return drawPlayedBack(dice, scenario);
  return kind === 1 ? drawGreedy(dice, scenario) : drawLazy(dice, scenario);
}

/** What a provider is made of that from then on begins nothing. */
export function lazyPieces(pieces: Pieces, engine: Engine, { lazyFrom }: Faithless): Pieces {
  return {
    ...pieces,
    providerStep: (state, event, context) =>
      pieces.providerStep(state, event, { ...context, mayBegin: () => engine.now < lazyFrom }),
  };
}

const contractOf = ({ ledger, terms }: World): ContractRecord =>
  ledger.read(`contract/${terms.contractId}`) as ContractRecord;

/** Whoever stood by and left its customer alone has lost its stake in the end; the answer checks it. */
export function watchLazy(world: World, judge: Judge, faithless: Faithless | undefined): () => void {
  let owes = false;
  let servedIn: number | undefined;
  if (faithless === undefined) return () => undefined;
  world.engine.at(faithless.lazyFrom - 1, () => {
    const isGuarded = world.A.rooms().party.phase().at === 'guarded' && world.A.rooms().party.mayAct();
    const { life, activation } = contractOf(world);
    owes = isGuarded && ['READY', 'READY_EXPOSED'].includes(life.state);
    servedIn = activation?.epoch;
  });
  return () => {
    const { life, activation } = contractOf(world);
    // what it had begun before goes on, where answers of the centre are lost for long: who serves in the end leaves nobody alone
    if (activation?.epoch !== servedIn) return;
    const { paid } = rentOf(world, world.terms);
    const customer = world.ledger.balance(identities.A) - FUNDS.A + paid;
    const provider = world.ledger.balance(identities.B) - FUNDS.B - paid;
    const isRuled = life.state === 'SETTLED' && life.row === 'providerBreach';
    if (owes && !(isRuled && customer === 100 && provider === -100))
      judge.broken('unpunished', `B left A alone: ${life.state}, A has got ${customer} and B ${provider}`);
  };
}
