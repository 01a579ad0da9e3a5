import { endsFrom, mayExpire, type ContractRecord } from '@antirio/ledger-machine';
import { activationTerms, type ContractTerms } from '@antirio/service-contract';
import { EPOCH } from './host.ts';
import type { Payload, SimLedger } from './ledger.ts';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, TAKEOVER_SLA_MS, type Fault, type Scenario } from './scenario.ts';

/** What the ledger leaves for what happened at the end, and clocks that are wrong by some seconds. */
export const OVER_MS = TAKEOVER_SLA_MS + 60_000 + 10_000;

/** The customer is away when its contract's time is over: its provider serves it then, or may not begin any more. */
function drawAway(dice: Dice, expiresIn: number): Fault {
  const at = Math.max(3000, expiresIn + dice.between(-15_000, 6000));
  return { when: { at }, kind: dice.pick(['kill', 'freeze']), node: 'A', forMs: dice.between(3000, 40_000) };
}

/** Worlds in which the contract's time is over, whatever happens then. */
export function drawExpiring(seed: number): Scenario {
  const dice = rollDice(seed, 'expiring');
  const scenario = drawScenario(seed);
  const expiresIn = dice.between(15_000, 50_000);
  const healAt = Math.max(scenario.healAt, expiresIn + OVER_MS);
  const later = healAt - scenario.healAt;
  const { silenceAt, endAt, faults } = scenario;
  const isCalm = dice.chance(0.3);
  const activation = dice.chance(0.5) ? activationTerms.parse({}) : scenario.terms([]).activation;
  return {
    ...scenario,
    terms: (devices) => ({
      ...scenario.terms(devices),
      activation,
      expiresAt: EPOCH + Math.round(expiresIn),
    }),
    faults: [...(isCalm ? [] : faults), ...(dice.chance(0.6) ? [drawAway(dice, expiresIn)] : [])],
    ...{ healAt, silenceAt: silenceAt + later, endAt: endAt + later },
  };
}

/** With what the centre ends a contract whose time is over, of its own accord. */
export function expiryOf(ledger: SimLedger, terms: ContractTerms, now: number): Payload | undefined {
  const { contractId } = terms;
  if (now < endsFrom(terms)) return undefined;
  const isOver = mayExpire(ledger.read(`contract/${contractId}`) as ContractRecord);
  return isOver ? { type: 'contract/expire', contractId } : undefined;
}
