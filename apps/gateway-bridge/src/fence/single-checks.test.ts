import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openFence, type FenceKeeper, type Passing } from './fence.ts';

/** What the machines before the fence stop as well: that each check of its own holds shows here, and in no simulation. */
let folder = '';
let now = 0;
let fence: FenceKeeper;
const ONE = '01000001';
const window = { devAddrs: [ONE], epoch: 3, slot: 0, actFrom: 10_000, actUntil: 20_000 };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const frame = (change: Partial<Passing> = {}): Passing => ({
  ...{ devAddr: ONE, fcnt16: 3, phyPayload: bytes('frame') },
  ...{ ahead: () => 900, slot: () => Promise.resolve() },
  ...change,
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'single-checks-'));
  now = 15_000;
  fence = await openFence(folder, { now: () => 0, monotonic: () => now });
  fence.open('set', window);
  fence.grant('set', ONE, { first: 0, last: 15 });
});
afterEach(async () => {
  await fence.stop();
  rmSync(folder, { recursive: true });
});

test('a frame with which nothing is wrong passes', async () => {
  expect(await fence.pass(frame())).toEqual({ allowed: true, fcnt: 3 });
});

describe('one thing wrong is enough: ', () => {
  test.each<[string, string, Partial<Passing>, number?]>([
    ['the time before this edge may act', 'notYet', {}, 9999],
    ['the lease’s deadline', 'leaseEnded', {}, 20_000],
    ['no time on the gateway’s clock', 'notTimed', { ahead: () => undefined }],
    ['a time on air that is over', 'tooLate', { ahead: () => 0 }],
    ['a time on air over three seconds ahead', 'tooFarAhead', { ahead: () => 3001 }],
    ['a counter of no granted block', 'noBlock', { fcnt16: 16 }],
  ])('%s', async (_what, reason, change, at = now) => {
    now = at;
    expect(await fence.pass(frame(change))).toEqual({ allowed: false, reason });
  });

  test('a block of another party’s slot', async () => {
    fence.grant('set', ONE, { first: 16, last: 31 });
    expect(await fence.pass(frame({ fcnt16: 20 }))).toEqual({ allowed: false, reason: 'noBlock' });
  });

  test('a counter that is used, with other bytes', async () => {
    await fence.pass(frame());
    const other = frame({ phyPayload: bytes('other') });
    expect(await fence.pass(other)).toEqual({ allowed: false, reason: 'counterReused' });
  });

  test('a counter below one that is used', async () => {
    await fence.pass(frame());
    const older = frame({ fcnt16: 2, phyPayload: bytes('older') });
    expect(await fence.pass(older)).toEqual({ allowed: false, reason: 'counterBack' });
  });

  test('an epoch that is over: its window opens nothing, and its blocks are gone', async () => {
    fence.open('set', { ...window, epoch: 4 });
    expect(() => fence.open('set', window)).toThrow(/epoch 3 is over/);
    expect(await fence.pass(frame())).toEqual({ allowed: false, reason: 'noBlock' });
  });
});

describe('a process that is frozen between check and send, and wakes later', () => {
  const frozen = (until: () => void): Partial<Passing> => ({
    slot: async () => {
      await Promise.resolve();
      until();
    },
  });

  test('sends nothing after the lease’s deadline', async () => {
    const late = frozen(() => {
      now = 20_000;
    });
    expect(await fence.pass(frame(late))).toEqual({ allowed: false, reason: 'leaseEnded' });
  });

  test('sends nothing whose time on air is over', async () => {
    let ahead = 900;
    const late = frozen(() => {
      ahead = -100;
    });
    expect(await fence.pass(frame({ ...late, ahead: () => ahead }))).toEqual({
      allowed: false,
      reason: 'tooLate',
    });
  });

  test('sends nothing of an epoch that another took the place of meanwhile', async () => {
    const late = frozen(() => {
      fence.open('set', { ...window, epoch: 4 });
    });
    expect(await fence.pass(frame(late))).toEqual({ allowed: false, reason: 'noBlock' });
  });

  test('sends nothing after the set was shut', async () => {
    const late = frozen(() => {
      fence.close('set');
    });
    expect(await fence.pass(frame(late))).toEqual({ allowed: false, reason: 'shut' });
  });
});
