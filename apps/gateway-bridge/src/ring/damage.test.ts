import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { openRings, type Rings } from './rings.ts';
import { ONE, settings, uplink } from './test-frames.ts';

let folder = '';
let rings: Rings;
const openThem = (segmentBytes = 1 << 20): Rings =>
  openRings({
    folder,
    neighbourhoodBytes: 1 << 20,
    totalBudgetBytes: 1 << 24,
    segmentBytes,
    framesPerSecond: 1000,
    burst: 1000,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
const hear = async (id: string, from: number, through: number): Promise<void> => {
  for (let fcnt = from; fcnt <= through; fcnt++) {
    const taken = rings.get(id).ring.take(uplink(ONE, fcnt));
    if (taken.kind !== 'dropped') await taken.durable;
  }
};
/** Turns one bit in one of the ring's files, counted from the oldest. */
const damage = (id: string, file: number, fraction: number): void => {
  const log = join(folder, id, 'log');
  const path = join(log, readdirSync(log).sort()[file] ?? '');
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length * fraction);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-damage-'));
  rings = openThem();
});
afterEach(async () => {
  await rings.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a damaged ring', () => {
  test('whose end was cut off is another one, as it gives the same numbers again', async () => {
    await rings.put('own', settings, {});
    await hear('own', 1, 100);
    const { incarnation } = rings.get('own').ring;
    await rings.close();
    rings = openThem();
    expect(rings.get('own').ring.incarnation).toBe(incarnation);
    await rings.close();
    damage('own', 0, 0.8);
    rings = openThem();
    const { ring } = rings.get('own');
    expect(ring.last).toBeLessThan(100);
    expect(ring.incarnation).not.toBe(incarnation);
    const renewed = ring.incarnation;
    await rings.close();
    rings = openThem();
    expect(rings.get('own').ring.incarnation).toBe(renewed);
    await rings.put('own', { ...settings, retainS: 61 }, {});
    expect(rings.get('own').ring.incarnation).toBe(renewed);
  });

  test('with a hole in a closed file gives what is left, all of it, and lets go of it in the end', async () => {
    await rings.put('own', settings, {});
    await rings.put('other', { ...settings, devAddrs: [] }, {});
    await rings.close();
    rings = openThem(4096);
    await hear('own', 1, 300);
    await rings.close();
    damage('own', 1, 0.5);
    rings = openThem(4096);
    const { ring } = rings.get('own');
    const seqs = (await ring.frames(0, 500)).map(({ seq }) => seq);
    expect(ring.last).toBe(300);
    expect(seqs.length).toBeLessThan(300);
    expect(ring.status().count).toBe(seqs.length);
    const offered: number[] = [];
    for (let page = ring.offers(0, 1); page.length > 0; page = ring.offers(offered.at(-1) ?? 0, 1))
      offered.push(...page.map(({ seq }) => seq));
    expect(offered).toEqual(seqs);
    await hear('own', 301, 301);
    await ring.acknowledge(301);
    await rings.put('own', { ...settings, retainS: 0 }, {});
    await rings.tidy();
    expect(ring.status()).toMatchObject({ first: 302, last: 301, count: 0, bytes: 0 });
  });

  test('that cannot be opened keeps no other from it; it can be told of, made anew and removed', async () => {
    await rings.put('own', settings, {});
    await rings.put('other', { ...settings, devAddrs: [] }, {});
    await rings.close();
    writeFileSync(join(folder, 'other', 'ring.json'), 'not JSON');
    rings = openThem();
    expect(rings.all().map(({ ring }) => ring.id)).toEqual(['own']);
    expect(rings.check()).toMatchObject({ ok: false });
    await expect(rings.tidy()).rejects.toThrow('not JSON');
    await expect(rings.put('other', settings, { adopt: 'own' })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await hear('own', 1, 1);
    await rings.put('other', { ...settings, devAddrs: [] }, {});
    expect(rings.check()).toEqual({ ok: true });
    await rings.close();
    writeFileSync(join(folder, 'other', 'ring.json'), 'not JSON');
    rings = openThem();
    await rings.remove('other');
    expect(rings.check()).toEqual({ ok: true });
    expect(readdirSync(folder)).not.toContain('other');
  });
});
