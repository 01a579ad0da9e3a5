import {
  measureTakeover,
  shareProducts,
  type BuildProduct,
  type MeasuredTakeover,
  type OwnProcess,
} from '@antirio/demo';
import { describeError } from '@antirio/kernel';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { childrenOf, cpuSecondsOf, memoryOf } from './kernel.ts';

type Standby = 'hot' | 'warm' | 'cold';

const GOAL_MS: Readonly<Partial<Record<Standby, number>>> = { hot: 1_000, warm: 2_000 };
/** 40 motes, each every two seconds: 20 uplinks/s. Nothing is lost on air. */
const TRAFFIC = { motes: 40, periodMs: 2_000, loss: 0 } as const;
const UPLINKS_PER_SECOND = 20;
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
  readonly standby: Standby;
  readonly build: BuildProduct;
}

async function takeOver(seed: string, { standby, signal, build }: Takeovers): Promise<Run> {
  const { onArmed, onReading, figures } = watchProvider();
  const ports = { signal, build, onArmed, onReading };
  const measured = await measureTakeover({ ...TRAFFIC, standby, seed }, ports);
  return { ...measured, provider: figures() };
}

/** As many runs as are wanted, each with new edges; what broke off comes with the reason. */
async function runsOf(ports: Takeovers): Promise<[Run[], string[]]> {
  const wanted = ports.options.quick ? 3 : RUNS;
  const runs: Run[] = [];
  const failures: string[] = [];
  while (runs.length < wanted) {
    ports.signal.throwIfAborted();
    try {
      const run = await takeOver(`bench-${runs.length + failures.length}`, ports);
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
  }
  return [runs, failures];
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

async function* figures(standby: Standby, ports: BenchPorts): AsyncGenerator<Figure> {
  const products = shareProducts();
  const [runs, failures] = await runsOf({ ...ports, standby, build: products.build }).finally(() =>
    products.remove(),
  );
  const context = { beatMs: 200, uplinksPerSecond: UPLINKS_PER_SECOND, brokenOff: failures.length };
  const times = (of: (run: Run) => number): number[] => runs.map(of);
  const name = `takeover.${standby}`;
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
  yield figureOf({
    figure: `${name}.firstReading`,
    unit: 'ms',
    values: times(({ takeoverMs }) => takeoverMs.firstReading),
    goal: GOAL_MS[standby],
    context: { ...context, ...providerContext(runs) },
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

const about: Readonly<Record<Standby, string>> = {
  hot: 'the service runs and waits',
  warm: 'the service is started and frozen',
  cold: 'the image is stored and verified',
};

export const takeovers: readonly Benchmark[] = (['hot', 'warm', 'cold'] as const).map((standby) => ({
  name: `takeover.${standby}`,
  about: `from the SIGKILL of one edge to a new reading at the other; ${standby}: ${about[standby]}`,
  withinS: ({ quick }) => ONE_RUN_S * (quick ? 5 : RUNS + MAY_FAIL),
  run: (ports) => figures(standby, ports),
}));
