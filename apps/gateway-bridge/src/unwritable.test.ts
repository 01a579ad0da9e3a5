import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Rings } from './ring/rings.ts';

type Done = (error: Error | null) => void;

// A disk that fails: put in place before anything is imported that writes.
const fs = createRequire(import.meta.url)('node:fs') as { fdatasync(fd: number, done: Done): void };
const { fdatasync } = fs;
let broken = false;
fs.fdatasync = (fd, done) => {
  if (broken) done(new Error('EIO'));
  else fdatasync(fd, done);
};
const { mkdtempSync, rmSync } = await import('node:fs');
const { silentLog, systemClock, systemRandom } = await import('@antirio/host');
const { eu868 } = await import('@antirio/lorawan');
const { ONE, settings, uplink } = await import('./ring/test-frames.ts');
const { openRings } = await import('./ring/rings.ts');
const { openMarks } = await import('./fence/marks.ts');
const { openDutyCycle } = await import('./downlink/duty-cycle.ts');

let folder = '';
const closers: (() => Promise<void>)[] = [];
const openThem = (): Rings => {
  const rings = openRings({
    folder,
    neighbourhoodBytes: 1 << 20,
    totalBudgetBytes: 1 << 24,
    segmentBytes: 1 << 20,
    framesPerSecond: 1,
    burst: 5,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  closers.push(() => rings.close());
  return rings;
};
const hear = async (rings: Rings, fcnt: number): Promise<void> => {
  for (const ring of rings.matching(ONE)) {
    const taken = ring.take(uplink(ONE, fcnt));
    if (taken.kind !== 'dropped') await taken.durable;
  }
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-unwritable-'));
});
afterEach(async () => {
  broken = false;
  for (const close of closers.splice(0)) await close();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => {
  fs.fdatasync = fdatasync;
});

test('a failed write does not shut the neighbourhood for good, nor keep rings from being made meanwhile', async () => {
  const rings = openThem();
  await hear(rings, 1);
  broken = true;
  await expect(hear(rings, 2)).rejects.toMatchObject({ code: 'storageFull' });
  expect(rings.check()).toMatchObject({ ok: false });
  broken = false;
  await rings.put('own', settings, {});
  await rings.tidy();
  await rings.tidy();
  expect(rings.check()).toEqual({ ok: true });
  expect(rings.get('own').ring.last).toBeGreaterThan(0);
  await rings.remove('own');
  await hear(rings, 3);
});

test('the marks of used counters are written again after a failed write', async () => {
  const marks = await openMarks(folder);
  closers.push(() => marks.close());
  const hash = '11'.repeat(16);
  await marks.mark(ONE, 1, hash);
  broken = true;
  await expect(marks.mark(ONE, 2, hash)).rejects.toMatchObject({ code: 'storageFull' });
  expect(marks.failed).toBe(true);
  broken = false;
  await marks.tidy();
  await marks.mark(ONE, 3, hash);
  expect(marks.failed).toBe(false);
  const again = await openMarks(folder);
  closers.push(() => again.close());
  expect(again.of(ONE).highest).toBe(3);
});

test('time on air is taken again after a failed write, and counted once', async () => {
  const air = openDutyCycle({ folder, plan: eu868, clock: systemClock });
  closers.push(() => air.close());
  const usedMs = (): number | undefined => air.loads('00000000aabbccdd')[0]?.usedMs;
  await air.take('00000000aabbccdd', 868_100_000, 100_000)?.durable;
  broken = true;
  const failing = air.take('00000000aabbccdd', 868_100_000, 50_000);
  await expect(failing?.durable).rejects.toMatchObject({ code: 'storageFull' });
  failing?.release();
  expect(air.failed).toBe(true);
  broken = false;
  await air.tidy();
  await air.take('00000000aabbccdd', 868_100_000, 10_000)?.durable;
  expect(air.failed).toBe(false);
  expect(usedMs()).toBe(110);
});
