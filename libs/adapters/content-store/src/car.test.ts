import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeBlock, RAW } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { carOf, exportCar, importCar } from './car.ts';
import { verifyDag } from './dag.ts';
import { collect } from './test-blocks.ts';
import { bytesOf, content, read, storeFile, TestGateway } from './test-gateway.ts';

let gateway: TestGateway;
let ours: BlockStore;
let theirs: BlockStore;
beforeEach(async () => {
  gateway = await TestGateway.open();
  ({ ours, theirs } = gateway);
});
afterEach(() => gateway.close());

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
    await expect(importCar(ours, bytesOf(whole), file.cid, limits)).rejects.toMatchObject({
      code: 'tooLarge',
    });
  });
});
