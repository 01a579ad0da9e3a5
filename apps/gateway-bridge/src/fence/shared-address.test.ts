import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openFence, type FenceKeeper } from './fence.ts';

let folder = '';
let fence: FenceKeeper;
const clock = { now: () => 0, monotonic: () => 10_000 };
const [SHARED, FIRST, SECOND] = ['01000001', '01000002', '01000003'] as const;
const block = { first: 0, last: 15 };
const windowOf = (...devAddrs: string[]) => ({ devAddrs, epoch: 1, slot: 0, actFrom: 0, actUntil: 20_000 });
const pass = async (devAddr: string) => {
  const frame = { devAddr, fcnt16: 1, phyPayload: new Uint8Array(12), ahead: () => 900 };
  return fence.pass({ ...frame, slot: () => Promise.resolve() });
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shared-address-'));
  fence = await openFence(folder, clock);
});
afterEach(async () => {
  await fence.stop();
  rmSync(folder, { recursive: true });
});

const restarted = async () => {
  await fence.stop();
  fence = await openFence(folder, clock);
};

test('an address that another set has is left with that one; the rest of the set is fenced as any', async () => {
  fence.open('first', windowOf(SHARED, FIRST));
  fence.open('second', windowOf(SECOND, SHARED));
  fence.grant('second', SECOND, block);
  expect(() => fence.grant('second', SHARED, block)).toThrow(/no device 01000001 in a set second/);
  expect(await pass(SECOND)).toMatchObject({ allowed: true });
  expect(fence.sets()).toMatchObject([
    { devAddrs: [SHARED, FIRST], open: true },
    { setId: 'second', devAddrs: [SECOND], open: true, collides: SHARED },
  ]);
  expect(fence.sets()[0]).not.toHaveProperty('collides');
  expect(fence.setOf(SHARED)).toEqual({ setId: 'first', epoch: 1 });
});

test('such a set shuts without a word, over and over: who stops acting can always say so', async () => {
  fence.close('victim', [SHARED], []);
  for (let again = 0; again < 3; again++) fence.close('new', [SECOND, SHARED], []);
  fence.open('new', windowOf(SECOND, SHARED));
  fence.close('new', [SECOND, SHARED]);
  expect(await pass(SECOND)).toEqual({ allowed: false, reason: 'shut' });
  expect(fence.sets()).toMatchObject([{ devAddrs: [SHARED] }, { devAddrs: [SECOND], collides: SHARED }]);
});

test('an address that was left out is never free: its own set judges it, over a start too', async () => {
  fence.open('first', windowOf(SHARED));
  fence.open('second', windowOf(SECOND, SHARED));
  fence.grant('second', SECOND, block);
  expect(await pass(SHARED)).toEqual({ allowed: false, reason: 'noBlock' });
  fence.close('first');
  expect(await pass(SHARED)).toEqual({ allowed: false, reason: 'shut' });
  await restarted();
  for (const devAddr of [SHARED, SECOND]) expect(await pass(devAddr)).toMatchObject({ reason: 'shut' });
  fence.open('second', windowOf(SECOND, SHARED));
  expect(fence.setOf(SHARED)).toMatchObject({ setId: 'first' });
  expect(await pass(SHARED)).toEqual({ allowed: false, reason: 'shut' });
});

test('a set that was open goes on where it is named with an address of another; the other goes on', async () => {
  for (const [setId, devAddr] of [['first', SHARED] as const, ['second', SECOND] as const]) {
    fence.open(setId, windowOf(devAddr));
    fence.grant(setId, devAddr, block);
  }
  fence.open('second', windowOf(SECOND, SHARED));
  for (const devAddr of [SHARED, SECOND]) expect(await pass(devAddr)).toMatchObject({ allowed: true });
});

test('with the other set gone the address is at once that of the set that waits for it, on the disk too', async () => {
  fence.open('first', windowOf(SHARED, FIRST));
  fence.open('second', windowOf(SECOND, SHARED));
  fence.remove('first');
  expect(await pass(FIRST)).toMatchObject({ allowed: true });
  expect(await pass(SHARED)).toEqual({ allowed: false, reason: 'noBlock' });
  await restarted();
  expect(await pass(SHARED)).toEqual({ allowed: false, reason: 'shut' });
  fence.open('second', windowOf(SECOND, SHARED));
  fence.grant('second', SHARED, block);
  const [second, ...more] = fence.sets();
  expect([second?.open, second?.collides, more]).toEqual([true, undefined, []]);
});

test('what its set is opened or shut without is the set’s that waits for it', () => {
  fence.open('first', windowOf(SHARED, FIRST));
  fence.close('second', [SECOND, SHARED], []);
  fence.open('first', windowOf(FIRST));
  expect(fence.setOf(SHARED)).toMatchObject({ setId: 'second' });
  fence.close('first', [FIRST, SECOND]);
  fence.close('second', [SHARED]);
  expect(fence.sets()).toMatchObject([{ devAddrs: [FIRST, SECOND] }, { devAddrs: [SHARED] }]);
});
