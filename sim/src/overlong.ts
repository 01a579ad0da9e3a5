import type { ContractRecord } from '@antirio/ledger-machine';
import { activationTerms, activeUntil } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { Pieces } from './pieces.ts';
import type { Emission } from './radio.ts';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type Fault, type Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** A world in which the customer stays away for longer than its provider may serve. */
export interface Overlong {
  /** The provider knows of no limit: only the grantor and its customer keep it. */
  readonly ignores: boolean;
}

/** The least that terms may give. */
const MAX_ACTIVE_S = 60;
/** For so long at least the customer is away, or does not want its service back. */
const AWAY_MS = 92_000;

/** It is dead all the while, amid everything else. */
function drawDead(at: number, { faults }: Scenario): readonly Fault[] {
  // the limit is by the ledger's time: here it does not jump
  const others = faults.filter((one) => one.kind !== 'wallJump' || one.node !== 'central');
  return [{ when: { at }, kind: 'kill', node: 'A', forMs: AWAY_MS }, ...others];
}

/** It is back soon, and its operator holds it: its provider serves on, and often by its promises alone. */
function drawHeld(dice: Dice, at: number): readonly Fault[] {
  const forMs = AWAY_MS;
  const held: Fault[] = [
    { when: { at }, kind: 'kill', node: 'A', forMs: dice.between(4000, 6000) },
    { when: { at: at - 500 }, kind: 'hold', node: 'A', forMs },
  ];
  if (dice.chance(0.4)) return held;
  const when = { node: 'B', enters: 'active', delayMs: dice.between(500, 4000) } as const;
  const links = [
    ['B', 'central'],
    ['central', 'B'],
  ] as const;
  return [...held, { when, kind: 'cut', links, forMs }];
}

export function drawOverlong(seed: number): Scenario {
  const dice = rollDice(seed, 'overlong');
  const scenario = drawScenario(seed);
  const activation = activationTerms.parse({});
  const at = dice.between(6000, 9000);
  const faults = dice.chance(0.4) ? drawDead(at, scenario) : drawHeld(dice, at);
  const healAt = Math.max(scenario.healAt, at + AWAY_MS);
  const later = healAt - scenario.healAt;
  const { silenceAt, endAt } = scenario;
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation, maxActiveS: MAX_ACTIVE_S }),
    faults,
    overlong: { ignores: dice.chance(0.6) },
    ...{ healAt, silenceAt: silenceAt + later, endAt: endAt + later },
  };
}

const NO_LIMIT_S = 1_000_000_000;

/** What a provider is made of that knows of no limit. */
export function limitless(pieces: Pieces): Pieces {
  return {
    ...pieces,
    providerStep(state, event, context) {
      const { terms } = state;
      const [next, effects] = pieces.providerStep(
        { ...state, terms: { ...terms, maxActiveS: NO_LIMIT_S } },
        event,
        context,
      );
      return [{ ...next, terms }, effects];
    },
  };
}

/** What may be on its way when the limit comes: a frame that left the fence for its time on air, and what answers a request of before. */
const ON_ITS_WAY_MS = 3300;

/** Nobody is on air under an activation that has lasted for as long as it may: with the last lease, and by clocks that differ. */
export function watchLimit({ hosts, ledger, terms, contracts }: World, judge: Judge) {
  const { leaseMs, maxActiveS } = terms;
  const slackMs = 1.05 * leaseMs + ON_ITS_WAY_MS + 0.05 * maxActiveS * 1000;
  return ({ edge, epoch }: Emission): void => {
    const served = contracts.find(({ name }) => name === edge);
    if (served === undefined) return;
    const { activation } = ledger.read(`contract/${served.terms.contractId}`) as ContractRecord;
    if (activation?.epoch !== epoch) return;
    const overMs = hosts.central.clock.wall() - activeUntil(activation, terms);
    if (overMs > slackMs)
      judge.broken(
        'overlong',
        `${edge} is on air ${Math.round(overMs)} ms after the ${maxActiveS} s of the terms`,
      );
  };
}
