import { isEnded, type ContractLife } from '@antirio/service-contract';
import { checkReadings, createJudge, watchDownlinks, type Judge, type Violation } from './checks.ts';
import { heal, scheduleFaults, type FaultPorts } from './faults.ts';
import { watchHealth } from './health.ts';
import { identities } from './identities.ts';
import { honestPieces, type Pieces } from './pieces.ts';
import { drawScenario, type NodeName, type Scenario } from './scenario.ts';
import type { TraceLine } from './trace.ts';
import { createWorld, type World } from './world.ts';

export interface RunOptions {
  readonly pieces?: Pieces;
  /** Keeps the text of the trace. */
  readonly trace?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** The same for every run of the same seed on the same code. */
  readonly hash: string;
  readonly events: number;
  readonly simulatedMs: number;
  readonly lines: readonly TraceLine[];
  readonly summary: Summary;
}

export interface Summary {
  readonly uplinks: number;
  readonly covered: number;
  readonly stored: number;
  readonly downlinks: number;
  readonly epoch: number;
  readonly life: string;
}

interface Contract {
  readonly life: ContractLife;
}

const lifeOf = ({ ledger, terms }: World): ContractLife =>
  (ledger.read(`contract/${terms.contractId}`) as Contract).life;

/** In the end everybody has what is his. */
function checkEnd(world: World, judge: Judge, lastDownlinkByA: number, scenario: Scenario): void {
  const { ledger, motes, A, B } = world;
  checkReadings(judge, motes, A.disk.coreData);
  for (const problem of ledger.problems()) judge.broken('money', problem);
  const life = lifeOf(world);
  const party = { A: A.rooms().party, B: B.rooms().party };
  const states = `${life.state}; A ${party.A.phase().at}, B ${party.B.phase().at}`;
  const over = isEnded(life);
  const phases = `${party.A.phase().at} ${party.B.phase().at}`;
  const asBefore = life.state === 'READY' && phases === 'guarded ready';
  if (!asBefore && !(over && phases === 'ended ended'))
    judge.broken('converged', `in the end the contract is ${states}`);
  if (!party.A.mayAct()) judge.broken('converged', `in the end the customer may not act: ${states}`);
  if (lastDownlinkByA < scenario.healAt)
    judge.broken('converged', 'the customer sends no downlinks in the end');
  const unread = A.rooms().ring.last - A.disk.service.cursor;
  if (unread > 0) judge.broken('converged', `${unread} frames in the customer's ring are not read`);
  checkMoney(world, judge, life);
}

function checkMoney({ ledger }: World, judge: Judge, life: ContractLife): void {
  const balances = [ledger.balance(identities.A), ledger.balance(identities.B)].join(' and ');
  const due = life.state !== 'SETTLED' ? '900 and 900' : life.row === 'honoured' ? '900 and 1100' : undefined;
  if (due !== undefined && balances !== due) judge.broken('money', `${balances} where ${due} is due`);
}

/** One run: the same for the same seed, on any machine. */
export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  return runScenario(drawScenario(seed), options);
}

export function runScenario(scenario: Scenario, options: RunOptions = {}): RunResult {
  const late: { downlinks?: ReturnType<typeof watchDownlinks>; health?: ReturnType<typeof watchHealth> } = {};
  let phaseListener: (node: NodeName, phase: string) => void = () => undefined;
  const world = createWorld(scenario, {
    pieces: options.pieces ?? honestPieces(),
    keepLines: options.trace ?? false,
    onMayAct: (epoch, from, by) => {
      late.downlinks?.mayAct(epoch, from, by);
    },
    onPhase: (node, phase) => {
      phaseListener(node, phase);
    },
    onRuling: (overMs) => {
      late.health?.onRuling(overMs);
    },
  });
  const { engine, trace, hosts } = world;
  const judge = createJudge(engine, trace);
  const downlinks = watchDownlinks(engine, judge);
  const health = watchHealth(world, judge, scenario.ledgerMs);
  Object.assign(late, { downlinks, health });
  let sent = 0;
  let lastByA = -1;
  world.radio.onDownlink((emission) => {
    sent += 1;
    downlinks.onAir(emission);
    if (emission.edge === 'A') lastByA = engine.now;
  });
  const faults: FaultPorts = {
    ...world,
    onChange: () => {
      health.onChange();
    },
    onPhase: (listen) => {
      phaseListener = listen;
    },
  };
  scheduleFaults(faults, scenario);
  engine.at(scenario.healAt, () => {
    heal(faults);
  });
  engine.at(scenario.silenceAt, () => {
    world.motes.silence();
  });
  for (const host of Object.values(hosts)) host.start();
  const broken = (): boolean => judge.violations.length > 0;
  try {
    engine.runUntil(scenario.endAt, broken);
    if (!broken()) checkEnd(world, judge, lastByA, scenario);
  } catch (error) {
    judge.broken('crashed', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const uplinks = [...world.motes.sent.values()];
  const life = lifeOf(world);
  const summary: Summary = {
    uplinks: uplinks.length,
    covered: uplinks.filter((one) => one.covered).length,
    stored: world.A.disk.coreData.size,
    downlinks: sent,
    epoch: (world.ledger.read(`set/${world.terms.set.setId}`) as { epoch: number }).epoch,
    life: life.state === 'SETTLED' ? `SETTLED ${life.row}` : life.state,
  };
  trace.count(summary.stored, summary.downlinks);
  trace.count(summary.covered, summary.epoch);
  return {
    seed: scenario.seed,
    violations: judge.violations,
    hash: trace.hash(),
    events: engine.events,
    simulatedMs: engine.now,
    lines: trace.lines(),
    summary,
  };
}
