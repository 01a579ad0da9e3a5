import { keys, type ContractRecord, type CoverageClaimRecord } from '@antirio/ledger-machine';
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

const LOOK_EVERY_MS = 250;

/**
 * Nobody is punished for an answer that it could not give: silence counts only once the time for an answer has gone by twice, and a
 * provider that had no way to the ledger for all of that has had what the terms give it.
 */
export function watchCoverage(world: World, judge: Judge): void {
  const { coverage, engine, hosts, ledger, network, terms } = world;
  if (coverage === undefined || coverage.thief) return;
  const { contractId } = terms;
  // clocks differ from true time by up to a fiftieth
  const silenceMs = 2 * 0.97 * terms.coverage.answerWithinMs;
  const links = [network.link('B', 'central'), network.link('central', 'B')];
  const reachesLedger = (): boolean =>
    hosts.B.running && hosts.central.running && !links.some(({ cut }) => cut);
  const isUnanswered = ({ coverage: open }: ContractRecord): boolean => {
    if (open === undefined) return false;
    const claim = ledger.read(keys.coverageClaim(contractId, open.epoch)) as CoverageClaimRecord | undefined;
    return claim !== undefined && claim.answer === undefined;
  };
  let reachedAt = 0;
  const look = (): void => {
    const record = ledger.read(keys.contract(contractId)) as ContractRecord;
    if (record.settlement?.reason === 'coverage') {
      if (engine.now - reachedAt < silenceMs)
        judge.broken('punished', 'an honest provider is ruled to have heard too little');
      return;
    }
    if (reachesLedger() || !isUnanswered(record)) reachedAt = engine.now;
    engine.after(LOOK_EVERY_MS, look);
  };
  engine.after(LOOK_EVERY_MS, look);
}

/** A provider that threw frames away is ruled in breach. */
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
  // who has not heard it well enough before has no baseline, and claims nothing
  const claimed = ledger.read(keys.coverageClaim(contractId, activation?.epoch ?? 0));
  if (coverage.thief && claimed !== undefined && settlement?.row === 'honoured')
    judge.broken('money', `${coverage.thrown.size} frames were thrown away, and the provider is paid`);
}
