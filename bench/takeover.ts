import {
  measureTakeovers,
  shareProducts,
  type BuildProduct,
  type JudgedUplinks,
  type MeasuredTakeover,
  type OwnProcess,
} from '@antirio/demo';
import { describeError } from '@antirio/kernel';
import { BenchError, type Benchmark, type BenchOptions, type BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { firstAndLater, loadNow, watchProvider, type TakeoverRecord } from './takeover-record.ts';

/** How the neighbour stands by, where, and how soon it is to read: the median and the 99th percentile, ms. */
interface Situation {
  readonly name: string;
  readonly about: string;
  readonly standby: 'hot' | 'warm' | 'cold';
  readonly runtime: 'process' | 'docker';
  readonly goal?: number;
  readonly goalP99?: number;
}

const SITUATIONS: readonly Situation[] = [
  {
    ...{ name: 'hot', standby: 'hot', runtime: 'process', goal: 800, goalP99: 1_200 },
    about: 'the service runs and waits',
  },
  {
    ...{ name: 'warm', standby: 'warm', runtime: 'process', goalP99: 2_000 },
    about: 'the service is started and frozen',
  },
  {
    ...{ name: 'cold', standby: 'cold', runtime: 'process' },
    about: 'the image is stored and verified',
  },
  {
    ...{ name: 'docker', standby: 'warm', runtime: 'docker', goalP99: 2_500 },
    about: 'its container is started and paused (DOCKER_HOST, or the usual socket)',
  },
];

/** 100 motes, each every two seconds: 50 uplinks/s. Nothing is lost on air. */
const TRAFFIC = { motes: 100, periodMs: 2_000, loss: 0 } as const;
const UPLINKS_PER_SECOND = 50;
const RUNS = 20;
/** In a row in one setting: edge A is started again each time, edge B is one process. */
const TAKEOVERS = 20;
/** A setting that broke off is begun again for what it lacks, so many times in all. */
const MAY_FAIL = 3;
const ONE_SETTING_S = 60;
const ONE_TAKEOVER_S = 30;

interface Takeovers extends BenchPorts {
  readonly situation: Situation;
  readonly build: BuildProduct;
  /** Whoever is measured has the machine for itself, as far as the others can wait. */
  readonly turns: Turns;
}

/** One after the other, in the order of asking. */
interface Turns {
  /** Resolves with what ends the turn; to call that again does nothing. */
  take(): Promise<() => void>;
}

function createTurns(): Turns {
  let last: Promise<void> = Promise.resolve();
  return {
    async take() {
      const before = last;
      let end = (): void => undefined;
      last = new Promise((resolve) => {
        end = resolve;
      });
      await before;
      return end;
    },
  };
}

/** So many takeovers in a row in one setting; each is told as soon as it is over. */
async function takeOver(
  seed: string,
  takeovers: number,
  { situation, signal, build, turns }: Takeovers,
  onRecord: (record: TakeoverRecord) => void,
): Promise<JudgedUplinks> {
  const { standby, runtime } = situation;
  let watched = watchProvider();
  let endTurn: (() => void) | undefined;
  const ports = {
    ...{ signal, build },
    onArmed: async (processes: readonly OwnProcess[]) => {
      endTurn = await turns.take();
      watched = watchProvider();
      watched.onArmed(processes);
    },
    onReading: () => {
      watched.onReading();
      endTurn?.();
    },
    onTakeover: (measured: MeasuredTakeover) =>
      onRecord({ ...measured, seed, provider: watched.figures(), load: loadNow() }),
  };
  try {
    return await measureTakeovers({ ...TRAFFIC, standby, runtime, seed, takeovers }, ports);
  } finally {
    endTurn?.();
  }
}

const wantedRuns = ({ quick, runs }: BenchOptions): number => runs ?? (quick ? 3 : RUNS);
const inARow = ({ takeovers = TAKEOVERS }: BenchOptions): number => takeovers;

/** What was measured, as far as it came. */
interface Outcome {
  readonly records: readonly TakeoverRecord[];
  readonly judged: readonly JudgedUplinks[];
  /** Why settings broke off. */
  readonly failures: readonly string[];
  /** Why no further one was begun, though some are lacking. */
  readonly gaveUp: BenchError | undefined;
}

/** Takes over as often as is wanted, in as few settings as that takes. What was measured before something broke off stays. */
class Series {
  readonly #ports: Takeovers;
  readonly #records: TakeoverRecord[] = [];
  readonly #judged: JudgedUplinks[] = [];
  readonly #failures: string[] = [];
  #begun = 0;
  /** Takeovers that are there or under way. */
  #spoken = 0;
  #gaveUp: BenchError | undefined;

  constructor(ports: Takeovers) {
    this.#ports = ports;
  }

  async run(): Promise<Outcome> {
    await Promise.all(
      Array.from({ length: this.#ports.options.beside ?? 1 }, () => this.#oneAfterTheOther()),
    );
    return {
      ...{ records: this.#records, judged: this.#judged },
      ...{ failures: this.#failures, gaveUp: this.#gaveUp },
    };
  }

  async #oneAfterTheOther(): Promise<void> {
    const { options, signal } = this.#ports;
    while (this.#gaveUp === undefined) {
      const lacking = Math.min(inARow(options), wantedRuns(options) - this.#spoken);
      if (lacking <= 0) return;
      this.#spoken += lacking;
      try {
        await this.#oneSetting(lacking);
      } catch (cause) {
        const why = signal.aborted ? 'it was ended early' : describeError(cause);
        this.#gaveUp ??= new BenchError(why, { cause });
      }
    }
  }

  /** @throws BenchError where too many have broken off */
  async #oneSetting(takeovers: number): Promise<void> {
    let done = 0;
    try {
      const judged = await takeOver(`bench-${this.#begun++}`, takeovers, this.#ports, (record) => {
        done += 1;
        this.#note(record);
      });
      this.#judged.push(judged);
      const { uplinks, faults, folder } = judged;
      this.#ports.say(
        `${uplinks.covered} uplinks covered, ${uplinks.lost} lost, ${uplinks.doubled} doubled, ${uplinks.forged} forged`,
      );
      if (faults.length > 0) this.#ports.say(`faults: ${faults.join('; ')}; logs and data: ${folder}`);
    } catch (error) {
      this.#ports.signal.throwIfAborted();
      this.#spoken -= takeovers - done;
      const why = `after ${done} of ${takeovers}: ${describeError(error)}`;
      this.#failures.push(why);
      this.#ports.say(`broke off ${why}`);
      if (this.#failures.length > MAY_FAIL)
        throw new BenchError(`${this.#failures.length} settings broke off`, { cause: error });
    }
  }

  #note(record: TakeoverRecord): void {
    const { options, situation, say } = this.#ports;
    this.#records.push(record);
    const { takeoverMs, round, provider, load } = record;
    const { cpuMs = NaN, queuedMs = NaN } = provider ?? {};
    const about = `${this.#records.length} of ${wantedRuns(options)}, round ${round}`;
    say(
      `${about}: ${JSON.stringify(takeoverMs)}, cpu ${cpuMs} ms, without a processor ${queuedMs} ms, load ${load}`,
    );
    if (isSlow(record, situation)) say(`over the goal: ${JSON.stringify(record)}`);
  }
}

/** Over what 99 of 100 are to reach, or the median where there is no such goal. */
function isSlow({ takeoverMs }: TakeoverRecord, { goal, goalP99 = goal }: Situation): boolean {
  return goalP99 !== undefined && takeoverMs.firstReading > goalP99;
}

const SLOW_TOLD = 20;

function providerContext(records: readonly TakeoverRecord[]): Record<string, unknown> {
  const all = records.flatMap(({ provider }) => (provider === undefined ? [] : [provider]));
  return {
    standbyEdgeMB: rounded(median(all.map(({ edgeMB }) => edgeMB)), 1),
    standbyChildrenMB: all.at(-1)?.childrenMB ?? [],
    cpuMs: median(all.map(({ cpuMs }) => cpuMs)),
    queuedMs: median(all.map(({ queuedMs }) => queuedMs)),
  };
}

function contextOf({ records, failures }: Outcome, options: BenchOptions): Record<string, unknown> {
  const loads = records.map(({ load }) => load);
  return {
    ...{ beatMs: 200, uplinksPerSecond: UPLINKS_PER_SECOND, takeovers: inARow(options) },
    ...{ beside: options.beside ?? 1, loads: [Math.min(...loads), median(loads), Math.max(...loads)] },
    brokenOff: failures.length,
    ...(failures.length > 0 && { reasons: failures }),
  };
}

function* timesOf(
  situation: Situation,
  outcome: Outcome,
  context: Record<string, unknown>,
): Generator<Figure> {
  const { records } = outcome;
  const name = `takeover.${situation.name}`;
  for (const part of ['detected', 'activated', 'firstReading'] as const) {
    const of = ({ takeoverMs }: TakeoverRecord): number => takeoverMs[part];
    const last = part === 'firstReading';
    yield figureOf({
      ...{ figure: `${name}.${part}`, unit: 'ms', values: records.map(of) },
      goal: last ? situation.goal : undefined,
      context: { ...firstAndLater(records, of), ...context, ...(last && providerContext(records)) },
    });
  }
  if (situation.goalP99 === undefined) return;
  const slow = records.filter((record) => isSlow(record, situation));
  yield figureOf({
    ...{ figure: `${name}.firstReading.p99`, unit: 'ms' },
    values: records.map(({ takeoverMs }) => takeoverMs.firstReading),
    ...{ goal: situation.goalP99, judged: 'p99' },
    context: { ...context, over: slow.length, slow: slow.slice(0, SLOW_TOLD) },
  });
}

/** One value for each setting: its uplinks are judged over all of its takeovers. */
function lostOf(
  situation: Situation,
  { records, judged }: Outcome,
  context: Record<string, unknown>,
): Figure {
  const total = (of: (uplinks: JudgedUplinks['uplinks']) => number): number =>
    judged.reduce((sum, { uplinks }) => sum + of(uplinks), 0);
  const faults = judged.flatMap((one) => one.faults);
  return figureOf({
    ...{ figure: `takeover.${situation.name}.lost`, unit: 'readings', goal: 0, judged: 'worst' },
    values: judged.map(({ uplinks }) => uplinks.lost),
    context: {
      ...context,
      covered: total(({ covered }) => covered),
      lost: total(({ lost }) => lost),
      doubled: total(({ doubled }) => doubled),
      forged: total(({ forged }) => forged),
      ofTakeovers: records.length,
      ...(faults.length > 0 && { faults }),
    },
  });
}

async function* figures(situation: Situation, ports: BenchPorts): AsyncGenerator<Figure> {
  const products = shareProducts();
  const turns = createTurns();
  const series = new Series({ ...ports, situation, build: products.build, turns });
  const outcome = await series.run().finally(() => products.remove());
  const context = contextOf(outcome, ports.options);
  if (outcome.records.length > 0) yield* timesOf(situation, outcome, context);
  if (outcome.judged.length > 0) yield lostOf(situation, outcome, context);
  if (outcome.gaveUp !== undefined) throw outcome.gaveUp;
}

/** The time that so many takeovers may need at most. */
function withinS(options: BenchOptions): number {
  const runs = wantedRuns(options);
  const settings = Math.ceil(runs / inARow(options)) + MAY_FAIL;
  return settings * ONE_SETTING_S + (runs + MAY_FAIL * inARow(options)) * ONE_TAKEOVER_S;
}

export const takeovers: readonly Benchmark[] = SITUATIONS.map((situation) => ({
  name: `takeover.${situation.name}`,
  about: `from the SIGKILL of one edge to a new reading at the other; ${situation.name}: ${situation.about}`,
  withinS,
  run: (ports) => figures(situation, ports),
}));
