import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Snapshot } from 'cosmjs-types/tendermint/abci/types';
import { canonicalJson, fromUtf8, utf8 } from '@antirio/kernel';
import { cursorBehind, keys } from '@antirio/ledger-machine';
import {
  ada,
  begin,
  ben,
  block,
  open,
  registration,
  request,
  transfer,
  type Driven,
} from './application.fixture.ts';
import { bucketOf, groupOf } from './state-tree.ts';

let folder: string;
let opened: Driven[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'snapshots-'));
  opened = [];
});

afterEach(async () => {
  for (const one of opened) await one.close();
  rmSync(folder, { recursive: true });
});

function start(name: string, every = 0): Driven {
  const driven = open(join(folder, name), { every });
  opened.push(driven);
  return driven;
}

/** A node with a ledger, and the snapshot of its newest block. */
async function giver(): Promise<{ driven: Driven; snapshot: Snapshot; appHash: Uint8Array }> {
  const driven = start('giver', 4);
  begin(driven);
  block(driven, 1, registration(ada), registration(ben));
  for (let height = 2; height <= 4; height++) block(driven, height, transfer(height));
  await driven.snapshots.close();
  const [snapshot] = driven.application.handle(request({ listSnapshots: {} })).listSnapshots?.snapshots ?? [];
  if (snapshot === undefined) throw new TypeError('no snapshot was taken');
  return { driven, snapshot, appHash: driven.application.head.appHash };
}

const chunkOf = ({ application }: Driven, { height, format }: Snapshot, chunk: number): Uint8Array =>
  application.handle(request({ loadSnapshotChunk: { height, format, chunk } })).loadSnapshotChunk?.chunk ??
  new Uint8Array();

const offer = ({ application }: Driven, snapshot: Snapshot, appHash: Uint8Array) =>
  application.handle(request({ offerSnapshot: { snapshot, appHash } })).offerSnapshot?.result;

const give = ({ application }: Driven, index: number, chunk: Uint8Array) =>
  application.handle(request({ applySnapshotChunk: { index, chunk, sender: 'somebody' } }))
    .applySnapshotChunk;

describe('a snapshot', () => {
  test('makes another node what the first one is, which then goes on with the same hashes', async () => {
    const { driven, snapshot, appHash } = await giver();
    const taker = start('taker');
    expect(offer(taker, snapshot, appHash)).toBe(1);
    for (let i = 0; i < snapshot.chunks; i++)
      expect(give(taker, i, chunkOf(driven, snapshot, i))).toMatchObject({ result: 1 });
    expect(taker.application.head).toMatchObject({ height: 4, appHash });
    expect([...taker.store.state.range('')]).toEqual([...driven.store.state.range('')]);
    const tx = transfer(9);
    expect(block(taker, 5, tx)).toEqual(block(driven, 5, tx));
    await taker.close();
    expect(start('taker').application.head.appHash).toEqual(driven.application.head.appHash);
    expect(() => taker.store.events('000000000003-000000', 10)).toThrow();
  });

  test('whose time is a lie has no say in the blocks that follow', async () => {
    const { driven, snapshot, appHash } = await giver();
    const taker = start('taker');
    const said = JSON.parse(fromUtf8(snapshot.metadata)) as object;
    const metadata = utf8(JSON.stringify({ ...said, time: 9_000_000_000_000_000 }));
    expect(offer(taker, { ...snapshot, metadata }, appHash)).toBe(1);
    for (let i = 0; i < snapshot.chunks; i++) give(taker, i, chunkOf(driven, snapshot, i));
    const tx = transfer(9);
    expect(block(taker, 5, tx)).toEqual(block(driven, 5, tx));
    expect(taker.application.head).toEqual({ ...driven.application.head, forgotten: cursorBehind(4) });
  });

  test('is taken over again by a node that ended before it had noted that it was', async () => {
    const { driven, snapshot, appHash } = await giver();
    const taker = start('taker');
    const takeOver = (by: Driven): void => {
      expect(offer(by, snapshot, appHash)).toBe(1);
      for (let i = 0; i < snapshot.chunks; i++) give(by, i, chunkOf(driven, snapshot, i));
      expect(by.application.head).toMatchObject({ height: 4, appHash });
    };
    takeOver(taker);
    await taker.close();
    const back = start('taker');
    // Nothing of the old state is lost while the new one is not whole.
    offer(back, snapshot, appHash);
    give(back, 0, chunkOf(driven, snapshot, 0));
    expect(back.application.head).toMatchObject({ height: 4, appHash });
    takeOver(back);
    expect(block(back, 5)).toEqual(block(driven, 5));
  });

  test('with one entry over and over is refused at once', async () => {
    const { snapshot, appHash } = await giver();
    const taker = start('taker');
    offer(taker, snapshot, appHash);
    const key = Array.from({ length: 999 }, (_, i) => `account/${i}`).find(
      (one) => groupOf(bucketOf(one)) === 0,
    );
    const chunk = gzipSync(JSON.stringify(Array.from({ length: 300_000 }, () => [key, '1'])));
    expect(give(taker, 0, chunk)).toMatchObject({ result: 3, rejectSenders: ['somebody'] });
  });

  test('is refused where the block header does not prove it, and a chunk that is another is asked for again', async () => {
    const { driven, snapshot, appHash } = await giver();
    const taker = start('taker');
    expect(offer(taker, snapshot, new Uint8Array(32))).toBe(3);
    expect(offer(taker, { ...snapshot, format: 9 }, appHash)).toBe(3);
    expect(offer(taker, { ...snapshot, metadata: new Uint8Array(9) }, appHash)).toBe(3);
    expect(offer(taker, { ...snapshot, height: 7n }, appHash)).toBe(3);
    expect(offer(taker, snapshot, appHash)).toBe(1);
    const richer = [[keys.account(ada.edgeId), canonicalJson({ balance: 1_000_000 })]];
    const wrong = [new Uint8Array(), gzipSync('[]'), gzipSync(JSON.stringify(richer)), gzipSync('{')];
    const own = chunkOf(driven, snapshot, 0);
    for (let i = 0; i < snapshot.chunks; i++) {
      const right = chunkOf(driven, snapshot, i);
      for (const chunk of [...wrong, i === 0 ? new Uint8Array(3) : own]) {
        // An empty group is what it should be where nothing fell into it.
        if (Buffer.compare(chunk, right) === 0) continue;
        const result = give(taker, i, chunk);
        expect(result).toMatchObject({ result: 3, refetchChunks: [i], rejectSenders: ['somebody'] });
      }
      give(taker, i, right);
    }
    expect(taker.application.head.appHash).toEqual(appHash);
    expect(taker.application.halted).toBeUndefined();
  });

  test('that cannot be read, or was only half removed, is not offered, and one that fails leaves nothing', async () => {
    const { driven } = await giver();
    const snapshots = join(folder, 'giver/snapshots');
    mkdirSync(join(snapshots, '2'));
    const offered = () =>
      driven.application
        .handle(request({ listSnapshots: {} }))
        .listSnapshots?.snapshots.map(({ height }) => height);
    expect(offered()).toEqual([4n]);
    writeFileSync(join(snapshots, '8'), '');
    for (let height = 5; height <= 8; height++) block(driven, height);
    await driven.snapshots.close();
    expect(readdirSync(snapshots).sort()).toEqual(['2', '4', '8']);
    expect(offered()).toEqual([4n]);
    expect(driven.application.halted).toBeUndefined();
  });

  test('is there as a whole or not at all, and only the newest are kept', async () => {
    mkdirSync(join(folder, 'giver/snapshots/2.new'), { recursive: true });
    const driven = start('giver', 1);
    begin(driven);
    for (let height = 1; height < 5; height++) {
      block(driven, height);
      await driven.snapshots.close();
    }
    expect(readdirSync(join(folder, 'giver/snapshots')).sort()).toEqual(['3', '4']);
    const none = { height: 99n, format: 1, chunk: 0 };
    expect(
      driven.application.handle(request({ loadSnapshotChunk: none })).loadSnapshotChunk?.chunk,
    ).toHaveLength(0);
  });
});
