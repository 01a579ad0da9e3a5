import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { forgetPeak, memoryOf } from './kernel.ts';
import { writeNoise } from './storage-files.ts';
import { readAway, type Kubo } from './storage-kubo.ts';
import { inFolder, MB, referenceOf, type StorageSetting } from './storage-setting.ts';

/** 64 MiB. */
const GOAL_MB = 67.1;
const SETTLE_MS = 500;

interface Above<T> {
  readonly result: T;
  readonly idle: number;
  /** MB beyond the process at rest. */
  readonly above: number;
}

async function above<T>(pid: number, job: () => Promise<T>, signal: AbortSignal): Promise<Above<T>> {
  await sleep(SETTLE_MS, undefined, { signal });
  forgetPeak(pid);
  const idle = memoryOf(pid).rss;
  const result = await job();
  return { result, idle, above: memoryOf(pid).peak - idle };
}

function* figuresOf(
  whose: string,
  size: number,
  took: Readonly<Record<string, Above<unknown>>>,
  context: Readonly<Record<string, unknown>>,
  goal?: number,
): Generator<Figure> {
  for (const [what, { above: values, idle }] of Object.entries(took))
    yield figureOf({
      figure: `${whose}.${what}${size}`,
      unit: 'MB',
      values: [values],
      goal,
      context: { fileMB: size, idleMB: idle, ...context },
    });
}

async function ours(file: string, setting: StorageSetting, signal: AbortSignal) {
  const from = await setting.start();
  const job = { do: 'import', file, as: 'v1' } as const;
  const imported = await above(from.pid, () => from.run(job), signal);
  const { url = '' } = await from.run({ do: 'serve' });
  const to = await setting.start();
  const cid = imported.result.cid ?? '';
  const fetched = await above(to.pid, () => to.run({ do: 'fetch', cid, url }), signal);
  await Promise.all([from.stop(), to.stop()]);
  return { import: imported, fetch: fetched };
}

/** Of Kubo's daemon: `ipfs add` by it, and a CAR out of its gateway, which is what it does for a fetch over HTTP. */
async function kubos(file: string, kubo: Kubo, signal: AbortSignal) {
  const repository = kubo.init('unixfs-v1-2025');
  const { pid, gateway } = await repository.daemon();
  const imported = await above(pid, () => repository.add(file), signal);
  const car = `${gateway}/ipfs/${imported.result}?format=car`;
  const served = await above(pid, () => readAway(car), signal);
  await kubo.close();
  repository.remove();
  return { import: imported, serve: served };
}

export async function* runMemory({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const sizes = options.quick ? [8] : process.env['STORAGE_3GB'] === '1' ? [30, 300, 3000] : [30, 300];
  yield* inFolder(signal, async function* (setting) {
    for (const size of sizes) {
      const file = setting.path('file');
      await writeNoise(file, size * MB, `memory ${size}`);
      const took = await ours(file, setting, signal);
      const [stored, fetched] = [took.import.above, took.fetch.above].map((mb) => rounded(mb, 1));
      say(`${size} MB: import ${stored} MB, fetch ${fetched} MB above idle`);
      const reference = referenceOf(setting);
      yield* figuresOf('storage.memory', size, took, { reference }, GOAL_MB);
      if (setting.kubo !== undefined)
        yield* figuresOf('storage.memory.kubo', size, await kubos(file, setting.kubo, signal), {});
      rmSync(file);
    }
  });
}
