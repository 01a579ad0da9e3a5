import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@antirio/host';
import { parseCid } from './block.ts';
import { openBlockStore } from './block-store.ts';
import { verifyDag } from './dag.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-kill-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Imports one file after the other, all different, and says on stdout when one is durable. */
const IMPORTER = `
  import { randomBytes } from 'node:crypto';
  import { importFile, openBlockStore } from '@antirio/content-store';
  import { systemClock } from '@antirio/host';
  const store = await openBlockStore({ folder: process.argv[1], clock: systemClock, packBytes: 4 << 20 });
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

/** Runs a program, kills it a given time after it has opened the store; gives what it said was durable, and still wanted. */
async function runUntilKilled(program: string, killAfterMs: number, durable: Set<string>): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    if (line === 'open') setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    else if (line.startsWith('+')) durable.add(line.slice(1));
    else durable.delete(line.slice(1));
  });
  await new Promise((resolve) => child.once('close', resolve));
}

test('whatever was said to be stored is whole after SIGKILL at any moment of an import', async () => {
  const durable = new Set<string>();
  for (const killAfterMs of [5, 40, 90, 140, 230, 310]) {
    await runUntilKilled(IMPORTER, killAfterMs, durable);
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
  for (const killAfterMs of [30, 61, 97, 143, 202]) {
    await runUntilKilled(COLLECTOR, killAfterMs, durable);
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
