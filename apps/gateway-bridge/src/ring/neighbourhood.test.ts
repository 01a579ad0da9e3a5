import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import type { DevAddr } from '@antirio/lorawan';
import { openRings, type Rings } from './rings.ts';
import { ONE, TWO, settings, uplink } from './test-frames.ts';

let folder = '';
let rings: Rings;
const openThem = (neighbourhoodBytes: number): Rings =>
  openRings({
    folder,
    neighbourhoodBytes,
    totalBudgetBytes: 1 << 24,
    segmentBytes: 1 << 20,
    framesPerSecond: 1,
    burst: 5,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
const hear = async (devAddr: DevAddr, fcnt: number): Promise<number> => {
  const matching = rings.matching(devAddr);
  for (const ring of matching) {
    const taken = ring.take(uplink(devAddr, fcnt));
    if (taken.kind !== 'dropped') await taken.durable;
  }
  return matching.length;
};
const countersIn = async (id: string): Promise<number[]> =>
  (await rings.get(id).ring.frames(0, 500)).map(
    ({ phyPayload }) => (phyPayload[6] ?? 0) + (phyPayload[7] ?? 0) * 256,
  );

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-neighbourhood-'));
});
afterEach(async () => {
  await rings.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the neighbourhood', () => {
  test('a ring that was being made when the process was killed gets it after the start', async () => {
    rings = openThem(1 << 20);
    for (let fcnt = 0; fcnt < 5; fcnt++) await hear(ONE, fcnt);
    const making = rings.put('trial', settings, {});
    // What is on the disk once the ring has its name, and nothing more.
    const killed = mkdtempSync(join(tmpdir(), 'antirio-neighbourhood-'));
    cpSync(folder, killed, { recursive: true });
    await making;
    expect(await countersIn('trial')).toEqual([0, 1, 2, 3, 4]);
    await rings.close();
    rmSync(folder, { recursive: true });
    folder = killed;
    rings = openThem(1 << 20);
    await hear(ONE, 5);
    expect(await countersIn('trial')).toEqual([5]);
    // Under its next name, as at the end of a trial.
    await rings.put('contract', settings, { adopt: 'trial' });
    expect((await countersIn('contract')).sort()).toEqual([0, 1, 2, 3, 4, 5]);

    await rings.close();
    rings = openThem(1 << 20);
    await rings.tidy();
    expect(await countersIn('contract')).toHaveLength(6);
  });

  test('it is filled without being asked for, too', async () => {
    rings = openThem(1 << 20);
    for (let fcnt = 0; fcnt < 5; fcnt++) await hear(ONE, fcnt);
    const making = rings.put('trial', settings, {});
    const killed = mkdtempSync(join(tmpdir(), 'antirio-neighbourhood-'));
    cpSync(folder, killed, { recursive: true });
    await making;
    await rings.close();
    rmSync(folder, { recursive: true });
    folder = killed;
    rings = openThem(1 << 20);
    await rings.tidy();
    expect(await countersIn('trial')).toEqual([0, 1, 2, 3, 4]);
  });

  test('a new ring begins with what was heard of its motes before anybody asked', async () => {
    rings = openThem(1 << 20);
    for (let fcnt = 0; fcnt < 20; fcnt++) {
      await hear(ONE, fcnt);
      await hear(TWO, fcnt);
    }
    await rings.put('contract', settings, {});
    await hear(ONE, 20);
    expect(await countersIn('contract')).toEqual(Array.from({ length: 21 }, (_, i) => i));
  });

  test('is on the disk: what was heard before a restart is in a ring made after it', async () => {
    rings = openThem(1 << 20);
    await hear(ONE, 1);
    await rings.close();
    rings = openThem(1 << 20);
    await rings.put('contract', settings, {});
    expect(await countersIn('contract')).toEqual([1]);
  });

  test('a ring that is made while one of its name is removed is on the disk', async () => {
    rings = openThem(1 << 20);
    await rings.put('contract', settings, {});
    const writing = hear(ONE, 0);
    await Promise.all([rings.remove('contract'), writing, rings.put('contract', settings, {})]);
    await hear(ONE, 1);
    await rings.close();
    rings = openThem(1 << 20);
    expect(await countersIn('contract')).toEqual([1]);
  });

  test('a ring that gets another device asks for its past as well, once', async () => {
    rings = openThem(1 << 20);
    await rings.put('contract', settings, {});
    await hear(TWO, 7);
    await rings.put('contract', { ...settings, devAddrs: [ONE, TWO] }, {});
    await rings.put('contract', { ...settings, devAddrs: [ONE, TWO] }, {});
    expect(await countersIn('contract')).toEqual([7]);
  });

  test('keeps to its budget: the oldest frames leave first, and that is all that leaves', async () => {
    rings = openThem(4096);
    for (let fcnt = 0; fcnt < 200; fcnt++) await hear(ONE, fcnt);
    await rings.put('contract', settings, {});
    const kept = await countersIn('contract');
    expect(kept.at(-1)).toBe(199);
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.length).toBeLessThan(60);
    expect(kept).toEqual(kept.map((_, i) => 200 - kept.length + i));
  });
});

test('marks are kept of motes in the filter alone', async () => {
  rings = openThem(1 << 20);
  const { mark } = await rings.put('own', { ...settings, devAddrs: [ONE] }, {});
  const at = (fcnt: number) => ({ session: 'ab', fcnt });
  expect([mark(ONE, at(5)), mark(TWO, at(5))]).toEqual([true, false]);
  await rings.put('own', { ...settings, devAddrs: [ONE, TWO] }, {});
  expect(rings.get('own').mark(TWO, at(100))).toBe(true);
  // of the mark that was refused nothing is left: far from it, these take no tokens of its next ones
  for (let fcnt = 0; fcnt < 20; fcnt++) await hear(TWO, 30_000 + fcnt);
  await hear(TWO, 101);
  expect(await countersIn('own')).toContain(101);
});
