import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openBlockStore, verifyDag, type BlockStore } from '@antirio/content-store';
import { systemClock } from '@antirio/host';
import { dagOf } from './dag-of.ts';
import { receiveDag } from './receive-dag.ts';
import type { Dag, StorageNetwork } from './storage-network.ts';
import { makeDeep, makeFile } from './test-dags.ts';

let folder: string;
let ours: BlockStore;
let theirs: BlockStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-receive-'));
  ours = await openBlockStore({ folder: join(folder, 'ours'), clock: systemClock });
  theirs = await openBlockStore({ folder: join(folder, 'theirs'), clock: systemClock });
});
afterEach(async () => {
  await Promise.all([ours.close(), theirs.close()]);
  rmSync(folder, { recursive: true, force: true });
});

/** A network with one memory for all that it sends: each block is overwritten by the next. */
function reusing(dag: Dag): Pick<StorageNetwork, 'get'> {
  const memory = new Uint8Array(2 << 20);
  return {
    async *get() {
      for await (const { cid, bytes } of dag.blocks()) {
        memory.set(bytes);
        yield { cid, bytes: memory.subarray(0, bytes.length) };
        memory.fill(0xee);
      }
    },
  };
}

test('what a network sends is its own again with the next block: nothing that is kept is a view of it', async () => {
  const roots = [await makeFile(theirs, 30_000, 'file', 1000), await makeDeep(theirs, 5)];
  for (const root of roots) {
    const dag = await dagOf(theirs, root);
    await receiveDag(ours, reusing(dag), { cid: root, providers: [] });
    expect((await verifyDag(ours, root)).bytes).toBe(dag.bytes);
  }
});
