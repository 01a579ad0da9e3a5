import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { sha256 } from '@antirio/kernel';
import { fixedChunker } from './chunker.ts';
import { createHashThreads, type HashMemory } from './hash-threads.ts';
import { collect, memory, pieces, seeded } from './test-blocks.ts';
import { importFile, readFile } from './unixfs-file.ts';
import { unixfsV0, unixfsV1 } from './unixfs-profile.ts';

const KiB = 1 << 10;
const WARM = 100 * KiB;

/** Counts what went to a thread: memory that is given to one is empty here. */
function watched(hash: HashMemory): { hash: HashMemory; inThreads: () => number } {
  let count = 0;
  return {
    inThreads: () => count,
    hash(given, length) {
      const hashed = hash(given, length);
      if (given.byteLength === 0) count++;
      return hashed;
    },
  };
}

/** Hashes until threads are there. */
async function warmed(hash: HashMemory): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    const given = new Uint8Array(WARM);
    const hashed = hash(given, WARM);
    const isInThread = given.byteLength === 0;
    await hashed;
    if (isInThread) return;
    await sleep(5);
  }
  throw new TypeError('no thread was started');
}

/** A processor that is called slow whatever it does. */
const slow = { slowMs: 0, threads: 2 };

test('threads give the hashes and the memory back, however many are asked at once', async () => {
  const hash = createHashThreads({ ...slow, idleMs: 200 });
  await warmed(hash);
  const all = await collect(seeded(3 << 20, 'threads'));
  const sizes = [1, 65_535, 65_536, 65_537, 200_000, 1 << 20, 0, 300_000];
  const hashed = await Promise.all(
    sizes.map(async (size, i) => {
      const given = new Uint8Array(size + i * 10);
      given.set(all.subarray(i, i + size));
      const { memory: back, digest } = await hash(given, size);
      expect(back.length).toBe(size + i * 10);
      expect(Buffer.from(back.subarray(0, size)).equals(all.subarray(i, i + size))).toBe(true);
      return Buffer.from(digest).toString('hex');
    }),
  );
  const expected = sizes.map((size, i) => Buffer.from(sha256(all.subarray(i, i + size))).toString('hex'));
  expect(hashed).toEqual(expected);
});

test('a fast processor hashes by itself', async () => {
  const { hash, inThreads } = watched(createHashThreads({ slowMs: 1e9 }));
  for (let i = 0; i < 30; i++) await hash(new Uint8Array(WARM), WARM);
  expect(inThreads()).toBe(0);
});

test('threads end when there is nothing to do, and come back', async () => {
  const { hash, inThreads } = watched(createHashThreads({ ...slow, idleMs: 100 }));
  await warmed(hash);
  let before: number;
  let pauses = 0;
  do {
    expect(pauses++).toBeLessThan(20);
    await sleep(150);
    before = inThreads();
    await hash(new Uint8Array(WARM), WARM);
  } while (inThreads() > before);
  await warmed(hash);
});

describe('a thread that dies', () => {
  const dying = `
    const { parentPort } = require('node:worker_threads');
    parentPort.once('message', () => process.exit(1));
    parentPort.postMessage('ready');`;

  test('fails what it had, clearly; then the process hashes by itself', async () => {
    const { hash, inThreads } = watched(createHashThreads({ ...slow, threads: 1, program: dying }));
    await expect(warmed(hash)).rejects.toMatchObject({ code: 'unavailable' });
    const dead = inThreads();
    for (let i = 0; i < 20; i++) await hash(new Uint8Array(WARM), WARM);
    expect(inThreads()).toBe(dead);
  });

  test('fails the import, which does not go on', async () => {
    const hash = createHashThreads({ ...slow, threads: 1, program: dying });
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let i = 0; ; i++) {
        yield new Uint8Array(1 << 20).fill(i);
        await sleep(1);
      }
    }
    await expect(importFile(memory(), endless(), { hash })).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('whose program does not even start is no loss', async () => {
    const hash = createHashThreads({ ...slow, program: 'this is no program' });
    for (let i = 0; i < 20; i++) {
      expect((await hash(new Uint8Array(WARM), WARM)).digest).toEqual(sha256(new Uint8Array(WARM)));
      await sleep(10);
    }
  });
});

test.each([unixfsV0, unixfsV1])(
  'an import by threads gives the CIDs that one without gives ($name)',
  async (profile) => {
    const threads = createHashThreads({ ...slow, idleMs: 200 });
    await warmed(threads);
    const { hash, inThreads } = watched(threads);
    const options = { profile, chunker: fixedChunker(WARM), maxLinks: 3 };
    for (const size of [0, 1, WARM, 3 * WARM, 3 * WARM + 1, 9 * WARM - 1, 9 * WARM + 1, 27 * WARM + 50_000]) {
      const content = await collect(seeded(size, `${size}`));
      const store = memory();
      const expected = await importFile(memory(), pieces(content, 70_000), options);
      const { cid } = await importFile(store, pieces(content, 70_000), { ...options, hash });
      expect(cid.equals(expected.cid)).toBe(true);
      expect((await collect(readFile(store, cid))).equals(content)).toBe(true);
    }
    expect(inThreads()).toBeGreaterThan(40);
  },
);
