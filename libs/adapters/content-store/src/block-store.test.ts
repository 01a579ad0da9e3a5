import { createCipheriv } from 'node:crypto';
import {
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
  appendFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '@antirio/host';
import { encode, prepare } from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { checkBlock, DAG_PB, makeBlock, RAW, type Block } from './block.ts';
import { openBlockStore, type BlockStore, type BlockStoreOptions } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { importFile, readFile } from './unixfs-file.ts';

let folder: string;
let open: BlockStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-blocks-'));
});
afterEach(async () => {
  await Promise.all(open.map((store) => store.close().catch(() => undefined)));
  open = [];
  rmSync(folder, { recursive: true, force: true });
});

async function opened(options: Partial<BlockStoreOptions> = {}): Promise<BlockStore> {
  const store = await openBlockStore({ folder, clock: systemClock, ...options });
  open.push(store);
  return store;
}

async function closed(store: BlockStore): Promise<void> {
  open = open.filter((other) => other !== store);
  await store.close();
}

const block = (n: number, size = 1000): Block =>
  makeBlock(RAW, new Uint8Array(size).fill(n % 251).fill(n >> 8, 0, 4));
const packs = (): string[] => readdirSync(join(folder, 'packs')).map((name) => join(folder, 'packs', name));
const firstPack = (): string => packs()[0] as string;

async function* bytesOf(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

/** Copies the store as a SIGKILL would leave it: the files as they are, nothing closed. */
function damage(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  const byte = readFileSync(path)[at] as number;
  writeSync(fd, Uint8Array.of(byte ^ 1), 0, 1, at);
  closeSync(fd);
}

test('what was put is there, once, also after opening it again', async () => {
  const store = await opened();
  const blocks = [block(1), block(2), makeBlock(RAW, new Uint8Array()), block(1)];
  for (const each of blocks) await store.put(each);
  expect(store.usage().blocks).toBe(3);
  await closed(store);
  const again = await opened();
  for (const each of blocks)
    expect(Buffer.from(await again.get(each.cid)).equals(Buffer.from(each.bytes))).toBe(true);
  expect(again.has(block(3).cid)).toBe(false);
  await expect(again.get(block(3).cid)).rejects.toMatchObject({ code: 'notFound' });
});

test('two processes cannot have one store open', async () => {
  await opened();
  await expect(openBlockStore({ folder, clock: systemClock })).rejects.toMatchObject({ code: 'unavailable' });
});

describe('a block that is not what its name says never comes out', () => {
  test('bytes from outside under a wrong CID are no block', () => {
    expect(() => checkBlock(block(1).cid, block(2).bytes)).toThrow(/the bytes are not those of/);
    expect(() => checkBlock(block(1).cid, new Uint8Array((2 << 20) + 1))).toThrow(/over the limit/);
  });

  test('a byte flipped on the disk: refused once, then simply not there, then stored again', async () => {
    const store = await opened();
    await store.put(block(1));
    await store.put(block(2));
    await store.flush();
    damage(firstPack(), 500);
    await expect(store.get(block(1).cid)).rejects.toMatchObject({ code: 'corrupt' });
    expect(store.has(block(1).cid)).toBe(false);
    expect(store.usage().damaged).toBe(1);
    await store.get(block(2).cid);
    await store.put(block(1));
    await store.get(block(1).cid);
  });
});

describe('after a crash the whole records are there and the rest is cut off', () => {
  /** A store with three flushed blocks, closed. */
  async function filled(): Promise<void> {
    const store = await opened();
    for (const n of [1, 2, 3]) await store.put(block(n));
    await closed(store);
  }

  test.each([
    ['garbage', Buffer.alloc(700, 0xa5)],
    ['zeros', Buffer.alloc(5000)],
    ['half a header', Buffer.alloc(11, 1)],
  ])('a tail of %s', async (_name, tail) => {
    await filled();
    const size = statSync(firstPack()).size;
    appendFileSync(firstPack(), tail);
    const store = await opened();
    expect(statSync(firstPack()).size).toBe(size);
    for (const n of [1, 2, 3]) await store.get(block(n).cid);
    await store.put(block(4));
    await store.flush();
    await store.get(block(4).cid);
  });

  test('an index that is lost, unreadable, or older than the packs', async () => {
    await filled();
    const old = readFileSync(join(folder, 'index.sqlite'));
    for (const spoil of [
      () => rmSync(join(folder, 'index.sqlite')),
      () => writeFileSync(join(folder, 'index.sqlite'), 'this is no database'.repeat(300)),
      () => writeFileSync(join(folder, 'index.sqlite'), old),
    ]) {
      for (const rest of ['-wal', '-shm']) rmSync(join(folder, `index.sqlite${rest}`), { force: true });
      spoil();
      const store = await opened();
      for (const n of [1, 2, 3]) await store.get(block(n).cid);
      await store.put(block(9));
      await closed(store);
    }
  });

  test('a pack cut anywhere keeps the records before the cut, with or without its index', async () => {
    await filled();
    const pack = firstPack();
    const whole = readFileSync(pack);
    const record = whole.length / 3;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), fc.boolean(), async (cut, lostIndex) => {
        writeFileSync(pack, whole);
        await closed(await opened());
        if (lostIndex)
          for (const end of ['', '-wal', '-shm']) rmSync(join(folder, `index.sqlite${end}`), { force: true });
        truncateSync(pack, cut);
        const store = await opened();
        const there = [1, 2, 3].map((n) => store.has(block(n).cid));
        await closed(store);
        expect(there).toEqual([1, 2, 3].map((n) => cut >= n * record));
      }),
      { numRuns: 15 },
    );
  });

  test.each([
    ['content', 500],
    ['length', 2],
    ['checksum', 5],
    ['digest', 20],
  ])(
    'a record whose %s is damaged does not take the later ones with it, without index either',
    async (_what, at) => {
      await filled();
      damage(firstPack(), at);
      for (const end of ['', '-wal', '-shm']) rmSync(join(folder, `index.sqlite${end}`), { force: true });
      const store = await opened();
      expect([1, 2, 3].map((n) => store.has(block(n).cid))).toEqual([false, true, true]);
    },
  );
});

test('a full store says so and keeps what it has', async () => {
  const store = await opened({ quotaBytes: 2500 });
  await store.put(block(1));
  await store.put(block(2));
  await expect(store.put(block(3))).rejects.toMatchObject({ code: 'storageFull' });
  await store.flush();
  await store.get(block(1).cid);
  await store.put(block(1));
});

test('what nobody needs makes room where room is scarce, be it a small part of a pack', async () => {
  const store = await opened({ quotaBytes: 22_000 });
  for (let n = 0; n < 20; n++) {
    await store.put(block(n));
    if (n !== 7) await store.pin(`p${n}`, block(n).cid);
  }
  await store.put(block(20));
  await expect(store.put(block(21))).rejects.toMatchObject({ code: 'storageFull' });
  expect(await store.collect()).toMatchObject({ forgottenBlocks: 2 });
  await store.put(block(21));
  await store.flush();
  for (let n = 0; n < 20; n++) expect(store.has(block(n).cid)).toBe(n !== 7);
});

describe('collecting frees what no pin reaches, and only that', () => {
  const content = (n: number): Buffer =>
    createCipheriv('chacha20', Buffer.alloc(32, n), Buffer.alloc(16)).update(Buffer.alloc(20_000));
  const stored = (store: BlockStore, n: number) =>
    importFile(store, bytesOf(content(n)), { chunker: fixedChunker(1000), maxLinks: 4 });
  async function read(store: BlockStore, cid: Block['cid']): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of readFile(store, cid)) parts.push(part);
    return Buffer.concat(parts);
  }

  test('pinned files stay readable, others go, their bytes come back, across packs and openings', async () => {
    let store = await opened({ packBytes: 16_000 });
    const files = await Promise.all([3, 5, 7, 11].map((n) => store.session(() => stored(store, n))));
    await store.pin('keep/5', files[1]!.cid);
    await store.pin('keep/11', files[3]!.cid);
    await store.pin('drop', files[0]!.cid);
    expect(store.unpin('drop')).toBe(true);
    const before = store.usage().bytes;
    const collected = await store.collect();
    expect(collected.freedBytes).toBeGreaterThan(10_000);
    expect(store.usage().bytes).toBe(before - collected.freedBytes);
    await closed(store);
    store = await opened({ packBytes: 16_000 });
    expect(await read(store, files[1]!.cid)).toEqual(content(5));
    expect(await read(store, files[3]!.cid)).toEqual(content(11));
    expect(store.has(files[0]!.cid)).toBe(false);
    expect(store.pins().map((pin) => pin.name)).toEqual(['keep/11', 'keep/5']);
    await store.session(() => stored(store, 3));
    expect(await read(store, files[0]!.cid)).toEqual(content(3));
  });

  test('not while a session puts blocks, and a session waits for a collection', async () => {
    const store = await opened();
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const session = store.session(async () => {
      await stored(store, 3);
      await finished;
    });
    await expect(store.collect()).rejects.toMatchObject({ code: 'busy' });
    finish();
    await session;
    const collecting = store.collect();
    const seen = await store.session(async () => store.usage().blocks);
    expect(seen).toBe(0);
    await collecting;
  });

  test('a pinned DAG that leads to what cannot be here, is malformed or damaged, does not stand in the way', async () => {
    const store = await opened();
    const leaf = block(5);
    const foreign = CID.createV1(0x71, leaf.cid.multihash);
    const links = [foreign, leaf.cid].map((Hash, i) => ({ Name: `f${i}`, Hash, Tsize: 0 }));
    const roots = [
      makeBlock(DAG_PB, encode(prepare({ Links: links }))),
      makeBlock(DAG_PB, Buffer.from('no node')),
      makeBlock(DAG_PB, encode(prepare({ Data: Buffer.from('damaged'), Links: [] }))),
    ];
    for (const each of [leaf, ...roots, block(6)]) await store.put(each);
    for (const [i, root] of roots.entries()) await store.pin(`root/${i}`, root.cid);
    damage(firstPack(), readFileSync(firstPack()).indexOf('damaged'));
    expect(await store.collect()).toMatchObject({ forgottenBlocks: 1 });
    await store.get(leaf.cid);
    expect(store.usage()).toMatchObject({ blocks: 3, damaged: 1 });
  });

  test('a root of which not everything has arrived keeps what has', async () => {
    const store = await opened();
    const file = await stored(store, 13);
    const blocks = new Map<string, Uint8Array>();
    await store.pin('all', file.cid);
    for await (const part of readFile(store, file.cid)) blocks.set(makeBlock(RAW, part).cid.toString(), part);
    const other = await openBlockStore({ folder: join(folder, 'other'), clock: systemClock });
    try {
      await other.pin('partial', file.cid);
      await other.put(checkBlock(file.cid, await store.get(file.cid)));
      await other.put(block(1));
      expect((await other.collect()).forgottenBlocks).toBe(1);
      expect(other.has(file.cid)).toBe(true);
    } finally {
      await other.close();
    }
  });
});
