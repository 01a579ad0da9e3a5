import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openFence, type FenceKeeper } from './fence.ts';

let folder = '';
let fence: FenceKeeper;
const clock = { now: () => 0, monotonic: () => 10_000 };
const [SHARED, FIRST, SECOND] = ['01000001', '01000002', '01000003'] as const;
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

test('a set that could not be fenced for an address that another one has is shut as a whole, over a start too', async () => {
  fence.open('first', windowOf(SHARED, FIRST));
  expect(() => fence.open('second', windowOf(SECOND, SHARED))).toThrow(
    /another set has the DevAddr 01000001/,
  );
  expect(await pass(SECOND)).toEqual({ allowed: false, reason: 'shut' });
  expect(() => fence.close('second', [SECOND, SHARED])).toThrow(/another set/);
  expect(await pass(SECOND)).toEqual({ allowed: false, reason: 'shut' });
  expect(fence.sets()).toMatchObject([{ open: true }, { setId: 'second', open: false, collides: SHARED }]);
  await fence.stop();
  fence = await openFence(folder, clock);
  expect(await pass(SECOND)).toEqual({ allowed: false, reason: 'shut' });
});

test('a set that was open shuts where it gets an address of another; the other goes on', async () => {
  fence.open('first', windowOf(SHARED));
  fence.grant('first', SHARED, { first: 0, last: 15 });
  fence.open('second', windowOf(SECOND));
  fence.grant('second', SECOND, { first: 0, last: 15 });
  expect(() => fence.open('second', windowOf(SECOND, SHARED))).toThrow(/another set/);
  expect(await pass(SECOND)).toEqual({ allowed: false, reason: 'shut' });
  expect(await pass(SHARED)).toMatchObject({ allowed: true });
});

test('with the other set gone it opens as any', async () => {
  fence.open('first', windowOf(SHARED));
  expect(() => fence.open('second', windowOf(SECOND, SHARED))).toThrow(/another set/);
  fence.remove('first');
  fence.open('second', windowOf(SECOND, SHARED));
  fence.grant('second', SHARED, { first: 0, last: 15 });
  expect(await pass(SHARED)).toMatchObject({ allowed: true });
  const [second, ...more] = fence.sets();
  expect([second?.open, second?.collides, more]).toEqual([true, undefined, []]);
});
