import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isAntirioError } from '@antirio/kernel';
import { silentLog } from '@antirio/host';
import {
  createFcntSet,
  createSessionCipher,
  devAddrOf,
  eu868,
  newMacState,
  parseDataFrame,
  parseDevAddr,
  parseDevEui,
  parseSessionId,
  sessionFingerprint,
} from '@antirio/lorawan';
import { readingsOf } from '../north/readings.ts';
import { secretsSchema, type DeviceOptions } from '../options.ts';
import { loraEnvironmentSensor } from '../profile.ts';
import { openStore } from '../database.ts';
import { createUplinkStore, type UplinkStore } from '../store.ts';
import { sessionInUse } from '../downlink/session-in-use.ts';
import { readEventUp, type Uplink } from './event-up.ts';
import { createJoinStore } from '../join/store.ts';
import { createMarks, MARKS_KEPT } from './marks.ts';
import { createProgress } from './progress.ts';
import { createResets } from './resets.ts';
import { openSessions } from './session-book.ts';
import { judge, noteUnderWay, noveltyOf, type Session } from './sessions.ts';

const devAddr = parseDevAddr('01000001');
const device = (n: number): DeviceOptions => ({
  devEui: parseDevEui(`000000000000000${String(n)}`),
  name: `mote-${String(n)}`,
  devAddr,
  activation: 'abp',
  network: 'own',
  class: 'A',
  macVersion: '1.0.3',
  mayReset: false,
  profileName: 'lora-environment-sensor',
  codec: 'cayenneLpp',
});
const newMac = () => newMacState(eu868);
const keyOf = (n: number): string => `${String(n)}0`.repeat(16);
const secrets = secretsSchema.parse({
  keyVersion: 1,
  sessions: [1, 2].map((n) => ({
    devEui: device(n).devEui,
    devAddr,
    nwkSKey: keyOf(n),
    appSKey: keyOf(n + 2),
  })),
});
const cipherOf = (n: number) =>
  createSessionCipher({ nwkSKey: Buffer.from(keyOf(n), 'hex'), appSKey: Buffer.from(keyOf(n + 2), 'hex') });
/** A session of a device that may reset its counters. */
function resettable(store: UplinkStore, db = openStore(':memory:')): Session {
  const ports = { store, joins: createJoinStore(db), newMac, confidentiality: 'process' } as const;
  const devices = [{ ...device(1), mayReset: true }];
  const [session] = openSessions(secrets, { ...ports, devices }).byDevAddr.get(devAddr) ?? [];
  if (session === undefined) throw new Error('no session');
  return session;
}
const uplink = (n: number, fcnt: number, payload = [1, 103, 0, 250]) =>
  parseDataFrame(
    cipherOf(n).build(
      { direction: 'up', confirmed: false, devAddr, fcnt, fPort: 2 },
      Uint8Array.from(payload),
    ),
  );

describe('whose frame it is', () => {
  const db = openStore(':memory:');
  const stores = { store: createUplinkStore(db), joins: createJoinStore(db), newMac };
  const devices = [device(1), device(2)];
  const sessions = openSessions(secrets, { ...stores, devices, confidentiality: 'process' }).byDevAddr;

  test('the MIC decides among devices with one DevAddr', () => {
    for (const n of [1, 2]) {
      const verdict = judge(sessions, uplink(n, 7));
      expect(verdict.kind === 'genuine' && [verdict.session.device.name, verdict.fcnt]).toEqual([
        `mote-${String(n)}`,
        7,
      ]);
    }
    const foreign = createSessionCipher({ nwkSKey: new Uint8Array(16) });
    const frame = parseDataFrame(foreign.build({ direction: 'up', confirmed: false, devAddr, fcnt: 7 }));
    expect(judge(sessions, frame)).toEqual({ kind: 'badMic' });
    const stranger = foreign.build({
      direction: 'up',
      confirmed: false,
      devAddr: parseDevAddr('02000002'),
      fcnt: 7,
    });
    expect(judge(sessions, parseDataFrame(stranger))).toEqual({ kind: 'unknown' });
  });

  test('a backlog is accepted below the highest counter, and over a rollover', () => {
    const [session] = sessions.get(devAddr) ?? [];
    session?.seen.add(65_540);
    for (const fcnt of [65_545, 65_539, 65_530, 12]) {
      const verdict = judge(sessions, uplink(1, fcnt));
      expect(verdict.kind === 'genuine' && verdict.fcnt).toBe(fcnt);
    }
  });

  test('known bytes are a retransmission at first and a replay later; other bytes under one identity a conflict', () => {
    const [, session] = sessions.get(devAddr) ?? [];
    if (session === undefined) throw new Error('no session');
    const first = { digest: 'a', receivedAt: 1000, gatewayId: 'g' };
    expect(noveltyOf(session, 9, first, 5000)).toBe('new');
    noteUnderWay(session, 9, first);
    expect(noveltyOf(session, 9, { ...first, gatewayId: 'h', receivedAt: 1950 }, 5000)).toBe('otherGateway');
    expect(noveltyOf(session, 9, { ...first, gatewayId: 'h', receivedAt: 2100 }, 5000)).toBe(
      'retransmission',
    );
    expect(noveltyOf(session, 9, { ...first, receivedAt: 1900 }, 5000)).toBe('retransmission');
    // the newest one may still wait for its acknowledgement
    expect(noveltyOf(session, 9, { ...first, receivedAt: 601_000 }, 5000)).toBe('retransmission');
    expect(noveltyOf(session, 9, { ...first, receivedAt: 1_000_000 }, 5000)).toBe('replay');
    expect(noveltyOf(session, 9, { ...first, digest: 'b' }, 5000)).toBe('conflict');
    noteUnderWay(session, 10, { ...first, digest: 'c' });
    expect(noveltyOf(session, 9, { ...first, receivedAt: 5500 }, 5000)).toBe('retransmission');
    expect(noveltyOf(session, 9, { ...first, receivedAt: 9000 }, 5000)).toBe('replay');
    session.seen.add(4);
    expect(noveltyOf(session, 4, first, 5000)).toBe('replay');
  });

  test('keys of other devices are left out, and `forward` reads nothing', () => {
    const ports = { ...stores, devices: [device(2)], confidentiality: 'forward' } as const;
    const opened = openSessions(secrets, ports).byDevAddr.get(devAddr) ?? [];
    expect(opened.map((session) => [session.device.name, session.cipher.readsPayload])).toEqual([
      ['mote-2', false],
    ]);
  });
});

describe('joins that lead to nothing', () => {
  const joiner: DeviceOptions = { ...device(3), devAddr: undefined, activation: 'otaa' };
  const db = openStore(':memory:');
  const joins = createJoinStore(db);
  const keys = secretsSchema.parse({
    keyVersion: 1,
    sessions: [{ devEui: joiner.devEui, devAddr, nwkSKey: keyOf(5), appSKey: keyOf(6) }],
    rootKeys: [{ devEui: joiner.devEui, appKey: keyOf(7) }],
  });
  const ports = { joins, store: createUplinkStore(db), devices: [joiner], newMac };
  const book = openSessions(keys, { ...ports, confidentiality: 'process' });
  const join = (n: number) => {
    const bytes = new Uint8Array(16).fill(n);
    const joined = joins.accept({ devEui: joiner.devEui, devNonce: n, rule: 'random' }, 5, () => ({
      session: sessionFingerprint(bytes, devAddrOf(n)),
      devAddr: devAddrOf(n),
      nwkSKey: bytes,
      appSKey: bytes,
      mac: newMacState(eu868),
    }));
    if (joined === undefined) throw new Error('not accepted');
    return book.add(joined);
  };

  test('of a device leave the sessions that the disk keeps, and their addresses', () => {
    const given = book.currentOf(joiner.devEui);
    const used = join(1);
    book.heard(used);
    const dropped = join(2);
    for (let n = 3; n <= 30; n++) join(n);
    const left = new Set(joins.all().map(({ session }) => session));
    expect(left.size).toBe(9);
    expect(book.sessionsOf(joiner.devEui).map(({ id }) => id)).toEqual([given?.id, ...left]);
    expect(new Set(book.byDevAddr.keys())).toEqual(
      new Set([devAddr, ...joins.all().map((one) => one.devAddr)]),
    );
    // out of a frame that was on its way meanwhile
    book.heard(dropped);
    expect(book.currentOf(joiner.devEui)).toBe(used);
    expect(used.standing).toBe('current');
  });

  test('of a device leave open for minutes which session it uses: nothing is sent in the one before', () => {
    const { devEui } = joiner;
    const newest = join(31);
    const used = book.currentOf(devEui);
    expect(used).toBeDefined();
    expect(used).not.toBe(newest);
    expect(sessionInUse(book, devEui, 5)).toBeUndefined();
    expect(
      sessionInUse(openSessions(keys, { ...ports, confidentiality: 'process' }), devEui, 5),
    ).toBeUndefined();
    // it did not take it
    expect(sessionInUse(book, devEui, 300_005)).toBe(used);
    const blind = openSessions(keys, { ...ports, confidentiality: 'forward' });
    expect(blind.currentOf(devEui)).toBeDefined();
    // what was encrypted elsewhere goes without the AppSKey
    expect(sessionInUse(blind, devEui, 300_005)).toBe(blind.currentOf(devEui));
    book.heard(newest);
    expect(sessionInUse(book, devEui, 5)).toBe(newest);
  });
});

describe('what is remembered', () => {
  test('marks are known until they are on the disk, and by the disk from then on', () => {
    const onDisk = new Map<string, { digest: string; receivedAt: number }>();
    const marks = createMarks({ remembered: (id, fcnt) => onDisk.get(`${id} ${String(fcnt)}`) });
    const ids = ['1', '2'].map((digit) => parseSessionId(digit.repeat(16)));
    const frames = Array.from({ length: 2 * MARKS_KEPT }, (_, n) => ({
      id: ids[n % 2] ?? parseSessionId('0'.repeat(16)),
      fcnt: (n * 37) % (2 * MARKS_KEPT),
      stored: { digest: String(n), receivedAt: n },
    }));
    for (const { id, fcnt, stored } of frames) marks.set(id, fcnt, { ...stored, gatewayId: 'g' });
    for (const { id, fcnt, stored } of frames)
      expect(marks.get(id, fcnt)).toEqual({ ...stored, gatewayId: 'g' });
    for (const { id, fcnt, stored } of frames) onDisk.set(`${id} ${String(fcnt)}`, stored);
    marks.settle();
    for (const { id, fcnt, stored } of frames) expect(marks.get(id, fcnt)).toMatchObject(stored);
    const withGateway = frames.map(({ id, fcnt }) => marks.get(id, fcnt)?.gatewayId === 'g');
    expect(withGateway).toEqual(frames.map((_, n) => n >= MARKS_KEPT));
    // the counter of another session
    const [{ id, fcnt } = { id: ids[0], fcnt: 0 }] = frames.slice(-1);
    const other = ids.find((one) => one !== id);
    expect(other && marks.get(other, fcnt)).toBeUndefined();
  });

  test('of a device that may reset its counters the newest frames are known by their bytes, in memory as on the disk', () => {
    const db = openStore(':memory:');
    const store = createUplinkStore(db);
    const opened = () => resettable(store, db);
    const session = opened();
    const progress = createProgress({
      ...{ store, ring: 'own', commitIntervalMs: 60_000, log: silentLog },
      onCommit: () => undefined,
    });
    const digestOf = (n: number) => n.toString(16).padStart(32, '0');
    for (let n = 0; n < 5000; n++) progress.remember(session, n, { digest: digestOf(n), receivedAt: 5 });
    const newest = Array.from({ length: 4096 }, (_, n) => digestOf(5000 - 4096 + n));
    expect([...(session.digests ?? [])]).toEqual(newest);
    progress.commit();
    // after a start, too, it is the oldest that is forgotten
    const again = opened();
    expect([...(again.digests ?? [])]).toEqual(newest);
    progress.remember(again, 5000, { digest: digestOf(5000), receivedAt: 5 });
    expect([...(again.digests ?? [])]).toEqual([...newest.slice(1), digestOf(5000)]);
    progress.commit();
  });

  test('a reset leaves nothing of the count before it on the disk, were it of the same commit', () => {
    const store = createUplinkStore(openStore(':memory:'));
    const session = resettable(store);
    const progress = createProgress({
      ...{ store, ring: 'own', commitIntervalMs: 60_000, log: silentLog },
      onCommit: () => undefined,
    });
    progress.remember(session, 5000, { digest: '0'.repeat(32), receivedAt: 5 });
    progress.reset(session);
    progress.commit();
    expect(store.seen(session.id).highest).toBeUndefined();
    progress.remember(session, 5001, { digest: '1'.repeat(32), receivedAt: 6 });
    progress.reset(session);
    progress.remember(session, 3, { digest: '2'.repeat(32), receivedAt: 7 });
    progress.commit();
    expect([...store.seen(session.id).ranges()]).toEqual([[3, 3]]);
  });

  test('counters, digests, counts and the cursor come back as they were committed', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.oneof(fc.nat(5000), fc.integer({ min: 65_000, max: 66_000 })), { maxLength: 60 }),
        (fcnts) => {
          const folder = mkdtempSync(join(tmpdir(), 'lora-'));
          const session = parseSessionId('00112233445566aa');
          const seen = createFcntSet();
          const open = () => openStore(join(folder, 'x.db'));
          let db = open();
          for (const [i, fcnt] of fcnts.entries()) {
            seen.add(fcnt);
            createUplinkStore(db).commit({
              ring: 'own',
              cursor: { incarnation: 'i', seq: i + 1 },
              counts: { stored: 1 },
              remembered: [{ session, fcnt, digest: 'd', receivedAt: 5 }],
              digests: [],
              cleared: new Set(),
              mac: new Map(),
              seen: new Map([[session, seen]]),
              parked: [],
              conflicts: [],
            });
          }
          db.close();
          db = open();
          const again = createUplinkStore(db);
          expect(again.seen(session).ranges()).toEqual(seen.ranges());
          expect(again.counts().stored ?? 0).toBe(fcnts.length);
          expect(again.cursor('own')?.seq).toBe(fcnts.length === 0 ? undefined : fcnts.length);
          const lowest = (seen.highest ?? 0) - 2048;
          for (const fcnt of fcnts) {
            const kept = again.remembered(session, fcnt);
            if (fcnt >= lowest) expect(kept).toEqual({ digest: 'd', receivedAt: 5 });
          }
          expect(again.remembered(session, lowest - 1)).toBeUndefined();
          db.close();
          rmSync(folder, { recursive: true });
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('readings', () => {
  const decode = (payload: number[], clear = true) =>
    readingsOf(device(1), loraEnvironmentSensor, Uint8Array.from(payload), 5n, clear);
  const valuesOf = ({ readings }: ReturnType<typeof decode>) =>
    readings.map((reading) => [
      reading.resourceName,
      reading.kind === 'simple' ? reading.value : reading.kind,
    ]);

  test('Cayenne LPP becomes the resources of the profile, floating point as EdgeX writes it', () => {
    const decoded = decode([1, 103, 0, 255, 2, 104, 90, 3, 2, 255, 246]);
    expect(decoded).toMatchObject({ sourceName: 'uplink', undecodable: false });
    expect(valuesOf(decoded)).toEqual([
      ['temperature_1', '2.55e+01'],
      ['relative_humidity_2', '4.5e+01'],
      ['analog_in_3', '-1e-01'],
    ]);
  });

  test('nothing that a sensor said is thrown away', () => {
    expect(valuesOf(decode([1, 103, 0, 255, 9, 103, 0, 1]))).toEqual([
      ['temperature_1', '2.55e+01'],
      ['payload', 'binary'],
    ]);
    expect(decode([1, 103, 0])).toMatchObject({ sourceName: 'payload', undecodable: true });
    expect(decode([9, 103, 0, 1])).toMatchObject({ sourceName: 'payload', undecodable: true });
    expect(decode([])).toMatchObject({ sourceName: 'payload', undecodable: false });
    expect(decode([1, 103, 0, 255], false)).toMatchObject({ sourceName: 'payload', undecodable: false });
  });
});

test('no message on the bus makes the reader throw anything but an AntirioError', () => {
  const rxInfo = fc.record({
    gatewayId: fc.constant('0102030405060708'),
    metadata: fc.dictionary(fc.constantFrom('ring', 'seq', 'last'), fc.string()),
  });
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.json().map((text) => new Uint8Array(Buffer.from(text))),
    fc
      .record({ phyPayload: fc.base64String(), rxInfo })
      .map((value) => new Uint8Array(Buffer.from(JSON.stringify(value)))),
  );
  fc.assert(
    fc.property(noise, (bytes) => {
      try {
        readEventUp(bytes);
      } catch (error) {
        if (!isAntirioError(error)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
});

describe('a reset that was none', () => {
  const heardOf = (session: Session, fcnt: number) => {
    const times = { receivedAt: 1000 + fcnt, heardAt: fcnt };
    return { session, fcnt, uplink: { ...times } as Uplink };
  };

  test('of an old frame that is played again is taken back with the second frame of the count that goes on', () => {
    const session = resettable(createUplinkStore(openStore(':memory:')));
    const takenBack: Session[] = [];
    const resets = createResets((one) => void takenBack.push(one));
    for (const fcnt of [500, 5999, 6000]) session.seen.add(fcnt);
    expect(resets.begins(heardOf(session, 500))).toBe(true);
    const former = newMac();
    session.mac = newMac();
    resets.keepFormerMac(session, former);
    session.seen = createFcntSet([[500, 500]]);
    // late ones of a slow gateway: below, above, and not in order
    const late = [6000, 6002, 6001];
    expect(late.map((fcnt) => resets.isEarlier(heardOf(session, fcnt)))).toEqual([true, true, true]);
    expect(takenBack).toEqual([]);
    expect(resets.isEarlier(heardOf(session, 6003))).toBe(false);
    expect(takenBack).toEqual([session]);
    expect(session.mac).toBe(former);
    expect(session.macUnsaved).toBe(true);
    // once, and nothing is earlier any more; but it may be played once more
    expect(resets.isEarlier(heardOf(session, 6004))).toBe(false);
    session.seen.add(6004);
    expect(resets.begins(heardOf(session, 500))).toBe(true);
    expect(resets.countOf(session)).toBe(2);
  });
});
