import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { createSessionCipher, type DevAddr } from '@antirio/lorawan';
import { RADIO } from '../frame.ts';
import { openRings, type Rings } from './rings.ts';
import { ONE, TWO, settings, uplink } from './test-frames.ts';

/** A mote sends each 10 s, and somebody forges five frames a second under its DevAddr. */
const HOUR_MS = 3_600_000;
const SENDS_EVERY_MS = 10_000;
const FORGED_EVERY_MS = 200;
const SESSION = '00112233445566ff';
/** Of a device at the default rate of half a frame a second, as contracts reserve it. */
const SHARE = 540_000;

let folder = '';
let rings: Rings;
let now = 0;
const clock = { now: () => 1e12 + now, monotonic: () => now };
const openThem = (): Rings =>
  openRings({
    folder,
    neighbourhoodBytes: 1 << 16,
    totalBudgetBytes: 1 << 24,
    segmentBytes: 1 << 20,
    framesPerSecond: 1,
    burst: 30,
    clock,
    random: systemRandom,
    log: silentLog,
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'flood-'));
  now = 0;
  rings = openThem();
  await rings.put('contract', { ...settings, devAddrs: [ONE, TWO], budgetBytes: 2 * SHARE }, { owner: 'a' });
});
afterEach(async () => {
  await rings.close();
  rmSync(folder, { recursive: true });
});

let seed = 1;
/** Numbers as from anywhere, the same in each run. */
const random = (below: number): number => {
  seed = (seed * 48_271) % 0x7fff_ffff;
  return seed % below;
};
const stranger = createSessionCipher({
  nwkSKey: new Uint8Array(16).fill(7),
  appSKey: new Uint8Array(16).fill(8),
});
const forge = (fcnt: number, bytes: number) => ({
  ...uplink(ONE, 0),
  phyPayload: stranger.build(
    { direction: 'up', confirmed: false, devAddr: ONE, fcnt, fPort: 1 },
    new Uint8Array(bytes).fill(random(256), 0, 4).fill(random(256), 4),
  ),
  via: RADIO,
});
const keeps = (devAddr: DevAddr, fcnt: number): number => {
  const { ring } = rings.get('contract');
  return ring.take(uplink(devAddr, fcnt)).kind === 'dropped' ? 0 : 1;
};

/** How many of the 360 frames of each of two motes are kept in an hour in which nobody acknowledges any. */
async function anHour(first: number, forged: (n: number) => number, bytes = 12) {
  const kept = { flooded: 0, other: 0 };
  const { ring } = rings.get('contract');
  for (; now < HOUR_MS; now += FORGED_EVERY_MS) {
    ring.take(forge(forged(now / FORGED_EVERY_MS) & 0xffff, bytes));
    if ((now - 100 + SENDS_EVERY_MS) % SENDS_EVERY_MS !== SENDS_EVERY_MS - 100) continue;
    const fcnt = first + now / SENDS_EVERY_MS;
    kept.flooded += keeps(ONE, fcnt);
    kept.other += keeps(TWO, fcnt);
  }
  await ring.settled();
  return { ...kept, dropped: ring.status().dropped };
}
const mark = (fcnt: number): boolean => rings.get('contract').mark(ONE, { session: SESSION, fcnt });

describe('of a mote whose address is forged five times a second for an hour', () => {
  test.each([12, 222])('with a mark no frame is lost, the forgeries having %d bytes', async (bytes) => {
    mark(70_000);
    const { flooded, other, dropped } = await anHour(70_001, () => random(0x1_0000), bytes);
    expect([flooded, other]).toEqual([360, 360]);
    expect(dropped.rate + dropped.budget + dropped.slots).toBeGreaterThan(13_000);
  });

  test('the mark is on the disk: a bridge that is started anew loses none either', async () => {
    mark(70_000);
    await rings.close();
    rings = openThem();
    expect(rings.get('contract').markOf(ONE)).toMatchObject({ session: SESSION, fcnt: 70_000 });
    expect(await anHour(70_001, () => random(0x1_0000))).toMatchObject({ flooded: 360, other: 360 });
  });

  test('without a mark all are kept until its share is full; the other mote loses none', async () => {
    const { flooded, other, dropped } = await anHour(70_001, () => random(0x1_0000));
    expect(other).toBe(360);
    expect(flooded).toBeGreaterThan(90);
    expect([dropped.rate, dropped.slots]).toEqual([0, 0]);
  });

  test('of forgeries all over the window the next frames have their own tokens, until four are under their counters', async () => {
    mark(70_000);
    const { flooded, other, dropped } = await anHour(70_001, () => 70_001 + random(1024));
    expect(other).toBe(360);
    expect(flooded).toBeGreaterThan(60);
    expect(dropped.slots).toBeGreaterThan(1000);
    expect(rings.get('contract').ring.status().bytes).toBeLessThanOrEqual(2 * SHARE);
  });
});

test('an old mark costs no true frame: what is beyond it is kept in what is left of the share', () => {
  mark(100);
  let kept = 0;
  for (let fcnt = 101; fcnt <= 3100; fcnt++, now += 1200) kept += keeps(ONE, fcnt);
  expect(kept).toBe(3000);
});

test('a mark from before a long outage costs no true frame, however many more than its window and a third of the share came since', async () => {
  // all that the share holds
  const [count, bytes] = [3000, 252_000];
  await rings.put('contract', { ...settings, devAddrs: [ONE, TWO], budgetBytes: 2 * bytes }, { owner: 'a' });
  mark(0);
  let kept = 0;
  for (let fcnt = 1; fcnt <= count; fcnt++, now += SENDS_EVERY_MS) kept += keeps(ONE, fcnt);
  expect(kept).toBe(count);
  expect(rings.get('contract').ring.bytes).toBe(bytes);
});

test('the window of a mote that was not heard stays as it was: a flood that begins a day later costs none of its frames', async () => {
  mark(70_000);
  const day = 86_400_000;
  now += day;
  let kept = 0;
  const { ring } = rings.get('contract');
  for (; now < day + HOUR_MS; now += FORGED_EVERY_MS) {
    ring.take(forge(random(0x1_0000), 222));
    if (now % SENDS_EVERY_MS === 0) kept += keeps(ONE, 70_001 + (now - day) / SENDS_EVERY_MS);
  }
  await ring.settled();
  expect(kept).toBe(360);
});

describe('a mark', () => {
  const told = () => rings.get('contract').markOf(ONE)?.fcnt;

  test('only rises in a session; other keys begin again', () => {
    const { mark: tell } = rings.get('contract');
    for (const [session, fcnt] of [
      ['ab', 500],
      ['ab', 400],
    ] as const)
      tell(ONE, { session, fcnt, resets: 0 });
    expect(told()).toBe(500);
    tell(ONE, { session: 'cd', fcnt: 3, resets: 0 });
    expect(told()).toBe(3);
  });

  test('of a mote that counts anew falls, as the edge says that has its keys', () => {
    const { mark: tell, markOf } = rings.get('contract');
    tell(ONE, { session: 'ab', fcnt: 500 });
    tell(ONE, { session: 'ab', fcnt: 2 });
    expect(markOf(ONE)).toEqual({ session: 'ab', fcnt: 2, resets: 1 });
    // so it is told on, and what was on its way from before changes nothing
    tell(TWO, { session: 'ab', fcnt: 500, resets: 0 });
    tell(TWO, { session: 'ab', fcnt: 2, resets: 1 });
    tell(TWO, { session: 'ab', fcnt: 501, resets: 0 });
    expect(markOf(TWO)?.fcnt).toBe(2);
  });
});
