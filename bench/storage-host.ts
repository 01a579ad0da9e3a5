// The program that a benchmark of storage runs in a process of its own: one block store, and what is asked of it.
import { createHttpRim, createLog, systemClock } from '@antirio/host';
import {
  createGateway,
  fetchDag,
  fixedChunker,
  importFile,
  importImage,
  openBlockStore,
  parseCid,
  tarAlignedChunker,
  urlProvider,
  wholeFile,
} from '@antirio/content-store';
import type { StorageJob, StorageResult } from './storage-jobs.ts';

const [folder = ''] = process.argv.slice(2);
const store = await openBlockStore({ folder, clock: systemClock, quotaBytes: 16 * 2 ** 30 });

async function importOf(job: Extract<StorageJob, { do: 'import' }>): Promise<{ cid: string; bytes: number }> {
  const chunker = job.chunks === 'tar' ? tarAlignedChunker() : fixedChunker();
  const { cid, size } = await store.session(() => importFile(store, wholeFile(job.file), { chunker }));
  await store.pin('file', cid);
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
  const done = await (job.do === 'import' ? importOf(job) : job.do === 'image' ? imageOf(job) : fetchOf(job));
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
// What reading the sources has left is not part of a store at rest.
globalThis.gc?.();
// Whoever started it may be killed: nothing stays behind.
process.on('disconnect', () => process.exit(0));
process.send?.({});
