// The program that a benchmark of storage runs in a process of its own: one block store, and what is asked of it.
import { createHttpRim, createLog, systemClock } from '@antirio/host';
import {
  createGateway,
  fetchDag,
  importCar,
  importFile,
  importImage,
  openBlockStore,
  parseCid,
  tarAlignedChunker,
  unixfsV0,
  urlProvider,
  wholeFile,
} from '@antirio/content-store';
import type { StorageJob, StorageResult } from './storage-jobs.ts';

const [folder = ''] = process.argv.slice(2);
const store = await openBlockStore({ folder, clock: systemClock, quotaBytes: 16 * 2 ** 30 });

async function importOf(job: Extract<StorageJob, { do: 'import' }>): Promise<{ cid: string; bytes: number }> {
  const options = { v0: { profile: unixfsV0 }, v1: {}, tar: { chunker: tarAlignedChunker() } }[job.as];
  const { cid, size } = await store.session(() => importFile(store, wholeFile(job.file), options));
  await store.pin(job.file, cid);
  return { cid: cid.toString(), bytes: size };
}

async function imageOf(job: Extract<StorageJob, { do: 'image' }>): Promise<{ cid: string; bytes: number }> {
  const { cid, size } = await store.session(() => importImage(store, job.archive));
  await store.pin(job.name, cid);
  return { cid: cid.toString(), bytes: size };
}

async function fetchOf(job: Extract<StorageJob, { do: 'fetch' }>): Promise<StorageResult> {
  const provider = urlProvider('host', job.url);
  try {
    const { bytes, fetchedBytes, blocks } = await fetchDag(store, parseCid(job.cid), [provider]);
    return { cid: job.cid, bytes, fetchedBytes, blocks };
  } finally {
    provider.close();
  }
}

/** Each lie is told to a fetch of its own; the CAR of one goes by the reader of CARs. */
async function believeOf(job: Extract<StorageJob, { do: 'believe' }>): Promise<StorageResult> {
  const provider = urlProvider('liar', job.url);
  let accepted = 0;
  try {
    for (const text of job.cids) {
      const cid = parseCid(text);
      await fetchDag(store, cid, [provider]).catch(() => undefined);
      const car = await provider.fetchCar?.(cid, 10_000);
      if (car !== undefined) await store.session(() => importCar(store, car, cid)).catch(() => undefined);
      if (store.has(cid)) accepted++;
    }
  } finally {
    provider.close();
  }
  return { accepted };
}

async function jobOf(job: Exclude<StorageJob, { do: 'serve' }>): Promise<StorageResult> {
  switch (job.do) {
    case 'import':
      return importOf(job);
    case 'image':
      return imageOf(job);
    case 'fetch':
      return fetchOf(job);
    case 'believe':
      return believeOf(job);
  }
}

async function serve(): Promise<{ url: string }> {
  const log = createLog('storage', 'warn');
  const clock = systemClock;
  const rim = createHttpRim({
    serviceKey: 'storage',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log,
    clock,
  });
  rim.app.use('/ipfs', createGateway(store));
  return { url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` };
}

async function run(job: StorageJob): Promise<StorageResult> {
  if (job.do === 'serve') return serve();
  const [began, before] = [process.hrtime.bigint(), process.cpuUsage()];
  const done = await jobOf(job);
  const { user, system } = process.cpuUsage(before);
  return {
    ...done,
    ms: Number(process.hrtime.bigint() - began) / 1e6,
    cpuMs: Math.round((user + system) / 1000),
  };
}

process.on('message', (job: StorageJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
// Whoever started it may be killed: nothing stays behind.
process.on('disconnect', () => process.exit(0));
process.send?.({});
