import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@antirio/host';
import { parseCid } from './block.ts';
import { openBlockStore } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { seeded } from './test-blocks.ts';
import { TestGateway } from './test-gateway.ts';
import { importFile } from './unixfs-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-kill-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Imports one file after the other, all different, each synced in parts behind what is written; on stdout when one is durable. */
const IMPORTER = `
  import { randomBytes } from 'node:crypto';
  import { importFile, openBlockStore } from '@antirio/content-store';
  import { systemClock } from '@antirio/host';
  const store = await openBlockStore({ folder: process.argv[1], clock: systemClock, packBytes: 4 << 20, unflushedBytes: 500_000 });
  console.log('open');
  for (let n = 0; ; n++) {
    async function* content() { for (let i = 0; i < 12; i++) yield randomBytes(200_000 + n); }
    const { cid } = await importFile(store, content());
    await store.pin('file/' + n, cid);
    console.log('+' + cid.toString());
  }`;

/** Keeps the last three files of many, and has the others collected again and again: packs are moved all the time. */
const COLLECTOR = `
  import { randomBytes } from 'node:crypto';
  import { fixedChunker, importFile, openBlockStore } from '@antirio/content-store';
  import { systemClock } from '@antirio/host';
  const store = await openBlockStore({ folder: process.argv[1], clock: systemClock, packBytes: 300_000 });
  console.log('open');
  const kept = store.pins().map(({ name, cid }) => ({ name, cid }));
  for (;;) {
    async function* content() { yield randomBytes(90_000); }
    const { cid } = await importFile(store, content(), { chunker: fixedChunker(20_000) });
    const name = 'file/' + cid.toString();
    await store.pin(name, cid);
    console.log('+' + cid.toString());
    kept.push({ name, cid });
    if (kept.length <= 3) continue;
    const [old] = kept.splice(Math.floor(Math.random() * 3), 1);
    console.log('-' + old.cid.toString());
    store.unpin(old.name);
    await store.collect();
  }`;

/** So many milliseconds after the program has said so many times that something is durable. */
interface Kill {
  readonly durable: number;
  readonly ms: number;
}

/** Runs a program, kills it; keeps account of what it said was durable, and still wanted. */
async function runUntilKilled(
  program: string,
  kill: Kill,
  durable: Set<string>,
  args: readonly string[] = [],
): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder, ...args], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const lines = createInterface({ input: child.stdout });
  let killing: NodeJS.Timeout | undefined;
  let said = 0;
  lines.on('line', (line) => {
    if (line.startsWith('-')) durable.delete(line.slice(1));
    if (line.startsWith('+')) {
      durable.add(line.slice(1));
      said++;
    }
    if (said >= kill.durable) killing ??= setTimeout(() => child.kill('SIGKILL'), kill.ms);
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(killing);
}

const kills = (...all: readonly [durable: number, ms: number][]): Kill[] =>
  all.map(([durable, ms]) => ({ durable, ms }));

test('whatever was said to be stored is whole after SIGKILL at any moment of an import', async () => {
  const durable = new Set<string>();
  for (const kill of kills([0, 5], [1, 13], [1, 70], [2, 30])) {
    await runUntilKilled(IMPORTER, kill, durable);
    const store = await openBlockStore({ folder, clock: systemClock });
    try {
      for (const cid of [...durable].slice(-10)) await verifyDag(store, parseCid(cid));
    } finally {
      await store.close();
    }
  }
  expect(durable.size).toBeGreaterThan(2);
});

test('what is pinned is whole after SIGKILL at any moment of a collection, and what is not is freed later', async () => {
  const durable = new Set<string>();
  for (const kill of kills([4, 2], [5, 9], [6, 31], [5, 60])) {
    await runUntilKilled(COLLECTOR, kill, durable);
    const store = await openBlockStore({ folder, clock: systemClock, packBytes: 300_000 });
    try {
      for (const cid of durable) await verifyDag(store, parseCid(cid));
      await store.collect();
      for (const cid of durable) await verifyDag(store, parseCid(cid));
      // Four files of 90 kB at most are pinned, a quarter of a pack may be garbage.
      expect(store.usage().bytes).toBeLessThan(600_000);
    } finally {
      await store.close();
    }
  }
  expect(durable.size).toBeGreaterThan(0);
});

/** Fetches a file block by block or as CARs, and says when it is whole. */
const FETCHER = `
  import { fetchDag, openBlockStore, parseCid, urlProvider } from '@antirio/content-store';
  import { systemClock } from '@antirio/host';
  const [folder, cid, url] = process.argv.slice(1);
  const store = await openBlockStore({ folder, clock: systemClock });
  console.log('open');
  const provider = urlProvider('gateway', url);
  await fetchDag(store, parseCid(cid), [provider], { parallel: 2 });
  provider.close();
  console.log('+' + cid);
  await store.close();`;

test('a fetch that is killed again and again goes on from the blocks it has', async () => {
  const gateway = await TestGateway.open();
  try {
    const options = { chunker: fixedChunker(20_000), maxLinks: 100 };
    const { cid, size } = await importFile(gateway.theirs, seeded(24 << 20, 'killed'), options);
    let served = 0;
    const { url } = await gateway.serve(gateway.theirs, { onServed: (bytes) => (served += bytes) });
    const whole = new Set<string>();
    let runs = 0;
    for (; whole.size === 0; runs++)
      await runUntilKilled(FETCHER, { durable: 0, ms: runs < 3 ? 60 + 20 * runs : 20_000 }, whole, [
        cid.toString(),
        url,
      ]);
    expect(runs).toBeGreaterThan(1);
    // What was under way at each kill goes twice, and CARs are sent ahead of what is stored of them.
    expect(served).toBeLessThan(size * 2);
    const store = await openBlockStore({ folder, clock: systemClock });
    await verifyDag(store, cid).finally(() => store.close());
  } finally {
    await gateway.close();
  }
});
