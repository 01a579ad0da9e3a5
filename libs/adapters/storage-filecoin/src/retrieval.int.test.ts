import { readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openBlockStore, RAW, verifyDag, type BlockStore } from '@antirio/content-store';
import { systemClock } from '@antirio/host';
import { receiveDag, type StorageRef } from '@antirio/storage-network';
import { TestSetting } from './test-setting.ts';

let setting: TestSetting;
let theirs: BlockStore;
beforeEach(async () => {
  setting = await TestSetting.open(2);
  theirs = await openBlockStore({ folder: join(setting.folder, 'theirs'), clock: systemClock });
});
afterEach(async () => {
  await theirs.close();
  await setting.close();
});

/** Changes the bytes that a provider has of a piece. */
async function spoil(
  provider: number,
  pieceCid: string,
  change: (bytes: Buffer) => Uint8Array,
): Promise<void> {
  const file = setting.providers[provider]?.fileOf(pieceCid) ?? '';
  await writeFile(file, change(readFileSync(file)));
}

const flip = (at: number) => (bytes: Buffer) => {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
};

const pieceOf = ({ pieceCid = '' }: StorageRef): string => pieceCid;

describe('a piece at two providers', () => {
  test('goes to the second one where the first one has no room', async () => {
    const dag = await setting.dag();
    const network = await setting.network();
    setting.provider.hasRoom = false;
    const ref = await network.put('a', dag);
    expect(ref.providers).toEqual(['2']);
    expect((await network.status(ref)).state).toBe('replicated');
    // Where no provider has any, that is said.
    const small = await setting.dag(1000);
    Object.assign(setting.providers[1] ?? {}, { hasRoom: false });
    await expect(network.put('b', small)).rejects.toMatchObject({ code: 'storageFull' });
  });

  test('is read from the second one where the first one lies, and what was right is not read twice', async () => {
    const dag = await setting.dag();
    const network = await setting.network('edge', { copies: 2 });
    const ref = await network.put('a', dag);
    expect(ref).toMatchObject({ providers: ['1', '2'], dataSetId: '11,12' });
    await spoil(0, pieceOf(ref), flip(150_000));
    const fetched = await receiveDag(theirs, network, ref);
    expect(fetched.fetchedBytes).toBe(dag.bytes);
    await verifyDag(theirs, dag.root);
    expect(await network.audit(ref)).toEqual([
      { provider: '1', ok: false, detail: expect.stringContaining('are those of the piece') as unknown },
      { provider: '2', ok: true },
    ]);
  });

  test('is read by an edge that knows nothing of it but the reference', async () => {
    const dag = await setting.dag();
    const ref = await (await setting.network()).put('a', dag);
    const other = join(setting.folder, 'other-key');
    writeFileSync(other, 'ab'.repeat(32));
    const stranger = await setting.network('stranger', { keyFile: other });
    await receiveDag(theirs, stranger, ref);
    await verifyDag(theirs, dag.root);
    expect(await stranger.status(ref)).toMatchObject({ state: 'replicated', providers: ['1'] });
  });
});

describe('a damaged piece', () => {
  const damages: readonly [string, (bytes: Buffer) => Uint8Array][] = [
    ['with a flipped bit in a block', flip(100_000)],
    ['with a flipped bit in its header', flip(3)],
    ['that is too short', (bytes) => bytes.subarray(0, -1)],
    ['that is too long', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['that is something else', (bytes) => bytes.reverse()],
    ['that begins with a length beyond all limits', (bytes) => bytes.fill(0xff, 0, 6)],
  ];
  test.each(damages)('%s is found out, and nothing of it is stored', async (_, damage) => {
    const dag = await setting.dag();
    const network = await setting.network();
    const ref = await network.put('a', dag);
    await spoil(0, pieceOf(ref), damage);
    await expect(receiveDag(theirs, network, ref)).rejects.toMatchObject({ code: 'corrupt' });
    expect(await network.audit(ref)).toMatchObject([{ provider: '1', ok: false }]);
    for await (const { cid } of dag.blocks()) if (theirs.has(cid)) await theirs.get(cid);
  });
});

describe('a retrieval that was broken off', () => {
  test.each([true, false])('goes on where it ended (the provider knows ranges: %s)', async (knowsRanges) => {
    const dag = await setting.dag(400_000);
    const network = await setting.network();
    const ref = await network.put('a', dag);
    setting.provider.knowsRanges = knowsRanges;
    setting.provider.breakAfter = 250_000;
    await receiveDag(theirs, network, ref);
    await verifyDag(theirs, dag.root);
    expect(setting.provider.asked.get('retrieve')).toBe(2);
    expect(setting.provider.given < 620_000).toBe(knowsRanges);
  });

  test('by the reader asks for what is missing only', async () => {
    const dag = await setting.dag(400_000);
    const network = await setting.network();
    const ref = await network.put('a', dag);
    let blocks = 0;
    for await (const block of dag.blocks()) {
      if (++blocks > 12) break;
      await theirs.put(block);
    }
    const { fetchedBlocks, fetchedBytes } = await receiveDag(theirs, network, ref);
    expect([fetchedBlocks, fetchedBytes]).toEqual([9, dag.bytes - (await bytesIn(dag.blocks(), 12))]);
    expect(setting.provider.given).toBeLessThan(fetchedBytes + 1000);
  });

  test('is begun at the start where the CAR is another one than was thought', async () => {
    const dag = await setting.dag(400_000);
    const network = await setting.network();
    const ref = await network.put('a', dag);
    // Half of a leaf more than was really sent before.
    const read = async (cid: (typeof dag)['root']): Promise<Uint8Array> => {
      const bytes = await setting.store.get(cid);
      return cid.code === RAW ? bytes.subarray(7) : bytes;
    };
    const leaves: (typeof dag)['root'][] = [];
    for await (const { cid } of dag.blocks()) leaves.push(cid);
    const last = leaves.at(-1);
    let blocks = 0;
    for await (const { bytes } of network.get(ref, { have: (cid) => !cid.equals(last), read })) {
      expect(bytes.length).toBeGreaterThan(0);
      blocks += 1;
    }
    expect(blocks).toBe(1);
  });
});

async function bytesIn(blocks: AsyncIterable<{ bytes: Uint8Array }>, count: number): Promise<number> {
  let bytes = 0;
  let seen = 0;
  for await (const block of blocks) if (seen++ < count) bytes += block.bytes.length;
  return bytes;
}
