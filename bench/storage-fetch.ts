import { BenchError, type BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { writeImage } from './storage-files.ts';
import type { StorageResult } from './storage-jobs.ts';
import { openBody, readAway, type Kubo } from './storage-kubo.ts';
import { cpuOf, inFolder, MB, rateOf, referenceOf, type StorageSetting } from './storage-setting.ts';

const GOAL_MBPS = 120;
const IMAGE_MB = 345;

/** The DAG into a new store, from that gateway. */
export async function fetchCold(cid: string, url: string, setting: StorageSetting): Promise<StorageResult> {
  const store = await setting.start();
  try {
    return await store.run({ do: 'fetch', cid, url });
  } finally {
    await store.stop();
  }
}

/** What Kubo does with the same image: each in MB/s of its blocks. */
interface KuboRun {
  /** Its gateway's CAR, read and thrown away. */
  readonly gateway: number;
  /** The same by its RPC. */
  readonly export: number;
  /** That CAR of the gateway taken by another Kubo, checked and pinned. */
  readonly import: number;
  /** The image by our store from its gateway, checked and synced. */
  readonly ours: number;
}

/** Kubos that have the image from our gateway's CAR. */
async function openReference(kubo: Kubo, cid: string, url: string) {
  const repository = kubo.init('unixfs-v1-2025');
  await repository.importCar(await openBody(`${url}/ipfs/${cid}?format=car`));
  return repository.daemon();
}

async function askKubo(
  kubo: Kubo,
  { gateway, rpc }: { readonly gateway: string; readonly rpc: string },
  { cid = '', bytes = 0 }: StorageResult,
  setting: StorageSetting,
): Promise<KuboRun> {
  const rate = (ms: number): number => bytes / MB / (ms / 1000);
  const car = `${gateway}/ipfs/${cid}?format=car`;
  const read = await readAway(car);
  const exported = await readAway(`${rpc}/api/v0/dag/export?arg=${cid}&progress=false`, 'POST');
  if (Math.min(read.bytes, exported.bytes) < bytes) throw new BenchError("Kubo's CAR is not whole");
  const other = kubo.init('unixfs-v1-2025');
  const importedMs = await other.importCar(await openBody(car));
  other.remove();
  const fetched = await fetchCold(cid, gateway, setting);
  return {
    gateway: rate(read.ms),
    export: rate(exported.ms),
    import: rate(importedMs),
    ours: rateOf(fetched),
  };
}

function* compared(ours: readonly number[], runs: readonly KuboRun[], imageMB: number): Generator<Figure> {
  const figure = (name: string, values: readonly number[]): Figure =>
    figureOf({ figure: `storage.fetch.${name}`, unit: 'MB/s', better: 'more', values, context: { imageMB } });
  yield figure(
    'fromKubo',
    runs.map((run) => run.ours),
  );
  for (const what of ['gateway', 'export', 'import'] as const)
    yield figure(
      `kubo.${what}`,
      runs.map((run) => run[what]),
    );
  yield figureOf({
    figure: 'storage.fetch.ratio',
    unit: "times Kubo's gateway",
    better: 'more',
    values: ours.map((rate, i) => rate / (runs[i]?.gateway ?? NaN)),
    goal: 1,
    context: { toKubosImport: ours.map((rate, i) => rounded(rate / (runs[i]?.import ?? NaN), 2)) },
  });
}

export async function* runFetch({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const [size, runs] = options.quick ? [8, 1] : [IMAGE_MB, 5];
  yield* inFolder(signal, async function* (setting) {
    const { kubo } = setting;
    const archive = setting.path('image.tar');
    await writeImage(archive, size * MB);
    const theirs = await setting.start();
    const { cid = '' } = await theirs.run({ do: 'image', archive, name: 'image' });
    const { url = '' } = await theirs.run({ do: 'serve' });
    const daemon = kubo === undefined ? undefined : await openReference(kubo, cid, url);
    const results: StorageResult[] = [];
    const kuboRuns: KuboRun[] = [];
    for (let run = 0; run < runs; run++) {
      const fetched = await fetchCold(cid, url, setting);
      results.push(fetched);
      if (kubo !== undefined && daemon !== undefined)
        kuboRuns.push(await askKubo(kubo, daemon, fetched, setting));
    }
    const rates = results.map(rateOf);
    say(`${rates.map((rate) => rounded(rate, 0)).join(', ')} MB/s`);
    const context = { imageMB: size, blocks: results[0]?.blocks, cpuMsPerMB: cpuOf(results), cid };
    yield figureOf({
      figure: 'storage.fetch.cold',
      unit: 'MB/s',
      better: 'more',
      values: rates,
      goal: GOAL_MBPS,
      context: { ...context, reference: referenceOf(setting) },
    });
    if (kuboRuns.length > 0) yield* compared(rates, kuboRuns, size);
  });
}
