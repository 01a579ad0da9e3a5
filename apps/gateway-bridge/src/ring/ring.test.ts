import { appendFileSync, mkdtempSync, readdirSync, rmSync, truncateSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { merkleRoot, toHex } from '@antirio/kernel';
import { createSessionCipher, parseDevAddr, type DevAddr } from '@antirio/lorawan';
import { createRateLimit } from '@antirio/shadow-buffer';
import { createFrontier, leafHash } from './frontier.ts';
import { openHighWaters } from './marks-file.ts';
import { decodeRecord, encodeFrame, type StoredFrame } from './record.ts';
import { openRing, type Ring, type RingSettings } from './ring.ts';

const cipher = createSessionCipher({
  nwkSKey: new Uint8Array(16).fill(1),
  appSKey: new Uint8Array(16).fill(2),
});
const ONE = parseDevAddr('01000001');
const TWO = parseDevAddr('01000002');

const rx = {
  tmst: 7,
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125_000,
  codeRate: '4/5',
  rssi: -60.5,
  snr: -3.2,
  channel: 3,
  rfChain: 1,
  crcOk: true,
};
const uplink = (
  devAddr: DevAddr,
  fcnt: number,
  payload = 'x',
  via: string = 'radio',
  receivedAt = 1000,
): StoredFrame => ({
  gatewayId: '00000000aabbccdd',
  phyPayload: cipher.build(
    { direction: 'up', confirmed: false, devAddr, fcnt, fPort: 2 },
    new Uint8Array(Buffer.from(payload)),
  ),
  rx,
  receivedAt,
  via,
});

let folder = '';
let open: Ring[] = [];
let wall = 0;
let monotonic = 0;
const clock = { now: () => wall, monotonic: () => monotonic };
const settings: RingSettings = {
  devEuis: [],
  devAddrs: [ONE, TWO],
  budgetBytes: 1 << 20,
  prefix: '',
  deliver: true,
  retainS: 10,
};
const ringOn = (
  change: Partial<RingSettings> = {},
  segmentBytes = 1 << 20,
  rate = createRateLimit(1000, 1000),
): Ring => {
  const ring = openRing(
    { id: 'ring', incarnation: 'life', folder, segmentBytes, rate, clock },
    { ...settings, ...change },
  );
  open.push(ring);
  return ring;
};
const put = async (ring: Ring, frame: StoredFrame): Promise<string> => {
  const taken = ring.take(frame);
  if (taken.kind === 'dropped') return taken.reason;
  await taken.durable;
  return taken.kind === 'known' ? `known ${String(taken.seq)}` : `stored ${String(taken.frame.seq)}`;
};
const seqsOf = async (ring: Ring, after = 0): Promise<number[]> =>
  (await ring.frames(after, 500)).map(({ seq }) => seq);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ring-'));
  wall = 1000;
  monotonic = 0;
});
afterEach(async () => {
  for (const ring of open) await ring.close();
  open = [];
  rmSync(folder, { recursive: true });
});

describe('a ring', () => {
  test('gives back what was put in, byte for byte, after a start too', async () => {
    const ring = ringOn();
    const frames = [uplink(ONE, 1), uplink(TWO, 1), uplink(ONE, 2, 'y', '12D3KooWneighbour')];
    for (const frame of frames) await put(ring, frame);
    const again = ringOn();
    for (const held of [ring, again])
      expect(await held.frames(0, 10)).toEqual(frames.map((frame, i) => ({ ...frame, seq: i + 1 })));
    expect(await again.framesOf([3, 1, 3, 99])).toEqual([
      { ...frames[0], seq: 1 },
      { ...frames[2], seq: 3 },
    ]);
    expect(await put(again, uplink(ONE, 3))).toBe('stored 4');
  });

  test('identical bytes are one record, whichever gateway heard them; a forgery under the same counter is another', async () => {
    const ring = ringOn();
    await put(ring, uplink(ONE, 1));
    expect(await put(ring, { ...uplink(ONE, 1), gatewayId: '0000000000000001' })).toBe('known 1');
    expect(await put(ring, uplink(ONE, 1, 'forged'))).toBe('stored 2');
    expect(await put(ringOn(), uplink(ONE, 1))).toBe('known 1');
  });

  test('at most four distinct frames from the radio under one counter, and four more that a neighbour holds', async () => {
    const ring = ringOn();
    for (const text of ['a', 'b', 'c', 'd']) expect(await put(ring, uplink(ONE, 1, text))).toMatch(/stored/);
    expect(await put(ring, uplink(ONE, 1, 'e'))).toBe('slots');
    expect(await put(ring, uplink(ONE, 1, 'true', 'neighbour'))).toMatch(/stored/);
    expect(ring.status().dropped).toEqual({ budget: 0, rate: 0, slots: 1 });
  });

  test('forgeries that the owner has done with do not keep the true frame out', async () => {
    const ring = ringOn();
    for (const text of ['a', 'b', 'c', 'd']) await put(ring, uplink(ONE, 1, text));
    expect(await put(ring, uplink(ONE, 1, 'true'))).toBe('slots');
    await ring.acknowledge(4);
    expect(await put(ring, uplink(ONE, 1, 'a'))).toBe('known 1');
    expect(await put(ring, uplink(ONE, 1, 'true'))).toBe('stored 5');
    for (const text of ['e', 'f', 'g']) await put(ring, uplink(ONE, 1, text));
    expect(await put(ring, uplink(ONE, 1, 'h'))).toBe('slots');
  });

  test('the budget is divided by device: one cannot take the share of another; drops are counted over a start', async () => {
    const ring = ringOn({ budgetBytes: 360 });
    expect(await put(ring, uplink(ONE, 1))).toBe('stored 1');
    expect(await put(ring, uplink(ONE, 2))).toBe('stored 2');
    expect(await put(ring, uplink(ONE, 3))).toBe('budget');
    expect(await put(ring, uplink(TWO, 1))).toBe('stored 3');
    ring.tidy();
    await ring.acknowledge(3);
    expect(ringOn({ budgetBytes: 360 }).status().dropped.budget).toBe(1);
    // acknowledged ones make room, however young
    expect(await put(ring, uplink(ONE, 4))).toBe('stored 4');
    expect(ring.status().dropped.budget).toBe(1);
  });

  test('the addresses of one device have one share together, which does not make the others less', async () => {
    const three = parseDevAddr('01000003');
    const ring = ringOn({ devAddrs: [ONE, TWO, three], sharing: [[ONE, three]], budgetBytes: 1000 });
    const held = async (devAddr: DevAddr): Promise<number> => {
      let stored = 0;
      for (let fcnt = 1; (await put(ring, uplink(devAddr, fcnt))).startsWith('stored'); fcnt++) stored += 1;
      return stored;
    };
    expect(await put(ring, uplink(three, 100))).toBe('stored 1');
    const [one, two] = [await held(ONE), await held(TWO)];
    expect([two - one, await held(three)]).toEqual([1, 0]);
  });

  test('a device over its rate is held back, identical bytes cost nothing, and a flood far from the last mark takes no tokens of the next frames', async () => {
    const marks = openHighWaters(join(folder, 'marks.json'));
    marks.raise(ONE, { session: 'ab', fcnt: 100 });
    const ring = ringOn({}, 1 << 20, createRateLimit(1, 3, marks));
    const flood = [9000, 9001, 9002, 9003].map((fcnt) => put(ring, uplink(ONE, fcnt)));
    expect((await Promise.all(flood)).at(-1)).toBe('rate');
    expect(await put(ring, uplink(ONE, 101))).toMatch(/stored/);
    for (let i = 0; i < 5; i++) expect(await put(ring, uplink(ONE, 101))).toMatch(/known/);
    await put(ring, uplink(ONE, 102));
    await put(ring, uplink(ONE, 103));
    expect(await put(ring, uplink(ONE, 104))).toBe('rate');
    monotonic = 1000;
    expect(await put(ring, uplink(ONE, 104))).toMatch(/stored/);
  });

  test('frames leave only when acknowledged and old enough', async () => {
    const ring = ringOn({ retainS: 10 });
    for (const fcnt of [1, 2, 3]) await put(ring, uplink(ONE, fcnt));
    monotonic = 1000;
    ring.tidy();
    await ring.acknowledge(2);
    monotonic += 9999;
    ring.tidy();
    expect(await seqsOf(ring)).toEqual([1, 2, 3]);
    monotonic += 1;
    ring.tidy();
    expect(await seqsOf(ring)).toEqual([3]);
    monotonic = 1e6;
    ring.tidy();
    expect(await seqsOf(ring)).toEqual([3]);
    expect(ring.status()).toMatchObject({ first: 3, last: 3, count: 1, acknowledged: 2 });
    await ring.acknowledge(99);
    expect(ring.acknowledged).toBe(3);
    const after = ringOn();
    expect(after.acknowledged).toBe(3);
  });

  test('a clock that is set makes no frame old, and what is held waits', async () => {
    const ring = ringOn({ retainS: 10 });
    await put(ring, uplink(ONE, 1));
    await ring.acknowledge(1);
    monotonic = 1000;
    ring.tidy();
    wall += 7_200_000;
    ring.tidy();
    expect(await seqsOf(ring)).toEqual([1]);
    ring.hold(60_000);
    monotonic = 60_999;
    ring.tidy();
    expect(await seqsOf(ring)).toEqual([1]);
    monotonic += 1;
    ring.tidy();
    expect(await seqsOf(ring)).toEqual([]);
  });

  test('a held ring fills what is reserved for nobody before it lets go of what is acknowledged, and gives it back', async () => {
    const rate = createRateLimit(1000, 1000);
    const ports = { id: 'ring', incarnation: 'life', folder, segmentBytes: 1 << 20, rate, clock };
    const ring = openRing({ ...ports, spare: () => 300 }, { ...settings, budgetBytes: 360 });
    open.push(ring);
    ring.hold(1000);
    for (const fcnt of [1, 2]) await put(ring, uplink(ONE, fcnt));
    // what its owner does not have yet is bound by the budget as ever
    expect(await put(ring, uplink(ONE, 3))).toBe('budget');
    await ring.acknowledge(2);
    for (const fcnt of [3, 4, 5, 6]) expect(await put(ring, uplink(ONE, fcnt))).toBe(`stored ${fcnt}`);
    expect(await seqsOf(ring)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const fcnt of [7, 8]) await put(ring, uplink(ONE, fcnt));
    await ring.acknowledge(8);
    expect(await seqsOf(ring)).toEqual([2, 3, 4, 5, 6, 7, 8]);
    monotonic = 1000;
    ring.tidy();
    expect(ring.status().bytes).toBeLessThanOrEqual(360);
  });

  test('old files go when all of their frames may, numbers and tree go on', async () => {
    const ring = ringOn({ retainS: 0 }, 1000);
    const payloads: Uint8Array[] = [];
    for (let fcnt = 1; fcnt <= 40; fcnt++) {
      const frame = uplink(ONE, fcnt);
      payloads.push(frame.phyPayload);
      await put(ring, frame);
    }
    const files = readdirSync(folder).length;
    expect(files).toBeGreaterThan(3);
    const early = await ring.root(7);
    expect(early).toEqual({ root: toHex(merkleRoot(payloads.slice(0, 7))), count: 7, through: 7 });
    await ring.acknowledge(30);
    ring.tidy();
    expect(readdirSync(folder).length).toBeLessThan(files);
    await expect(ring.root(7)).rejects.toThrow(/left the ring/);
    for (const held of [ring, ringOn({ retainS: 0 }, 1000)]) {
      for (const through of [35, 40])
        expect((await held.root(through)).root).toBe(toHex(merkleRoot(payloads.slice(0, through))));
      expect(held.last).toBe(40);
      expect(await seqsOf(held, 38)).toEqual([39, 40]);
    }
    expect(await put(ring, uplink(ONE, 41))).toBe('stored 41');
  });

  test('offers tell what is held, by more than the MIC', async () => {
    const ring = ringOn();
    const frame = uplink(ONE, 513);
    await put(ring, frame);
    const [offer] = ring.offers(0, 10);
    expect(offer).toEqual({
      seq: 1,
      devAddr: '01000001',
      fcnt: 513,
      mic: toHex(frame.phyPayload.subarray(-4)),
      digest: toHex(leafHash(frame.phyPayload).subarray(0, 8)),
      receivedAt: 1000,
    });
    expect(offer && ring.holds(offer)).toBe(true);
    expect(offer && ring.holds({ ...offer, digest: '0000000000000000' })).toBe(false);
  });

  test('an offer means one frame, though a forgery carries the same counter and MIC', async () => {
    const ring = ringOn();
    const forged = uplink(ONE, 7);
    forged.phyPayload[9] = (forged.phyPayload[9] ?? 0) ^ 1;
    for (const frame of [uplink(ONE, 7), forged, uplink(ONE, 8)]) await put(ring, frame);
    const [genuine, forgery] = ring.offers(0, 10);
    expect(genuine?.mic).toBe(forgery?.mic);
    expect(genuine && ring.find(genuine)).toBe(1);
    expect(forgery && ring.find(forgery)).toBe(2);
    expect(genuine && ring.find({ ...genuine, fcnt: 8 })).toBeUndefined();
  });

  test('the position in a neighbour ring is kept with the frames', async () => {
    const ring = ringOn();
    await ring.pulled({ edgeId: 'b', ringId: 'c', incarnation: 'i', through: 9 });
    expect(ringOn().positionIn('b', 'c')).toEqual({ edgeId: 'b', ringId: 'c', incarnation: 'i', through: 9 });
    expect(ringOn().positionIn('b', 'd')).toBeUndefined();
  });

  test('of several neighbours that it is filled from in turns each position is kept, over new files too', async () => {
    const ring = ringOn({}, 1000);
    const from = (edgeId: string, through: number) => ({ edgeId, ringId: 'r', incarnation: 'i', through });
    const through = (one: Ring, ...edgeIds: string[]) =>
      edgeIds.map((edgeId) => one.positionIn(edgeId, 'r')?.through);
    await ring.pulled(from('b', 5));
    await ring.pulled(from('c', 7));
    await ring.pulled(from('b', 9));
    expect(through(ring, 'b', 'c')).toEqual([9, 7]);
    for (let fcnt = 1; fcnt <= 15; fcnt++) await put(ring, uplink(ONE, fcnt));
    expect(readdirSync(folder).length).toBeGreaterThan(1);
    expect(through(ringOn({}, 1000), 'b', 'c')).toEqual([9, 7]);
    await Promise.all(Array.from({ length: 132 }, (_, i) => ring.pulled(from(`e${i}`, i))));
    expect(through(ring, 'b', 'e3', 'e4', 'e131')).toEqual([undefined, undefined, 4, 131]);
  });

  test.each([1, 5, 20, 60])(
    'a tail torn by %i bytes is cut off, everything before it stays',
    async (bytes) => {
      const ring = ringOn();
      for (const fcnt of [1, 2, 3]) await put(ring, uplink(ONE, fcnt));
      await ring.close();
      open = [];
      const [name = ''] = readdirSync(folder);
      truncateSync(join(folder, name), statSync(join(folder, name)).size - bytes);
      const again = ringOn();
      expect(await seqsOf(again)).toEqual([1, 2]);
      expect(await put(again, uplink(ONE, 9))).toBe('stored 3');
      expect((await again.root()).count).toBe(3);
    },
  );

  test('garbage behind the last record is cut off, and a file with no record yet is begun', async () => {
    await put(ringOn(), uplink(ONE, 1));
    await open.pop()?.close();
    const [name = ''] = readdirSync(folder);
    appendFileSync(join(folder, name), Buffer.alloc(50, 7));
    appendFileSync(join(folder, '000000000009.log'), Buffer.from([1, 2]));
    const again = ringOn();
    expect(await put(again, uplink(ONE, 2))).toBe('stored 2');
    expect(await seqsOf(ringOn())).toEqual([1, 2]);
  });
});

test('a record is read as it was written', () => {
  fc.assert(
    fc.property(
      fc.record({
        tmst: fc.nat(0xffff_ffff),
        rssi: fc.double({ noNaN: true }),
        snr: fc.double({ noNaN: true }),
        channel: fc.nat(255),
        crcOk: fc.boolean(),
        time: fc.constantFrom('2026-11-21T08:08:20Z', undefined),
      }),
      fc.record(
        {
          gpsTimeMs: fc.nat(Number.MAX_SAFE_INTEGER),
          fineTimeNs: fc.nat(999_999_999),
          board: fc.nat(255),
          antenna: fc.nat(255),
        },
        { requiredKeys: [] },
      ),
      fc.uint8Array({ minLength: 12, maxLength: 255 }),
      fc.constantFrom('radio', '12D3KooWneighbour'),
      (drawn, extras, phyPayload, via) => {
        const { time, ...rest } = drawn;
        const frame = {
          ...uplink(ONE, 1),
          phyPayload,
          via,
          rx: { ...rx, ...rest, ...extras, ...(time === undefined ? {} : { time }) },
        };
        expect(decodeRecord(encodeFrame(frame, 1.5))).toEqual({ kind: 'frame', frame, storedAt: 1.5 });
      },
    ),
  );
});

test('the tree that only grows has the root of the whole tree, from any point on', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 40 }), fc.nat(40), (leaves, cut) => {
      let tree = createFrontier();
      for (const [i, leaf] of leaves.entries()) {
        if (i === cut) tree = createFrontier(tree.state());
        tree.add(leafHash(leaf));
      }
      expect(toHex(tree.root())).toBe(toHex(merkleRoot(leaves)));
    }),
  );
});
