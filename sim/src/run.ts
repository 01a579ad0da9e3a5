import {
  isEnded,
  opensWhenOffline,
  type ContractLife,
  type ContractTerms,
  type SettlementRow,
} from '@antirio/service-contract';
import {
  checkHearing,
  checkReadings,
  createJudge,
  watchDownlinks,
  watchProbes,
  type Judge,
  type Violation,
} from './checks.ts';
import { watchBlocks } from './block-checks.ts';
import { drawBlocks } from './block-scenario.ts';
import { checkCoverage, drawCoverage, watchCoverage } from './coverage-scenario.ts';
import { drawDrills } from './drill-scenario.ts';
import { checkFullDrills, fullDrillsOf, watchFullDrills } from './full-drill-checks.ts';
import { drawExpiring } from './expiring.ts';
import { drawFloods } from './floods.ts';
import { watchFullDisks } from './full-disk-checks.ts';
import { drawFullDisks } from './full-disks.ts';
import { drawFullDrills } from './full-drill-scenario.ts';
import { checkPenalties, paidInDrills, watchDrills } from './drill-checks.ts';
import { heal, scheduleFaults, type FaultPorts } from './faults.ts';
import { drawFaithless, watchLazy } from './faithless.ts';
import { watchHealth } from './health.ts';
import { FUNDS } from './ledger.ts';
import { checkRekeying } from './rekeying.ts';
import { checkRent, rentOf } from './rent.ts';
import { identities } from './identities.ts';
import type { ScenarioKind } from './kinds.ts';
import { drawLong } from './long.ts';
import { drawMisstated } from './misstated.ts';
import { drawOverlong, watchLimit } from './overlong.ts';
import { drawRelay, watchKeeping } from './relay.ts';
import { honestPieces, type Pieces } from './pieces.ts';
import { drawScenario, type NodeName, type Scenario } from './scenario.ts';
import { drawTwoProviders } from './two-providers.ts';
import { drawStrays } from './strays.ts';
import type { TraceLine } from './trace.ts';
import { drawUnheard } from './unheard.ts';
import { createWorld, type World } from './world.ts';

const draws: Readonly<Record<ScenarioKind, (seed: number) => Scenario>> = {
  oneProvider: drawScenario,
  twoProviders: drawTwoProviders,
  drills: drawDrills,
  fullDrills: drawFullDrills,
  coverage: drawCoverage,
  unheard: drawUnheard,
  blocks: drawBlocks,
  long: drawLong,
  misstated: drawMisstated,
  strays: drawStrays,
  faithless: drawFaithless,
  fullDisks: drawFullDisks,
  expiring: drawExpiring,
  floods: drawFloods,
  overlong: drawOverlong,
  relay: drawRelay,
};

export interface RunOptions {
  readonly kind?: ScenarioKind | undefined;
  readonly pieces?: Pieces;
  /** Keeps the text of the trace. */
  readonly trace?: boolean;
  /** Before anything happens in it. */
  readonly onWorld?: (world: World) => void;
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
  /** Full drills that were passed. */
  readonly fullDrills: number;
  /** Providers that were active. */
  readonly servers: readonly string[];
  /** Downlinks under counters that the grantor did not know of. */
  readonly onPromises: number;
  /** Frames that a ring did not take, forged or not. */
  readonly dropped: number;
}

interface Contract {
  readonly settlement?: { readonly row: SettlementRow };
  readonly openings: number;
  readonly life: ContractLife;
}

const lifeOf = ({ ledger }: World, contractId: string): ContractLife =>
  (ledger.read(`contract/${contractId}`) as Contract).life;

const rowOf = ({ ledger }: World, { contractId }: ContractTerms): SettlementRow | undefined =>
  (ledger.read(`contract/${contractId}`) as Contract).settlement?.row;

/** As before, or over for both; a takeover that nothing was owed for leaves a contract with exposed keys. */
function isAtRest(life: ContractLife, customer: string, provider: string): boolean {
  const phases = `${customer} ${provider}`;
  if (life.state === 'READY') return phases === 'guarded ready';
  if (life.state === 'READY_EXPOSED') return /^(?:stated|guarded) (?:stated|ready)$/.test(phases);
  return isEnded(life) && phases === 'ended ended';
}

/** In the end everybody has what is his. */
function checkEnd(world: World, judge: Judge, lastDownlinkByA: number, scenario: Scenario): void {
  const { ledger, motes, A, contracts } = world;
  checkReadings(judge, motes, A.disk.coreData);
  for (const problem of ledger.problems()) judge.broken('money', problem);
  for (const { terms, name, customerParty, providerParty } of contracts) {
    const life = lifeOf(world, terms.contractId);
    const [customer, provider] = [customerParty().phase().at, providerParty().phase().at];
    if (!isAtRest(life, customer, provider))
      judge.broken(
        'converged',
        `in the end the contract is ${life.state}; A ${customer}, ${name} ${provider}`,
      );
  }
  checkOpenings(world, judge);
  if (!A.parties().some((party) => party.mayAct()))
    judge.broken('converged', 'in the end the customer may not act');
  if (lastDownlinkByA < scenario.healAt)
    judge.broken('converged', 'the customer sends no downlinks in the end');
  const unread = A.rooms().ring.last - A.disk.service.cursor;
  if (unread > 0) judge.broken('converged', `${unread} frames in the customer's ring are not read`);
  checkMoney(world, judge);
  checkPenalties(world, judge);
  checkFullDrills(world, judge);
  checkCoverage(world, judge);
  checkRekeying(world, judge);
  world.flood?.check(judge);
}

/** Where the customer did not agree to be found dead, its keys open on its word only. */
function checkOpenings({ ledger, contracts }: World, judge: Judge): void {
  for (const { terms, name } of contracts) {
    if (opensWhenOffline(terms)) continue;
    const { openings } = ledger.read(`contract/${terms.contractId}`) as Contract;
    for (let n = 1; n <= openings; n++) {
      const key = `opening/${terms.contractId}/${String(n).padStart(12, '0')}`;
      const { evidence } = ledger.read(key) as { evidence: { word?: string } };
      if (evidence.word === undefined) judge.broken('escrow', `${name} has opened the keys without a word`);
    }
  }
}

/**
 * What a contract's end brought each side, of the stake that it put in and what drills have cost of it; undefined where that is for
 * the ruling to say.
 */
function broughtBy(row: SettlementRow | undefined, paid: number): readonly [number, number] | undefined {
  if (row === undefined) return [paid - 100, -100];
  if (row === 'undecided' || row === 'expired') return [paid, -paid];
  return row === 'honoured' ? [paid - 100, 100 - paid] : undefined;
}

function checkMoney(world: World, judge: Judge): void {
  const { ledger, contracts } = world;
  let own: number | undefined = FUNDS.A;
  for (const { terms, name } of contracts) {
    const brought = broughtBy(rowOf(world, terms), paidInDrills(world, terms));
    const rent = rentOf(world, terms);
    own = brought === undefined || own === undefined ? undefined : own + brought[0] - rent.paid - rent.held;
    const balance = ledger.balance(identities[name]);
    const due = FUNDS[name] + (brought?.[1] ?? 0) + rent.paid;
    if (brought !== undefined && balance !== due)
      judge.broken('money', `${name} has ${balance} where ${due} is due`);
    checkRent(world, judge, terms);
  }
  const balance = ledger.balance(identities.A);
  if (own !== undefined && balance !== own) judge.broken('money', `A has ${balance} where ${own} is due`);
}

function summaryOf(world: World, downlinks: number, servers: readonly string[]): Omit<Summary, 'onPromises'> {
  const uplinks = [...world.motes.sent.values()];
  const life = lifeOf(world, world.terms.contractId);
  return {
    uplinks: uplinks.length,
    covered: uplinks.filter((one) => one.covered).length,
    stored: world.A.disk.coreData.size,
    downlinks,
    epoch: (world.ledger.read(`set/${world.terms.set.setId}`) as { epoch: number }).epoch,
    life: life.state === 'SETTLED' ? `SETTLED ${life.row}` : life.state,
    fullDrills: fullDrillsOf(world, world.terms).filter(({ state: came }) => came === 'passed').length,
    servers,
    dropped: world.flood?.drops ?? 0,
  };
}

/** One run: the same for the same seed, on any machine. */
export function runSeed(seed: number, options: RunOptions = {}): RunResult {
  return runScenario(draws[options.kind ?? 'oneProvider'](seed), options);
}

export function runScenario(scenario: Scenario, options: RunOptions = {}): RunResult {
  const late: {
    judge?: Judge;
    downlinks?: ReturnType<typeof watchDownlinks>;
    health?: ReturnType<typeof watchHealth>;
    full?: ReturnType<typeof watchFullDisks>;
    keeping?: ReturnType<typeof watchKeeping>;
  } = {};
  const stolen = (how: string): void => late.judge?.broken('escrow', how);
  const servers = new Set<string>();
  let phaseListener: (node: NodeName, phase: string) => void = () => undefined;
  const blocks = watchBlocks();
  const world = createWorld(scenario, {
    pieces: options.pieces ?? honestPieces(),
    keepLines: options.trace ?? false,
    onMayAct: (epoch, from, by) => {
      late.downlinks?.mayAct(epoch, from, by);
    },
    onPhase: (node, phase) => {
      if (phase === 'active') servers.add(node);
      late.keeping?.onPhase(node, phase);
      phaseListener(node, phase);
    },
    onGiven: (devAddr, index) => {
      blocks.given(devAddr, index);
      late.full?.onGiven(index);
    },
    onKept: blocks.kept,
    onProbe: watchProbes(() => late.judge),
    onTheft: (holder) => stolen(`${holder} gives its share without an opening on the ledger`),
    onRealKeys: () => stolen('a drill has opened the contract’s own keys'),
    onRecorded: (payload) => {
      late.health?.onRecorded(payload);
      if (payload.type === 'epoch/take') late.full?.onTaken(payload.request.by);
    },
    onRuling: (overMs, provider) => {
      late.health?.onRuling(overMs, provider);
    },
  });
  const { engine, trace, hosts } = world;
  const judge = createJudge(engine, trace);
  const downlinks = watchDownlinks(engine, judge);
  const health = watchHealth(world, judge, scenario);
  const full = watchFullDisks(world, judge);
  const onAirWithin = watchLimit(world, judge);
  const checkLazy = watchLazy(world, judge, scenario.faithless);
  const keeping = watchKeeping(world, judge, scenario.relay);
  Object.assign(late, { judge, downlinks, health, full, keeping });
  watchDrills(world, judge, scenario.ledgerMs);
  watchFullDrills(world, judge, scenario.ledgerMs);
  watchCoverage(world, judge);
  let sent = 0;
  let lastByA = -1;
  world.radio.onDownlink((emission) => {
    sent += 1;
    downlinks.onAir(emission);
    health.onAir();
    onAirWithin(emission);
    keeping.onAir(emission);
    blocks.onAir(world, judge, emission);
    checkHearing(judge, world.motes, emission);
    if (emission.edge === 'A') lastByA = engine.now;
  });
  const faults: FaultPorts = {
    ...world,
    onChange: () => {
      health.onChange();
      full.onChange();
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
  options.onWorld?.(world);
  for (const name of world.nodes) hosts[name].start();
  const broken = (): boolean => judge.violations.length > 0;
  try {
    engine.runUntil(scenario.endAt, broken);
    if (!broken()) {
      checkLazy();
      keeping.atEnd();
      checkEnd(world, judge, lastByA, scenario);
    }
  } catch (error) {
    judge.broken('crashed', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const summary = { ...summaryOf(world, sent, [...servers]), onPromises: blocks.onPromises() };
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
