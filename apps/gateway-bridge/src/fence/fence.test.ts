import { mkdtempSync, rmSync, appendFileSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openFence, type FenceKeeper } from './fence.ts';

let folder = '';
let now = 10_000;
const clock = { now: () => 0, monotonic: () => now };
const opened: FenceKeeper[] = [];

const start = async (): Promise<FenceKeeper> => {
  const fence = await openFence(folder, clock);
  opened.push(fence);
  return fence;
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fence-'));
  now = 10_000;
});
afterEach(async () => {
  for (const fence of opened.splice(0)) await fence.stop();
  rmSync(folder, { recursive: true });
});

const window = { devAddrs: ['01000001'], epoch: 3, slot: 0, actFrom: 0, actUntil: 20_000 };
const block = { first: 0, last: 15 };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const pass = (fence: FenceKeeper, fcnt16: number, text: string, devAddr = '01000001') =>
  fence.pass({ slot: () => Promise.resolve(), devAddr, fcnt16, phyPayload: bytes(text), ahead: () => 900 });

test('the right to act for a device has the same words as long as nobody else can have had it', async () => {
  const fence = await start();
  expect(fence.tenureOf('01000001')).toBe('own');
  fence.open('set', { ...window, actFrom: 11_000 });
  expect(fence.tenureOf('01000001')).toBe('');
  now = 11_000;
  expect(fence.tenureOf('01000001')).toBe('set/3');
  now = 20_000;
  expect(fence.tenureOf('01000001')).toBe('');
  fence.open('set', { ...window, actUntil: 30_000 });
  expect(fence.tenureOf('01000001')).toBe('set/3');
  fence.close('set');
  expect([fence.tenureOf('01000001'), fence.tenureOf('01000009')]).toEqual(['', 'own']);
});

describe('the fence on its disk', () => {
  test('after a start every set is shut, and used counters are known with their bytes', async () => {
    const before = await start();
    before.open('set', window);
    before.grant('set', '01000001', block);
    expect(await pass(before, 3, 'frame')).toEqual({ allowed: true, fcnt: 3 });
    const after = await start();
    expect(await pass(after, 4, 'other')).toEqual({ allowed: false, reason: 'shut' });
    now += 3500;
    after.open('set', window);
    expect(await pass(after, 3, 'frame')).toEqual({ allowed: false, reason: 'noBlock' });
    after.grant('set', '01000001', block);
    expect(await pass(after, 3, 'changed')).toEqual({ allowed: false, reason: 'counterReused' });
    expect(await pass(after, 3, 'frame')).toEqual({ allowed: true, fcnt: 3 });
    expect(await pass(after, 2, 'older')).toEqual({ allowed: false, reason: 'counterBack' });
    expect(after.refused()).toEqual({ shut: 1, noBlock: 1, counterReused: 1, counterBack: 1 });
  });

  test('an epoch that was opened just before a start lets nothing pass before the frames of the one before it are over', async () => {
    const before = await start();
    before.open('set', window);
    before.grant('set', '01000001', block);
    expect(await pass(before, 3, 'frame')).toMatchObject({ allowed: true });
    const next = { ...window, epoch: 4 };
    before.open('set', next);
    const after = await start();
    after.open('set', next);
    after.grant('set', '01000001', block);
    expect(await pass(after, 4, 'next')).toMatchObject({ allowed: false });
    now += 3500;
    // renewed as a lease is
    after.open('set', next);
    expect(await pass(after, 4, 'next')).toMatchObject({ allowed: true });
  });

  test('an epoch never goes back, not over a start either, and a new one begins without blocks', async () => {
    const fence = await start();
    fence.open('set', window);
    fence.grant('set', '01000001', block);
    fence.open('set', { ...window, epoch: 4 });
    expect(await pass(fence, 3, 'frame')).toEqual({ allowed: false, reason: 'noBlock' });
    const again = await start();
    expect(() => again.open('set', window)).toThrow(/epoch 3 is over/);
    again.open('other', { ...window, epoch: 9 });
    expect(again.setOf('01000001')).toEqual({ setId: 'set', epoch: 4 });
  });

  test('a set without sensors keeps its epoch, and shuts nobody else out', async () => {
    const fence = await start();
    fence.open('set', window);
    fence.grant('set', '01000001', block);
    const empty = { ...window, devAddrs: [] };
    fence.open('none', { ...empty, epoch: 7 });
    fence.close('none', [], []);
    expect(fence.sets().find(({ setId }) => setId === 'none')).toMatchObject({ epoch: 7, counters: {} });
    expect(await pass(fence, 3, 'frame')).toEqual({ allowed: true, fcnt: 3 });
    expect(() => fence.open('none', empty)).toThrow(/epoch 3 is over/);
  });

  test('renewing the lease keeps the blocks; closing shuts', async () => {
    const fence = await start();
    fence.open('set', window);
    fence.grant('set', '01000001', block);
    fence.open('set', { ...window, actUntil: 30_000 });
    now = 25_000;
    expect(await pass(fence, 1, 'frame')).toEqual({ allowed: true, fcnt: 1 });
    fence.close('set');
    expect(await pass(fence, 1, 'frame')).toEqual({ allowed: false, reason: 'shut' });
    expect(await pass(fence, 7, 'free', '02000002')).toEqual({ allowed: true, fcnt: 7 });
  });

  test('closing with DevAddrs shuts a set that was never opened, and used counters can be asked for', async () => {
    const fence = await start();
    await pass(fence, 7, 'free');
    fence.close('set', ['01000001', '01000002']);
    expect(await pass(fence, 8, 'frame')).toEqual({ allowed: false, reason: 'shut' });
    expect(fence.sets()).toMatchObject([{ setId: 'set', open: false, counters: { '01000001': 7 } }]);
    const again = await start();
    expect(await pass(again, 8, 'frame')).toEqual({ allowed: false, reason: 'shut' });
    again.open('set', window);
    expect(again.sets()[0]?.open).toBe(true);
  });

  test('nothing passes under a later epoch before what passed under the last one is on air', async () => {
    const fence = await start();
    fence.open('set', window);
    fence.grant('set', '01000001', block);
    expect(await pass(fence, 3, 'frame')).toEqual({ allowed: true, fcnt: 3 });
    fence.close('set');
    const later = { ...window, epoch: 5 };
    fence.open('set', later);
    fence.open('set', { ...later, actUntil: 21_000 });
    fence.grant('set', '01000001', { first: 64, last: 79 });
    now = 10_899;
    expect(await pass(fence, 64, 'next')).toEqual({ allowed: false, reason: 'notYet' });
    expect(fence.judgeJoin('', ['01000001'], 900)).toBe('notYet');
    expect(fence.sets()).toMatchObject([{ epoch: 5, open: true, actFrom: expect.closeTo(10_936.7, 1) }]);
    now = 10_940;
    expect(fence.judgeJoin('', ['01000001'], 2000)).toBe(undefined);
    fence.open('set', { ...later, epoch: 6 });
    expect(fence.judgeJoin('', ['01000001'], 900)).toBe('notYet');
    const again = await start();
    again.open('set', { ...later, epoch: 7 });
    expect(again.judgeJoin('', ['01000001'], 900)).toBe('notYet');
    now += 3123;
    expect(again.judgeJoin('', ['01000001'], 900)).toBe(undefined);
  });

  test('a lease that ends while the mark is written is over', async () => {
    const fence = await start();
    fence.open('set', window);
    fence.grant('set', '01000001', block);
    const passing = pass(fence, 5, 'frame');
    now = 20_001;
    expect(await passing).toEqual({ allowed: false, reason: 'leaseEnded' });
  });

  test('a torn last mark is cut off, the ones before it count', async () => {
    const fence = await start();
    await pass(fence, 5, 'frame');
    await fence.stop();
    opened.length = 0;
    const name = readdirSync(folder).find((file) => file.startsWith('marks')) ?? '';
    appendFileSync(join(folder, name), Buffer.from([24, 0, 0, 0, 1, 2]));
    const size = statSync(join(folder, name)).size;
    const again = await start();
    expect(statSync(join(folder, name)).size).toBe(size - 6);
    expect(await pass(again, 5, 'other')).toEqual({ allowed: false, reason: 'counterReused' });
  });

  test('only one of two frames under one counter passes, even at the same moment', async () => {
    const fence = await start();
    const outcomes = await Promise.all([pass(fence, 9, 'one'), pass(fence, 9, 'two')]);
    expect(outcomes).toEqual([
      { allowed: true, fcnt: 9 },
      { allowed: false, reason: 'counterReused' },
    ]);
  });
});
