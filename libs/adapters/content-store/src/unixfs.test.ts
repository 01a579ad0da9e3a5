import { createCipheriv, createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError } from '@antirio/kernel';
import { encode, prepare } from '@ipld/dag-pb';
import { blockKey, DAG_PB, makeBlock, RAW, type Block, type BlockSink, type BlockSource } from './block.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { putDirectory, readDirectory } from './unixfs-directory.ts';
import { decodeData, encodeFileData } from './unixfs-data.ts';
import { importFile, readFile } from './unixfs-file.ts';

const nowhere: BlockSink = { put: () => Promise.resolve() };

function memory(): BlockSink & BlockSource {
  const blocks = new Map<string, Uint8Array>();
  return {
    put: async (block: Block) => void blocks.set(blockKey(block.cid), block.bytes.slice()),
    has: (cid) => blocks.has(blockKey(cid)),
    get: async (cid) => {
      const bytes = blocks.get(blockKey(cid));
      if (bytes === undefined) throw new AntirioError('notFound', 'not here');
      return bytes;
    },
  };
}

/** The byte stream of Kubo's test vectors: ChaCha20 under the SHA-256 of the seed, zero nonce. */
async function* seeded(size: number, seed: string): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('chacha20', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  for (let left = size; left > 0; left -= 1 << 20) yield cipher.update(Buffer.alloc(Math.min(left, 1 << 20)));
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

// The expected CIDs are Kubo's and js-ipfs-unixfs's own for IPIP-499 (test/cli/cid_profiles_test.go).
describe('the CIDs of the profile unixfs-v1-2025 are reproduced', () => {
  const MiB = 1 << 20;
  const vectors: readonly [string, number, string, string][] = [
    ['one chunk', MiB, 'chunk-v1-seed', 'bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta'],
    [
      'one chunk and a byte',
      MiB + 1,
      'chunk-v1-seed',
      'bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64',
    ],
    [
      '1024 chunks',
      1024 * MiB,
      'v1-2025-seed',
      'bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm',
    ],
    [
      '1024 chunks and a byte',
      1024 * MiB + 1,
      'v1-2025-seed',
      'bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe',
    ],
  ];
  test.each(vectors)('a file of %s', async (_name, size, seed, cid) => {
    const stored = await importFile(nowhere, seeded(size, seed));
    expect(stored.cid.toString()).toBe(cid);
    expect(stored.size).toBe(size);
  });

  test('"hello world", the empty file and the empty directory', async () => {
    const hello = await importFile(nowhere, pieces(Buffer.from('hello world'), 4));
    expect(hello.cid.toString()).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e');
    const empty = await importFile(nowhere, pieces(new Uint8Array(), 1));
    expect(empty.cid.toString()).toBe('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku');
    const folder = await putDirectory(nowhere, []);
    expect(folder.cid.toString()).toBe('bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354');
  });

  test('a directory of 4766 entries at the sharding threshold; one byte more is refused', async () => {
    const alphabet = 'abcdefghijklmnopqrstuvwxyz01234567890-_';
    const stream = await collect(seeded(1 << 20, 'hamt-unixfs-v1-2025'));
    const { cid, dagSize } = await importFile(nowhere, pieces(Buffer.from('x'), 1));
    const entries = (lastLength: number) =>
      Array.from({ length: 4766 }, (_, i) => {
        const bytes = stream.subarray(i * 11, i * 11 + (i === 4765 ? lastLength : 11));
        return { name: [...bytes].map((b) => alphabet[b % alphabet.length]).join(''), cid, dagSize };
      });
    const flat = await putDirectory(nowhere, entries(21));
    expect(flat.cid.toString()).toBe('bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4');
    await expect(putDirectory(nowhere, entries(22))).rejects.toMatchObject({ code: 'tooLarge' });
  });
});

test('sizes from 2^31 on are written as they are', () => {
  const { cid } = makeBlock(RAW, new Uint8Array());
  for (const size of [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 5, 2 ** 32 - 1, 2 ** 32, 2 ** 40]) {
    const data = decodeData(cid, encodeFileData([size, 1]));
    expect(data.blockSizes).toEqual([BigInt(size), 1n]);
    expect(data.fileSize()).toBe(BigInt(size) + 1n);
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
