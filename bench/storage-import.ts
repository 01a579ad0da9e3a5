import { BenchError, type BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { monotonic } from './clock.ts';
import { writeNoise } from './storage-files.ts';
import type { StorageJob, StorageResult } from './storage-jobs.ts';
import type { Profile } from './storage-kubo.ts';
import { cpuOf, inFolder, MB, rateOf, referenceOf, type StorageSetting } from './storage-setting.ts';

interface Added {
  readonly cid: string;
  readonly rate: number;
  readonly startMs: number;
}

type As = Extract<StorageJob, { do: 'import' }>['as'];

/** Kubo's `ipfs add` of the file into a new repository, without what the program needs to start. */
async function kuboAdds(
  file: string,
  bytes: number,
  profile: Profile,
  { kubo }: StorageSetting,
): Promise<Added | undefined> {
  const repository = kubo?.init(profile);
  if (repository === undefined) return undefined;
  const startMs = await repository.startMs();
  const began = monotonic();
  const cid = await repository.add(file);
  const ms = monotonic() - began - startMs;
  repository.remove();
  return { cid, startMs, rate: bytes / MB / (ms / 1000) };
}

async function weAdd(file: string, as: As, setting: StorageSetting): Promise<StorageResult> {
  const store = await setting.start();
  try {
    return await store.run({ do: 'import', file, as });
  } finally {
    await store.stop();
  }
}

interface Import {
  readonly figure: string;
  readonly as: As;
  /** What Kubo is asked to do the same by. */
  readonly profile?: Profile;
}

const IMPORTS: readonly Import[] = [
  { figure: 'storage.import', as: 'v1', profile: 'unixfs-v1-2025' },
  { figure: 'storage.import.v0', as: 'v0', profile: 'unixfs-v0-2015' },
  { figure: 'storage.import.tar', as: 'tar' },
];

/** In turns, so that what else the machine does meets both. */
async function* importOf(
  { figure, as, profile }: Import,
  file: string,
  [bytes, runs]: readonly [number, number],
  setting: StorageSetting,
  say: BenchPorts['say'],
): AsyncGenerator<Figure> {
  const [ours, theirs]: [StorageResult[], Added[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    const added = profile === undefined ? undefined : await kuboAdds(file, bytes, profile, setting);
    const result = await weAdd(file, as, setting);
    ours.push(result);
    if (added === undefined) continue;
    theirs.push(added);
    if (added.cid !== result.cid) throw new BenchError(`Kubo's CID is ${added.cid}, ours is ${result.cid}`);
  }
  const rates = ours.map(rateOf);
  say(`${figure}: ${rates.map((rate) => rounded(rate, 0)).join(', ')} MB/s`);
  const compared =
    profile === undefined ? {} : { reference: referenceOf(setting), profile, cid: ours[0]?.cid };
  const context = { fileMB: bytes / MB, cpuMsPerMB: cpuOf(ours), ...compared };
  yield figureOf({ figure, unit: 'MB/s', better: 'more', values: rates, context });
  if (theirs.length === 0) return;
  const kuboMBps = theirs.map(({ rate }) => rounded(rate, 0));
  yield figureOf({
    figure: `${figure}.ratio`,
    unit: 'times Kubo',
    better: 'more',
    values: rates.map((rate, i) => rate / (theirs[i]?.rate ?? NaN)),
    goal: 1,
    context: { kuboMBps, kuboStartMs: theirs.map(({ startMs }) => rounded(startMs, 0)) },
  });
}

export async function* runImport({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const amount = options.quick ? ([8 * MB, 1] as const) : ([200 * MB, 5] as const);
  yield* inFolder(signal, async function* (setting) {
    const file = setting.path('file');
    await writeNoise(file, amount[0], 'import');
    for (const each of IMPORTS) yield* importOf(each, file, amount, setting, say);
  });
}
