import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encode, prepare } from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { DAG_PB, makeBlock, RAW, type Block } from './block.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { putDirectory, readDirectory } from './unixfs-directory.ts';
import { decodeData, encodeFileData, encodeShardData } from './unixfs-data.ts';
import { importFile, readFile } from './unixfs-file.ts';
import { collect, memory, nowhere, pieces } from './test-blocks.ts';

test('sizes from 2^31 on are written as they are', () => {
  const { cid } = makeBlock(RAW, new Uint8Array());
  for (const size of [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 5, 2 ** 32 - 1, 2 ** 32, 2 ** 40]) {
    const data = decodeData(cid, encodeFileData([size, 1]));
    expect(data.blockSizes).toEqual([BigInt(size), 1n]);
    expect(data.size).toBe(BigInt(size) + 1n);
  }
});

test('what is read is what was imported, however it was cut and in however many levels', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 2, max: 5 }),
      fc.integer({ min: 1, max: 500 }),
      async (content, chunk, maxLinks, piece) => {
        const store = memory();
        const stored = await importFile(store, pieces(content, piece), {
          chunker: fixedChunker(chunk),
          maxLinks,
        });
        expect(await collect(readFile(store, stored.cid))).toEqual(Buffer.from(content));
        expect(stored.size).toBe(content.length);
        const again = await importFile(nowhere, pieces(content, 7), {
          chunker: fixedChunker(chunk),
          maxLinks,
        });
        expect(again.cid.equals(stored.cid)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test('a directory gives back its entries and refuses names that are none', async () => {
  const store = memory();
  const file = await importFile(store, pieces(Buffer.from('abc'), 3));
  const entry = (name: string) => ({ name, cid: file.cid, dagSize: file.dagSize });
  const folder = await putDirectory(store, [entry('b'), entry('a')]);
  expect((await readDirectory(store, folder.cid)).map((e) => e.name)).toEqual(['a', 'b']);
  for (const name of ['', '.', '..', 'a/b', 'a\0'])
    await expect(putDirectory(store, [entry(name)])).rejects.toMatchObject({ code: 'invalidInput' });
  await expect(putDirectory(store, [entry('a'), entry('a')])).rejects.toMatchObject({ code: 'invalidInput' });
  await expect(readDirectory(store, file.cid)).rejects.toMatchObject({ code: 'invalidInput' });
  await expect(collect(readFile(store, folder.cid))).rejects.toMatchObject({ code: 'invalidInput' });
});

test('content that a CID holds itself is read from it, and asked for nowhere', async () => {
  const store = memory();
  const inline = CID.createV1(RAW, createDigest(0, Buffer.from('inline ')));
  const leaf = makeBlock(RAW, Buffer.from('and not'));
  const links = [inline, leaf.cid].map((Hash) => ({ Name: '', Tsize: 7, Hash }));
  const root = makeBlock(DAG_PB, encode(prepare({ Data: encodeFileData([7, 7]), Links: links })));
  await store.put(leaf);
  await store.put(root);
  expect((await collect(readFile(store, root.cid))).toString()).toBe('inline and not');
  expect(await collect(readFile(store, inline))).toEqual(Buffer.from('inline '));
  expect((await verifyDag(store, root.cid)).blocks).toBe(3);
  // A CID whose content looks like the hash of a stored block is not that block.
  const disguised = CID.createV1(RAW, createDigest(0, leaf.cid.multihash.digest));
  expect(await collect(readFile(store, disguised))).toEqual(Buffer.from(leaf.cid.multihash.digest));
});

describe('a sharded directory that lies about itself is refused', () => {
  const shard = (links: [name: string, cid: CID][], hashType = 0x22, fanout = 256): Block =>
    makeBlock(
      DAG_PB,
      encode(
        prepare({
          Data: encodeShardData(Uint8Array.of(1), hashType, fanout),
          Links: links.map(([Name, Hash]) => ({ Name, Tsize: 1, Hash })),
        }),
      ),
    );
  const leaf = makeBlock(RAW, Buffer.from('x'));

  test.each<[string, () => Block[]]>([
    ['an entry where its name does not belong', () => [shard([['00name', leaf.cid]])]],
    ['a link without a bucket', () => [shard([['', leaf.cid]])]],
    ['a bucket in small letters', () => [shard([['aaname', leaf.cid]])]],
    ['a hash that nobody knows', () => [shard([], 0x12)]],
    ['an odd fanout', () => [shard([], 0x22, 100)]],
    ['an endless fanout', () => [shard([], 0x22, 2 ** 40)]],
    ['a shard that is a file', () => [shard([['00', leaf.cid]]), leaf]],
    [
      'shards that are deeper than any hash',
      () => {
        const blocks = [shard([])];
        for (let i = 0; i < 30; i++) blocks.unshift(shard([['00', (blocks[0] as Block).cid]]));
        return blocks;
      },
    ],
  ])('%s', async (_what, make) => {
    const store = memory();
    const blocks = make();
    for (const block of blocks) await store.put(block);
    const root = (blocks[0] as Block).cid;
    await expect(readDirectory(store, root)).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('shards that unfold to more entries than allowed', async () => {
    const store = memory();
    let top = shard([]);
    await store.put(top);
    for (let level = 0; level < 7; level++) {
      const buckets = Array.from({ length: 256 }, (_, i) => i.toString(16).toUpperCase().padStart(2, '0'));
      top = shard(buckets.map((bucket) => [bucket, top.cid]));
      await store.put(top);
    }
    await expect(readDirectory(store, top.cid, 5000)).rejects.toMatchObject({ code: 'tooLarge' });
  });
});

test('what is no UnixFS message is told so, whatever the bytes', async () => {
  const { cid } = makeBlock(DAG_PB, new Uint8Array());
  const bytes = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(bytes, (message) => {
      try {
        expect(decodeData(cid, message).size).toBeGreaterThanOrEqual(0n);
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalidInput' });
      }
    }),
    { numRuns: 3000 },
  );
  for (const message of ['0806', '08', '0aff', '1205', '08020a', '0880808080808080808080808001', '0b'])
    expect(() => decodeData(cid, Buffer.from(message, 'hex'))).toThrow(/is no UnixFS node/);
  expect(decodeData(cid, Buffer.from('08021802220203042001', 'hex')).blockSizes).toEqual([3n, 4n, 1n]);
});

describe('a DAG that lies about itself is refused', () => {
  const node = (links: { cid: Block['cid']; size: number }[]): Block =>
    makeBlock(
      DAG_PB,
      encode(
        prepare({
          Data: encodeFileData(links.map((l) => l.size)),
          Links: links.map((l) => ({ Name: '', Tsize: 0, Hash: l.cid })),
        }),
      ),
    );

  test('sizes that contradict the content', async () => {
    const store = memory();
    const leaf = makeBlock(RAW, Buffer.from('12345'));
    const root = node([{ cid: leaf.cid, size: 6 }]);
    await store.put(leaf);
    await store.put(root);
    await expect(collect(readFile(store, root.cid))).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('a few blocks that unfold to 2^40 bytes', async () => {
    const store = memory();
    const leaf = makeBlock(RAW, new Uint8Array(1024));
    await store.put(leaf);
    let top = { cid: leaf.cid, size: 1024 };
    for (let level = 0; level < 30; level++) {
      const block = node([top, top]);
      await store.put(block);
      top = { cid: block.cid, size: top.size * 2 };
    }
    await expect(collect(readFile(store, top.cid, { maxBytes: 1 << 20 }))).rejects.toMatchObject({
      code: 'tooLarge',
    });
    await expect(collect(readFile(store, top.cid, { maxDepth: 8 }))).rejects.toMatchObject({
      code: 'tooLarge',
    });
    const limits = { maxDepth: 40, maxBlocks: 100, maxBytes: 1e9 };
    expect((await verifyDag(store, top.cid, limits)).blocks).toBe(31);
    await expect(verifyDag(store, top.cid, { ...limits, maxDepth: 20 })).rejects.toMatchObject({
      code: 'tooLarge',
    });
    await expect(verifyDag(store, top.cid, { ...limits, maxBlocks: 20 })).rejects.toMatchObject({
      code: 'tooLarge',
    });
    await expect(verifyDag(store, top.cid, { ...limits, maxBytes: 1500 })).rejects.toMatchObject({
      code: 'tooLarge',
    });
  });

  test('a node that is no protobuf', async () => {
    const store = memory();
    const block = makeBlock(DAG_PB, Buffer.from('not a node'));
    await store.put(block);
    await expect(verifyDag(store, block.cid)).rejects.toMatchObject({ code: 'invalidInput' });
  });
});
