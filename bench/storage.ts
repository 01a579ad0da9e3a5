import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { forgetPeak, memoryOf } from './kernel.ts';
import { monotonic } from './setting.ts';
import { writeImage, writeNoise } from './storage-files.ts';
import { startStorage, type StorageProcess, type StorageResult } from './storage-jobs.ts';

const MB = 1e6;
const FETCH_GOAL = 120;
const DELTA_GOAL_MB = 0.1;
/** 64 MiB. */
const MEMORY_GOAL_MB = 67.1;
const IMAGE_MB = 345;
const SETTLE_MS = 500;

/** A folder for the time of a benchmark, and processes of stores in it, which all end with it. */
async function* inFolder(
  signal: AbortSignal,
  work: (setting: StorageSetting) => AsyncGenerator<Figure>,
): AsyncGenerator<Figure> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-storage-'));
  const started: StorageProcess[] = [];
  let stores = 0;
  const setting: StorageSetting = {
    path: (name) => join(folder, name),
    async start(store = `store-${stores++}`) {
      const process = await startStorage(join(folder, store), signal);
      started.push(process);
      return process;
    },
  };
  try {
    yield* work(setting);
  } finally {
    for (const process of started) await process.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface StorageSetting {
  path(name: string): string;
  /** A store of that name, or a new one. */
  start(store?: string): Promise<StorageProcess>;
}

const rateOf = ({ bytes = 0, ms = NaN }: StorageResult): number => bytes / MB / (ms / 1000);

const cpuOf = (results: readonly StorageResult[]): number =>
  rounded(
    results.reduce((sum, { cpuMs = 0, bytes = 1 }) => sum + cpuMs / (bytes / MB), 0) / results.length,
    1,
  );

interface Kubo {
  /** MB/s of each run. */
  readonly rates: readonly number[];
  readonly cid: string;
}

/** Kubo's `ipfs add` of the same file into a new repository, where KUBO_BIN names its program. */
function kuboAdds(file: string, bytes: number, runs: number, setting: StorageSetting): Kubo | undefined {
  const program = process.env['KUBO_BIN'];
  if (program === undefined || program === '') return undefined;
  const rates: number[] = [];
  let cid = '';
  for (let run = 0; run < runs; run++) {
    const env = { ...process.env, IPFS_PATH: setting.path(`kubo-${run}`) };
    execFileSync(program, ['init', '--profile=unixfs-v1-2025'], { env, stdio: 'ignore' });
    const began = monotonic();
    cid = execFileSync(program, ['add', '-Q', file], { env, encoding: 'utf8' }).trim();
    rates.push(bytes / MB / ((monotonic() - began) / 1000));
    rmSync(setting.path(`kubo-${run}`), { recursive: true, force: true });
  }
  return { rates, cid };
}

async function imports(
  setting: StorageSetting,
  file: string,
  chunks: 'fixed' | 'tar',
  runs: number,
): Promise<StorageResult[]> {
  const results: StorageResult[] = [];
  for (let run = 0; run < runs; run++) {
    const store = await setting.start();
    results.push(await store.run({ do: 'import', file, chunks }));
    await store.stop();
  }
  return results;
}

async function* runImport({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const [bytes, runs] = options.quick ? [30 * MB, 2] : [200 * MB, 5];
  yield* inFolder(signal, async function* (setting) {
    const file = setting.path('file');
    await writeNoise(file, bytes, 'import');
    const kubo = kuboAdds(file, bytes, runs, setting);
    const fixed = await imports(setting, file, 'fixed', runs);
    if (kubo !== undefined && kubo.cid !== fixed[0]?.cid)
      throw new BenchError(`Kubo's CID is ${kubo.cid}, ours is ${fixed[0]?.cid}`);
    const rates = fixed.map(rateOf);
    say(`${rates.map((rate) => rounded(rate, 0)).join(', ')} MB/s`);
    const context = { fileMB: bytes / MB, cpuMsPerMB: cpuOf(fixed) };
    const reference = kubo === undefined ? 'absent' : 'kubo';
    yield figureOf({
      figure: 'storage.import',
      unit: 'MB/s',
      better: 'more',
      values: rates,
      context: { ...context, reference, cid: fixed[0]?.cid },
    });
    if (kubo !== undefined)
      yield figureOf({
        figure: 'storage.import.ratio',
        unit: 'times Kubo',
        better: 'more',
        values: rates.map((rate, i) => rate / (kubo.rates[i] ?? NaN)),
        goal: 1,
        context: { kuboMBps: kubo.rates.map((rate) => rounded(rate, 0)) },
      });
    const tar = await imports(setting, file, 'tar', runs);
    yield figureOf({
      figure: 'storage.import.tar',
      unit: 'MB/s',
      better: 'more',
      values: tar.map(rateOf),
      context: { fileMB: bytes / MB, cpuMsPerMB: cpuOf(tar) },
    });
  });
}

/** What a job takes beyond the process at rest with its store open, MB. */
async function above(store: StorageProcess, job: () => Promise<StorageResult>, signal: AbortSignal) {
  await sleep(SETTLE_MS, undefined, { signal });
  forgetPeak(store.pid);
  const idle = memoryOf(store.pid).rss;
  const result = await job();
  return { result, idle, above: memoryOf(store.pid).peak - idle };
}

async function* runMemory({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const sizes = options.quick ? [30] : process.env['STORAGE_3GB'] === '1' ? [30, 300, 3000] : [30, 300];
  yield* inFolder(signal, async function* (setting) {
    for (const size of sizes) {
      const file = setting.path('file');
      await writeNoise(file, size * MB, `memory ${size}`);
      const theirs = await setting.start();
      const imported = await above(theirs, () => theirs.run({ do: 'import', file, chunks: 'fixed' }), signal);
      rmSync(file);
      const { url = '' } = await theirs.run({ do: 'serve' });
      const ours = await setting.start();
      const cid = imported.result.cid ?? '';
      const fetched = await above(ours, () => ours.run({ do: 'fetch', cid, url }), signal);
      await Promise.all([theirs.stop(), ours.stop()]);
      say(
        `${size} MB: import ${rounded(imported.above, 1)} MB, fetch ${rounded(fetched.above, 1)} MB above idle`,
      );
      for (const [what, took] of [
        ['import', imported],
        ['fetch', fetched],
      ] as const)
        yield figureOf({
          figure: `storage.memory.${what}${size}`,
          unit: 'MB',
          values: [took.above],
          goal: MEMORY_GOAL_MB,
          context: { fileMB: size, idleMB: took.idle },
        });
    }
  });
}

async function* runFetch({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const [size, runs] = options.quick ? [30, 2] : [IMAGE_MB, 5];
  yield* inFolder(signal, async function* (setting) {
    const archive = setting.path('image.tar');
    await writeImage(archive, size * MB, 1);
    const theirs = await setting.start();
    const { cid = '' } = await theirs.run({ do: 'image', archive, name: 'image' });
    const { url = '' } = await theirs.run({ do: 'serve' });
    const results: StorageResult[] = [];
    for (let run = 0; run < runs; run++) {
      const ours = await setting.start();
      results.push(await ours.run({ do: 'fetch', cid, url }));
      await ours.stop();
    }
    const rates = results.map(rateOf);
    say(`${rates.map((rate) => rounded(rate, 0)).join(', ')} MB/s`);
    yield figureOf({
      figure: 'storage.fetch.cold',
      unit: 'MB/s',
      better: 'more',
      values: rates,
      goal: FETCH_GOAL,
      context: { imageMB: size, blocks: results[0]?.blocks, cpuMsPerMB: cpuOf(results) },
    });
  });
}

async function* runDelta({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const size = options.quick ? 35 : IMAGE_MB;
  yield* inFolder(signal, async function* (setting) {
    const theirs = await setting.start();
    const cids: string[] = [];
    for (const version of [1, 2]) {
      const archive = setting.path('image.tar');
      await writeImage(archive, size * MB, version);
      cids.push((await theirs.run({ do: 'image', archive, name: `v${version}` })).cid ?? '');
      rmSync(archive);
    }
    const { url = '' } = await theirs.run({ do: 'serve' });
    const ours = await setting.start();
    const [first = '', second = ''] = cids;
    const whole = await ours.run({ do: 'fetch', cid: first, url });
    const delta = await ours.run({ do: 'fetch', cid: second, url });
    const movedMB = (delta.fetchedBytes ?? NaN) / MB;
    say(`${rounded(movedMB)} MB of ${rounded((delta.bytes ?? NaN) / MB, 1)}`);
    yield figureOf({
      figure: 'storage.delta.code',
      unit: 'MB',
      values: [movedMB],
      goal: DELTA_GOAL_MB,
      context: { imageMB: size, wholeMB: rounded((whole.fetchedBytes ?? NaN) / MB, 1), ms: delta.ms },
    });
  });
}

const within =
  (quickS: number, s: number) =>
  ({ quick }: { quick: boolean }) =>
    quick ? quickS : s;

export const storage: readonly Benchmark[] = [
  {
    name: 'storage.import',
    about: 'storing a file: MB/s until it is durable; beside Kubo where KUBO_BIN names its program',
    withinS: within(120, 600),
    run: runImport,
  },
  {
    name: 'storage.memory',
    about: 'memory of storing and of fetching above that at rest; 3 GB too with STORAGE_3GB=1',
    withinS: within(120, 900),
    run: runMemory,
  },
  {
    name: 'storage.fetch',
    about: 'fetching an image of which nothing is here, over loopback, until it is durable',
    withinS: within(120, 600),
    run: runFetch,
  },
  {
    name: 'storage.delta',
    about: 'bytes that move for an image of which one file has changed',
    withinS: within(120, 600),
    run: runDelta,
  },
];
