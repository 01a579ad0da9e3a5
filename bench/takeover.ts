import {
  measureTakeover,
  shareProducts,
  type BuildProduct,
  type MeasuredTakeover,
  type OwnProcess,
} from '@antirio/demo';
import { describeError } from '@antirio/kernel';
import { BenchError, type Benchmark, type BenchOptions, type BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { childrenOf, cpuSecondsOf, memoryOf } from './kernel.ts';

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
/** A run that broke off is taken again, so many times in all. */
const MAY_FAIL = 3;
const ONE_RUN_S = 60;

interface Run extends MeasuredTakeover {
  readonly provider: ProviderFigures | undefined;
}

/** Of the edge that stands by. */
interface ProviderFigures {
  readonly edgeMB: number;
  readonly childrenMB: readonly number[];
  /** Processor time of both from the kill to the first reading: what else the machine does matters less for it. */
  readonly cpuMs: number;
}

/** Watches the provider's processes from just before the kill until its first reading. */
function watchProvider(): {
  readonly onArmed: (processes: readonly OwnProcess[]) => void;
  readonly onReading: () => void;
  readonly figures: () => ProviderFigures | undefined;
} {
  let edge: number | undefined;
  let before = 0;
  let figures: ProviderFigures | undefined;
  const cpuSeconds = (pid: number): number =>
    [pid, ...childrenOf(pid)].reduce((sum, one) => sum + cpuSecondsOf(one), 0);
  return {
    onArmed(processes) {
      edge = processes.find(({ name }) => name === 'edge-b')?.pid;
      if (edge === undefined) return;
      const childrenMB = childrenOf(edge).map((child) => memoryOf(child).rss);
      figures = { edgeMB: memoryOf(edge).rss, childrenMB, cpuMs: NaN };
      before = cpuSeconds(edge);
    },
    onReading() {
      if (edge !== undefined && figures !== undefined)
        figures = { ...figures, cpuMs: Math.round((cpuSeconds(edge) - before) * 1_000) };
    },
    figures: () => figures,
  };
}

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

async function takeOver(seed: string, { situation, signal, build, turns }: Takeovers): Promise<Run> {
  const { onArmed, onReading, figures } = watchProvider();
  const { standby, runtime } = situation;
  let endTurn: (() => void) | undefined;
  const ports = {
    ...{ signal, build },
    onArmed: async (processes: readonly OwnProcess[]) => {
      endTurn = await turns.take();
      onArmed(processes);
    },
    onReading: () => {
      onReading();
      endTurn?.();
    },
  };
  try {
    const measured = await measureTakeover({ ...TRAFFIC, standby, runtime, seed }, ports);
    return { ...measured, provider: figures() };
  } finally {
    endTurn?.();
  }
}

const wantedRuns = ({ quick, runs }: BenchOptions): number => runs ?? (quick ? 3 : RUNS);

/** As many runs as are wanted, each with new edges; what broke off comes with the reason. */
async function runsOf(ports: Takeovers): Promise<[Run[], string[]]> {
  const wanted = wantedRuns(ports.options);
  const runs: Run[] = [];
  const failures: string[] = [];
  let begun = 0;
  const runNext = async (): Promise<void> => {
    try {
      const run = await takeOver(`bench-${begun++}`, ports);
      runs.push(run);
      const cpuMs = run.provider?.cpuMs ?? NaN;
      const times = JSON.stringify(run.takeoverMs);
      ports.say(`${runs.length} of ${wanted}: ${times}, cpu ${cpuMs} ms, lost ${run.uplinks.lost}`);
    } catch (error) {
      ports.signal.throwIfAborted();
      failures.push(describeError(error));
      ports.say(`broke off: ${describeError(error)}`);
      if (failures.length > MAY_FAIL)
        throw new BenchError(`${failures.length} runs broke off`, { cause: error });
    }
  };
  const oneAfterTheOther = async (): Promise<void> => {
    while (begun - failures.length < wanted) {
      ports.signal.throwIfAborted();
      await runNext();
    }
  };
  await allOrFirstError(Array.from({ length: ports.options.beside ?? 1 }, oneAfterTheOther));
  return [runs, failures];
}

/** Waits for all, also where one fails: what they started is ended then. */
async function allOrFirstError(all: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(all);
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function providerContext(runs: readonly Run[]): Record<string, unknown> {
  const all = runs.flatMap(({ provider }) => (provider === undefined ? [] : [provider]));
  return {
    standbyEdgeMB: rounded(median(all.map(({ edgeMB }) => edgeMB)), 1),
    standbyChildrenMB: all.at(-1)?.childrenMB ?? [],
    cpuMs: median(all.map(({ cpuMs }) => cpuMs)),
  };
}

const total = (runs: readonly Run[], of: (uplinks: Run['uplinks']) => number): number =>
  runs.reduce((sum, { uplinks }) => sum + of(uplinks), 0);

async function* figures(situation: Situation, ports: BenchPorts): AsyncGenerator<Figure> {
  const products = shareProducts();
  const [runs, failures] = await runsOf({
    ...ports,
    situation,
    build: products.build,
    turns: createTurns(),
  }).finally(() => products.remove());
  const context = {
    beatMs: 200,
    uplinksPerSecond: UPLINKS_PER_SECOND,
    beside: ports.options.beside ?? 1,
    brokenOff: failures.length,
  };
  const times = (of: (run: Run) => number): number[] => runs.map(of);
  const name = `takeover.${situation.name}`;
  yield figureOf({
    figure: `${name}.detected`,
    unit: 'ms',
    values: times(({ takeoverMs }) => takeoverMs.detected),
    context,
  });
  yield figureOf({
    figure: `${name}.activated`,
    unit: 'ms',
    values: times(({ takeoverMs }) => takeoverMs.activated),
    context,
  });
  const firstReading = { unit: 'ms', values: times(({ takeoverMs }) => takeoverMs.firstReading) };
  yield figureOf({
    ...firstReading,
    figure: `${name}.firstReading`,
    goal: situation.goal,
    context: { ...context, ...providerContext(runs) },
  });
  if (situation.goalP99 !== undefined)
    yield figureOf({
      ...firstReading,
      figure: `${name}.firstReading.p99`,
      goal: situation.goalP99,
      judged: 'p99',
      context,
    });
  yield figureOf({
    figure: `${name}.lost`,
    unit: 'readings',
    values: times(({ uplinks }) => uplinks.lost),
    goal: 0,
    judged: 'worst',
    context: {
      ...context,
      covered: total(runs, ({ covered }) => covered),
      lost: total(runs, ({ lost }) => lost),
      doubled: total(runs, ({ doubled }) => doubled),
      forged: total(runs, ({ forged }) => forged),
    },
  });
}

export const takeovers: readonly Benchmark[] = SITUATIONS.map((situation) => ({
  name: `takeover.${situation.name}`,
  about: `from the SIGKILL of one edge to a new reading at the other; ${situation.name}: ${situation.about}`,
  withinS: (options) => ONE_RUN_S * (wantedRuns(options) + MAY_FAIL),
  run: (ports) => figures(situation, ports),
}));
