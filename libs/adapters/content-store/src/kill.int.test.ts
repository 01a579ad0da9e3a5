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
    console.log(cid.toString());
  }`;

/** Runs the importer, kills it a given time after its first import; gives what it said was durable. */
async function importUntilKilled(killAfterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', IMPORTER, folder], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    if (line === 'open') setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    else said.push(line);
  });
  await new Promise((resolve) => child.once('close', resolve));
  return said;
}

test('whatever was said to be stored is whole after SIGKILL at any moment of an import', async () => {
  const stored: string[] = [];
  for (const killAfterMs of [5, 40, 90, 140, 230, 310]) {
    stored.push(...(await importUntilKilled(killAfterMs)));
    const store = await openBlockStore({ folder, clock: systemClock });
    try {
      for (const cid of stored.slice(-10)) await verifyDag(store, parseCid(cid));
    } finally {
      await store.close();
    }
  }
  expect(stored.length).toBeGreaterThan(2);
});
