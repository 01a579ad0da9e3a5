import { keys, type ContractRecord } from '@antirio/ledger-machine';
import { contractTerms } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import { rollDice } from './random.ts';
import { drawScenario, type Fault, type NodeName, type Scenario } from './scenario.ts';
import type { World } from './world.ts';

const isOfProvider = (node: NodeName): boolean => node === 'B';

/** What would keep an honest provider from hearing; the ledger's time does not jump either. */
function sparesProvider(fault: Fault): boolean {
  if (fault.kind === 'wallJump') return fault.node !== 'central' && fault.node !== 'B';
  if ('node' in fault) return !isOfProvider(fault.node);
  return !['oldLedger', 'oldBackup', 'deaf'].includes(fault.kind);
}

/** A world whose ledger rules how well the provider hears: the customer is away for long, and somebody may not be honest. */
export function drawCoverage(seed: number): Scenario {
  const scenario = drawScenario(seed);
  const dice = rollDice(seed, 'coverage');
  const at = dice.between(6000, 10_000);
  const away: Fault = { when: { at }, kind: 'kill', node: 'A', forMs: dice.between(9000, 16_000) };
  const coverage = { breach: 'ruled' as const, claimWithinMs: 8000, answerWithinMs: 8000 };
  const who = dice.below(3);
  return {
    ...scenario,
    terms: (devices) => {
      const { activation: _none, ...terms } = scenario.terms(devices);
      return contractTerms.parse({ ...terms, escrow: {}, coverage });
    },
    motes: { ...scenario.motes, count: 3, everyMs: dice.between(150, 300) },
    gatewayLoss: { ...scenario.gatewayLoss, B: dice.between(0.01, 0.1) },
    ledgerMs: Math.min(scenario.ledgerMs, 50),
    faults: [away, ...scenario.faults.filter(sparesProvider).slice(0, 2)],
    coverage: { thief: who === 0, liar: who === 1 },
  };
}

/** A provider is ruled in breach for what it did not hear if it threw that away, and only then. */
export function checkCoverage({ coverage, ledger, terms: { contractId } }: World, judge: Judge): void {
  if (coverage !== undefined) checkRuling(coverage, ledger, contractId, judge);
}

function checkRuling(
  coverage: NonNullable<World['coverage']>,
  ledger: World['ledger'],
  contractId: string,
  judge: Judge,
): void {
  const { settlement, activation } = ledger.read(keys.contract(contractId)) as ContractRecord;
  if (settlement?.reason === 'coverage' && !coverage.thief)
    judge.broken('punished', 'an honest provider is ruled to have heard too little');
  // who has not heard it well enough before has no baseline, and claims nothing
  const claimed = ledger.read(keys.coverageClaim(contractId, activation?.epoch ?? 0));
  if (coverage.thief && claimed !== undefined && settlement?.row === 'honoured')
    judge.broken('money', `${coverage.thrown.size} frames were thrown away, and the provider is paid`);
}
