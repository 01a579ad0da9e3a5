import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf, forgetPeak, memoryOf } from './kernel.ts';
import { openEdges, type EdgesSetting, type StorageEdge } from './storage-edges.ts';
import { fetchCold } from './storage-fetch.ts';
import { writeImage } from './storage-files.ts';
import { inFolder, MB, rateOf } from './storage-setting.ts';

const GOAL_MBPS = 120;
const IMAGE_MB = 345;
const SETTLE_MS = 500;
/** Of contentBytesPerSecond: more than this machine's loopback takes. */
const UNLIMITED = 1e10;

/** One cold fetch of the image. MB are those above the process at rest. */
interface Between {
  readonly rate: number;
  readonly giverMB: number;
  readonly takerMB: number;
  readonly giverCpu: number;
  readonly takerCpu: number;
}

async function atRest({ process: { pid } }: StorageEdge, signal: AbortSignal): Promise<() => number> {
  await sleep(SETTLE_MS, undefined, { signal });
  forgetPeak(pid);
  const { rss } = memoryOf(pid);
  return () => memoryOf(pid).peak - rss;
}

async function fetchOnce(
  edges: EdgesSetting,
  giver: StorageEdge,
  cid: string,
  signal: AbortSignal,
): Promise<Between> {
  edges.empty(edges.taker);
  const taker = await edges.start(edges.taker);
  try {
    const [giverAbove, takerAbove] = [await atRest(giver, signal), await atRest(taker, signal)];
    const used = cpuSecondsOf(giver.process.pid);
    const { bytes, ms, cpuMs } = await taker.fetch(cid, edges.giver.edgeId);
    const mb = bytes / MB;
    return {
      rate: mb / (ms / 1000),
      giverMB: giverAbove(),
      takerMB: takerAbove(),
      giverCpu: ((cpuSecondsOf(giver.process.pid) - used) * 1000) / mb,
      takerCpu: cpuMs / mb,
    };
  } finally {
    await taker.stop();
  }
}

interface Paced {
  readonly paced: readonly Between[];
  readonly free: readonly Between[];
}

async function fetchAll(edges: EdgesSetting, runs: number, { say, signal }: BenchPorts): Promise<Paced> {
  const taken: Between[][] = [];
  let cid: string | undefined;
  for (const options of [{}, { contentBytesPerSecond: UNLIMITED }]) {
    const giver = await edges.start(edges.giver, options);
    cid ??= await giver.store('image.tar');
    const some: Between[] = [];
    for (let run = 0; run < runs; run++) some.push(await fetchOnce(edges, giver, cid, signal));
    await giver.stop();
    say(
      `${some.map(({ rate }) => rounded(rate, 0)).join(', ')} MB/s ${taken.length === 0 ? 'at the default pace' : 'at any pace'}`,
    );
    taken.push(some);
  }
  const [paced = [], free = []] = taken;
  return { paced, free };
}

/** The same image from one store's gateway to another store, with nothing else in these processes: MB/s. */
async function* fetchDirect(archive: string, runs: number, signal: AbortSignal): AsyncGenerator<number> {
  yield* inFolder(signal, async function* (setting) {
    const theirs = await setting.start();
    const { cid = '' } = await theirs.run({ do: 'image', archive, name: 'image' });
    const { url = '' } = await theirs.run({ do: 'serve' });
    for (let run = 0; run < runs; run++) yield rateOf(await fetchCold(cid, url, setting));
  });
}

function* figuresOf({ paced, free }: Paced, direct: readonly number[], imageMB: number): Generator<Figure> {
  const of = (runs: readonly Between[], what: keyof Between): number[] => runs.map((run) => run[what]);
  const middle = (runs: readonly Between[], what: keyof Between): number =>
    rounded(median(of(runs, what)), 1);
  const rates = (figure: string, runs: readonly Between[], goal?: number): Figure =>
    figureOf({
      figure,
      unit: 'MB/s',
      better: 'more',
      values: of(runs, 'rate'),
      goal,
      context: {
        imageMB,
        giverCpuMsPerMB: middle(runs, 'giverCpu'),
        takerCpuMsPerMB: middle(runs, 'takerCpu'),
        direct: rounded(median(direct), 0),
      },
    });
  yield rates('storage.between-edges', free, GOAL_MBPS);
  yield rates('storage.between-edges.paced', paced);
  for (const whose of ['giver', 'taker'] as const)
    yield figureOf({
      figure: `storage.between-edges.memory.${whose}`,
      unit: 'MB',
      values: [...of(free, `${whose}MB`), ...of(paced, `${whose}MB`)],
      context: { imageMB, paced: middle(paced, `${whose}MB`), free: middle(free, `${whose}MB`) },
    });
}

/** A cold fetch by the whole way between edges, beside one by the gateway alone. */
export async function* runBetween(ports: BenchPorts): AsyncGenerator<Figure> {
  const { options, say, signal } = ports;
  const [size, runs] = options.quick ? [8, 1] : [IMAGE_MB, 5];
  const edges = await openEdges(signal);
  try {
    const archive = join(edges.giver.folder, 'images', 'image.tar');
    await writeImage(archive, size * MB);
    const direct: number[] = [];
    for await (const rate of fetchDirect(archive, runs, signal)) direct.push(rate);
    say(`${direct.map((rate) => rounded(rate, 0)).join(', ')} MB/s without edges`);
    yield* figuresOf(await fetchAll(edges, runs, ports), direct, size);
  } finally {
    await edges.close();
  }
}
