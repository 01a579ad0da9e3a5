import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { openRings, type Rings } from './rings.ts';
import { ONE, settings, uplink } from './test-frames.ts';

const DAY = 86_400_000;
const WEEK = 7 * DAY;
const BUDGET = 64 << 10;

let folder = '';
let rings: Rings;
let monotonic = 0;
let wall = 1_800_000_000_000;
/** Bytes that all files of the rings' folder may fill. */
let disk = 1 << 30;

const used = (): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
const open = (totalBudgetBytes: number, keptMost = 8): Rings =>
  openRings({
    folder,
    neighbourhoodBytes: 1 << 16,
    totalBudgetBytes,
    keptMost,
    freeDisk: () => disk - used(),
    segmentBytes: 1 << 12,
    framesPerSecond: 1000,
    burst: 1000,
    clock: { now: () => wall, monotonic: () => monotonic },
    random: systemRandom,
    log: silentLog,
  });
const put = (id: string, budgetBytes = BUDGET, owner = 'A'): Promise<unknown> =>
  rings.put(id, { ...settings, devAddrs: [ONE], budgetBytes, retainS: 7 * 86_400 }, { owner });
/** A ring with so many frames, all acknowledged: its contract is over. */
const ended = async (id: string, frames: number, owner?: string): Promise<void> => {
  await put(id, BUDGET, owner);
  const { ring } = rings.get(id);
  for (let fcnt = 0; fcnt < frames; fcnt++) {
    const taken = ring.take(uplink(ONE, fcnt));
    // some at once: a file is begun between two writes to the disk
    if (taken.kind !== 'dropped' && fcnt % 20 === 19) await taken.durable;
  }
  await ring.settled();
  await ring.acknowledge(ring.last);
  await rings.keep(id, WEEK);
};
const countOf = (id: string): number | undefined => rings.find(id)?.ring.status().count;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-kept-'));
  [monotonic, wall, disk] = [0, 1_800_000_000_000, 1 << 30];
});
afterEach(async () => {
  await rings.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the ring of a contract that is over', () => {
  test('stays a week of being up, whatever the wall clock says and over starts, takes nothing more, and goes', async () => {
    rings = open(1 << 20);
    await ended('over', 20);
    expect(rings.matching(ONE)).not.toContain(rings.get('over').ring);
    wall += 300 * DAY;
    monotonic += 4 * DAY;
    await rings.tidy();
    await rings.close();
    // another start: its clock begins anew
    monotonic = 17;
    rings = open(1 << 20);
    await rings.tidy();
    expect(rings.get('over')).toMatchObject({
      owner: 'A',
      kept: { leftS: 3 * 86_400, yielded: 0, before: 0 },
    });
    expect((await rings.get('over').ring.frames(0, 500)).length).toBe(20);
    monotonic += 3 * DAY - 1;
    await rings.tidy();
    expect(countOf('over')).toBe(20);
    monotonic += 1;
    await rings.tidy();
    expect([rings.find('over'), rings.keptCounts()]).toEqual([
      undefined,
      { before: 0, expired: 20, yielded: 0 },
    ]);
  });

  test('tells what had given way to newer frames before the end, once and over starts', async () => {
    rings = open(1 << 20);
    await put('full', 2048);
    const { ring } = rings.get('full');
    // handed back one by one: each frees its room for the next
    for (let fcnt = 0; fcnt < 60; fcnt++) {
      const taken = ring.take(uplink(ONE, fcnt));
      if (taken.kind === 'stored') await taken.durable;
      await ring.acknowledge(ring.last);
    }
    const before = 60 - ring.status().count;
    expect(before).toBeGreaterThan(30);
    for (let again = 0; again < 2; again++) {
      expect((await rings.keep('full', WEEK)).kept).toMatchObject({ before, yielded: 0 });
      expect(rings.keptCounts()).toEqual({ before, expired: 0, yielded: 0 });
    }
    await rings.close();
    rings = open(1 << 20);
    expect(rings.get('full').kept).toMatchObject({ before });
  });

  test('is begun no more: neither by a second word that it is over, nor as a living one', async () => {
    rings = open(1 << 20);
    await ended('over', 5);
    monotonic += DAY;
    await rings.keep('over', WEEK - DAY);
    await rings.tidy();
    expect(rings.get('over').kept).toEqual({ leftS: 6 * 86_400, yielded: 0, before: 0 });
    await expect(put('over')).rejects.toThrow('over');
  });

  test('reserves nothing: a living ring is admitted, and what ended first yields to it, oldest frames first', async () => {
    rings = open(3 * BUDGET);
    await ended('first', 400);
    monotonic += DAY;
    await ended('second', 400);
    const { bytes } = rings.get('second').ring;
    await rings.tidy();
    expect([countOf('first'), countOf('second')]).toEqual([400, 400]);
    // room for one and a half of the two
    await put('living', 3 * BUDGET - Math.ceil(1.5 * bytes));
    await rings.tidy();
    const left = countOf('first') ?? 0;
    expect(left).toBeGreaterThan(150);
    expect(left).toBeLessThan(250);
    expect(countOf('second')).toBe(400);
    expect(rings.get('first').kept).toMatchObject({ yielded: 400 - left });
    expect((await rings.get('first').ring.frames(0, 1))[0]?.seq).toBe(400 - left + 1);
    // a statement's copies may fill what no ring has reserved: kept frames are in no living ring's way
    await put('another', Math.floor(bytes / 2));
    await rings.tidy();
    expect([rings.find('first'), countOf('second')]).toEqual([undefined, 400]);
    expect(rings.keptCounts()).toEqual({ before: 0, expired: 0, yielded: 400 });
  });

  test('yields where the disk has no room for what living rings may still fill', async () => {
    rings = open(1 << 30);
    await put('living');
    await ended('over', 400);
    await ended('next', 400);
    monotonic += 1000;
    // one byte too little: one file goes, once, and no more
    disk = used() + (64 << 20) + BUDGET - 1;
    for (let again = 0; again < 5; again++) await rings.tidy();
    const { yielded } = rings.get('over').kept ?? { yielded: 0 };
    expect(countOf('over')).toBe(400 - yielded);
    expect(yielded).toBeGreaterThan(0);
    expect(yielded).toBeLessThan(100);
    expect(disk - used()).toBeGreaterThanOrEqual((64 << 20) + BUDGET);
    // more than all of it: it goes, and the next one's oldest file
    const all = rings.get('over').ring.onDisk;
    disk = used() + (64 << 20) + BUDGET - all - 1000;
    for (let again = 0; again < 5; again++) await rings.tidy();
    expect(rings.find('over')).toBeUndefined();
    expect(countOf('next')).toBeGreaterThan(300);
    expect(rings.keptCounts().yielded).toBe(800 - (countOf('next') ?? 0));
  });

  test('one that cannot be opened is there all the same: neither kept nor gone, until it opens again', async () => {
    rings = open(1 << 20);
    await put('shut');
    await rings.close();
    const file = join(folder, 'shut', 'ring.json');
    const good = readFileSync(file);
    writeFileSync(file, good.subarray(0, 20));
    rings = open(1 << 20);
    expect(() => rings.get('shut')).toThrow('cannot be opened');
    await expect(rings.keep('shut', WEEK)).rejects.toMatchObject({ code: 'unavailable' });
    expect(() => rings.get('none')).toThrow('no ring');
    writeFileSync(file, good);
    await rings.tidy();
    expect((await rings.keep('shut', WEEK)).kept).toBeDefined();
  });

  test('of one customer goes for no other’s: who has most yields first, by number, room and disk', async () => {
    rings = open(1 << 20, 4);
    await ended('theirs', 50, 'B');
    monotonic += 1000;
    for (const id of ['one', 'two', 'three', 'four']) await ended(id, 50);
    await rings.tidy();
    const names = () => rings.all().flatMap(({ ring, kept }) => (kept === undefined ? [] : [ring.id]));
    expect(names()).toEqual(['theirs', 'two', 'three', 'four']);
    const { bytes } = rings.get('two').ring;
    await put('living', (1 << 20) - Math.ceil(2.5 * bytes), 'C');
    await rings.tidy();
    expect([countOf('theirs'), countOf('two'), countOf('four')]).toEqual([50, undefined, 50]);
    disk = used() + (64 << 20) + (1 << 20) - Math.ceil(2.5 * bytes) - 1;
    await rings.tidy();
    expect(countOf('theirs')).toBe(50);
  });

  test('whose age cannot be written keeps no living ring from closing with what it knows', async () => {
    rings = open(1 << 20);
    await ended('over', 3);
    await put('living');
    rings.get('living').mark(ONE, { fcnt: 7, session: 'ab'.repeat(8) });
    rmSync(join(folder, 'over', 'ring.json'));
    mkdirSync(join(folder, 'over', 'ring.json', 'in-the-way'), { recursive: true });
    const { ring } = rings.get('living');
    await rings.close();
    expect(existsSync(join(folder, 'living', 'marks.json'))).toBe(true);

    expect(() => ring.take(uplink(ONE, 8))).toThrow('closed');
  });

  test('of too many the one that ended first goes', async () => {
    rings = open(1 << 20, 2);
    for (const id of ['one', 'two', 'three']) {
      await ended(id, 3);
      monotonic += 1000;
    }
    await rings.tidy();
    expect(rings.all().map(({ ring }) => ring.id)).toEqual(['two', 'three']);
    expect(rings.keptCounts()).toEqual({ before: 0, expired: 0, yielded: 3 });
  });
});
