import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { encode, prepare } from '@ipld/dag-pb';
import fc from 'fast-check';
import { varint } from 'multiformats';
import { CID } from 'multiformats/cid';
import { DAG_PB, makeBlock, RAW, type Block } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { carOf, exportCar, importCar } from './car.ts';
import { verifyDag, type DagLimits } from './dag.ts';
import { collect, pieces } from './test-blocks.ts';
import { bytesOf, content, read, storeFile, TestGateway } from './test-gateway.ts';

let gateway: TestGateway;
let ours: BlockStore;
let theirs: BlockStore;
beforeEach(async () => {
  gateway = await TestGateway.open();
  ({ ours, theirs } = gateway);
});
afterEach(() => gateway.close());

/** Sections of a CAR as its format has them: their length as a varint, then their bytes. */
function section(...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([
    varint.encodeTo(bytes.length, new Uint8Array(varint.encodingLength(bytes.length))),
    bytes,
  ]);
}

const nodeOf = (...links: readonly CID[]): Block =>
  makeBlock(DAG_PB, encode(prepare({ Links: links.map((Hash, i) => ({ Name: `${i}`, Hash, Tsize: 0 })) })));

/** Every block that is in a store is what its CID says: reading checks it. */
async function isAllSound(cids: readonly CID[]): Promise<void> {
  for (const cid of cids) if (ours.has(cid)) await ours.get(cid);
  expect(ours.usage().damaged).toBe(0);
}

describe('a CAR that is malformed', () => {
  const leaf = makeBlock(RAW, Buffer.from('leaf'));
  // dag-cbor by hand: {roots: [], version: n}
  const header = (version: number): Buffer =>
    section(Buffer.from('a265726f6f7473806776657273696f6e', 'hex'), Uint8Array.of(version));

  test.each<[string, Uint8Array, string]>([
    ['nothing at all', new Uint8Array(), 'invalidInput'],
    [
      'a version that there is not',
      Buffer.concat([header(3), section(leaf.cid.bytes, leaf.bytes)]),
      'invalidInput',
    ],
    ['a header that is no CBOR', section(Buffer.from('ffffff', 'hex')), 'invalidInput'],
    ['a header without version', section(Buffer.from('a165726f6f747380', 'hex')), 'invalidInput'],
    [
      'roots that are no list',
      section(Buffer.from('a265726f6f7473016776657273696f6e01', 'hex')),
      'invalidInput',
    ],
    ['a header of 3 MB', Buffer.concat([varint.encodeTo(3_000_000, new Uint8Array(4))]), 'tooLarge'],
    ['a length without end', Buffer.concat([header(1), Buffer.alloc(20, 0x80)]), 'invalidInput'],
    [
      'a section without a CID',
      Buffer.concat([header(1), section(Buffer.from('0155', 'hex'))]),
      'invalidInput',
    ],
    [
      'an empty section',
      Buffer.concat([header(1), section(), section(leaf.cid.bytes, leaf.bytes)]),
      'invalidInput',
    ],
    [
      'a block over 2 MiB',
      Buffer.concat([header(1), section(leaf.cid.bytes, Buffer.alloc(2_200_000))]),
      'tooLarge',
    ],
    [
      'a block that is not its CID',
      Buffer.concat([header(1), section(leaf.cid.bytes, Buffer.from('other'))]),
      'corrupt',
    ],
  ])('%s: refused, and nothing of it stored', async (_what, bytes, code) => {
    await expect(importCar(ours, bytesOf(bytes), leaf.cid)).rejects.toMatchObject({ code });
    expect(ours.usage().blocks).toBe(0);
  });

  test('one without roots, with roots that nobody meant and the like is read for its blocks', async () => {
    const car = Buffer.concat([header(1), section(leaf.cid.bytes, leaf.bytes)]);
    expect(await importCar(ours, bytesOf(car), leaf.cid)).toMatchObject({ blocks: 1, ignored: 0 });
  });

  test('cut or changed anywhere: refused or without the rest, and all that is stored is sound', async () => {
    const file = await storeFile(theirs, content(9000));
    const whole = await collect(exportCar(theirs, file.cid));
    const cids: CID[] = [];
    await verifyDag(theirs, file.cid, undefined, (cid) => cids.push(cid));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length),
        fc.option(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }))),
        fc.integer({ min: 1, max: 3000 }),
        async (cut, change, piece) => {
          const bytes = Buffer.from(whole.subarray(0, cut));
          const [at, flip] = change ?? [0, 0];
          if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ flip;
          const importing = importCar(ours, pieces(bytes, piece), file.cid);
          const failed = await importing.then(
            () => undefined,
            (error: unknown) => error,
          );
          if (failed !== undefined)
            expect(failed).toMatchObject({
              code: expect.stringMatching(/^(?:invalidInput|corrupt|tooLarge)$/) as unknown,
            });
        },
      ),
      { numRuns: 150 },
    );
    await isAllSound(cids);
  });
});

describe('the DAG in a CAR', () => {
  const into = (root: CID, blocks: readonly Block[], limits: Partial<DagLimits> = {}) =>
    importCar(ours, carOf(root, blocks), root, {
      limits: { maxDepth: 10, maxBlocks: 50, maxBytes: 1 << 20, ...limits },
    });

  test('that is too deep, too wide or too large', async () => {
    const chain = [makeBlock(RAW, Buffer.from('end'))];
    for (let i = 0; i < 12; i++) chain.unshift(nodeOf((chain[0] as Block).cid));
    await expect(into((chain[0] as Block).cid, chain)).rejects.toMatchObject({ code: 'tooLarge' });
    const leaves = Array.from({ length: 60 }, (_, i) => makeBlock(RAW, Buffer.from(`leaf ${i}`)));
    const wide = nodeOf(...leaves.map(({ cid }) => cid));
    await expect(into(wide.cid, [wide, ...leaves])).rejects.toMatchObject({ code: 'tooLarge' });
    const some = leaves.slice(0, 5);
    const large = nodeOf(...some.map(({ cid }) => cid));
    await expect(into(large.cid, [large, ...some], { maxBytes: 100 })).rejects.toMatchObject({
      code: 'tooLarge',
    });
  });

  test('that claims to lead back to its root: the claim is another block than the one that was named', async () => {
    const leaf = makeBlock(RAW, Buffer.from('leaf'));
    const root = nodeOf(leaf.cid);
    const circle = nodeOf(root.cid);
    const claimed = { cid: root.cid, bytes: circle.bytes };
    await expect(importCar(ours, carOf(root.cid, [claimed]), root.cid)).rejects.toMatchObject({
      code: 'corrupt',
    });
    expect(await into(circle.cid, [circle, root, circle, leaf])).toMatchObject({ blocks: 3, ignored: 1 });
  });

  test('whose children come before their parents: those are foreign then', async () => {
    const leaf = makeBlock(RAW, Buffer.from('leaf'));
    const root = nodeOf(leaf.cid);
    expect(await into(root.cid, [leaf, root])).toMatchObject({ blocks: 1, ignored: 1 });
    await expect(verifyDag(ours, root.cid)).rejects.toMatchObject({ code: 'notFound' });
  });

  test('with more of foreign blocks than a slip would explain', async () => {
    const junk = Array.from({ length: 20 }, (_, i) => makeBlock(RAW, Buffer.alloc(1000, i + 1)));
    const root = nodeOf();
    const importing = importCar(ours, carOf(root.cid, [...junk, root]), root.cid, {
      maxIgnoredBytes: 10_000,
    });
    await expect(importing).rejects.toMatchObject({ code: 'tooLarge' });
    expect(ours.usage().blocks).toBe(0);
  });

  test('with links of a codec or a hash that cannot be here', async () => {
    const foreign = CID.createV1(0x71, makeBlock(RAW, Buffer.from('x')).cid.multihash);
    const root = nodeOf(foreign);
    await expect(into(root.cid, [root])).rejects.toMatchObject({ code: 'invalidInput' });
  });
});

describe('a CAR', () => {
  test('carries a DAG over, and what does not belong to it stays out', async () => {
    const file = await storeFile(theirs, content(20_000));
    const { blocks } = await verifyDag(theirs, file.cid);
    expect(await importCar(ours, exportCar(theirs, file.cid), file.cid)).toMatchObject({
      blocks,
      ignored: 0,
    });
    expect(await read(ours, file.cid)).toEqual(content(20_000));

    const foreign = makeBlock(RAW, Buffer.from('foreign'));
    const root = { cid: file.cid, bytes: await theirs.get(file.cid) };
    const taken = await importCar(ours, carOf(file.cid, [root, foreign, root]), file.cid);
    expect(taken).toMatchObject({ blocks: 1, ignored: 2 });
    expect(ours.has(foreign.cid)).toBe(false);
  });

  test('is refused when a block lies, the header is bad, it breaks off, or it is too large', async () => {
    const file = await storeFile(theirs, content(20_000));
    const whole = await collect(exportCar(theirs, file.cid));
    const from = (bytes: Uint8Array) => importCar(ours, bytesOf(bytes), file.cid);
    const lied = Buffer.from(whole);
    lied[whole.length - 1] = (whole.at(-1) as number) ^ 1;
    await expect(from(lied)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(from(Buffer.from('no car at all'))).rejects.toMatchObject({ code: 'invalidInput' });
    await expect(from(whole.subarray(0, whole.length - 5))).rejects.toMatchObject({ code: 'invalidInput' });
    await expect(from(Buffer.from('ffffffffffffff7f', 'hex'))).rejects.toMatchObject({ code: 'tooLarge' });
    const limits = { maxDepth: 8, maxBlocks: 3, maxBytes: 1 << 20 };
    await expect(importCar(ours, bytesOf(whole), file.cid, { limits })).rejects.toMatchObject({
      code: 'tooLarge',
    });
  });
});
