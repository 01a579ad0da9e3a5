import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { openStore } from './database.ts';
import { grantedBy } from './downlink/counters.fixture.ts';
import { createDesk } from './downlink/desk.ts';
import { createSender } from './downlink/sender.ts';
import { createDownlinkStore } from './downlink/store.ts';
import type { Transmitter } from './downlink/transmitter.ts';
import { ownAuthority } from './join/authority.ts';
import { createJoinServer } from './join/join-server.ts';
import { createJoinStore } from './join/store.ts';
import { createMacLayer, newStateOf } from './mac/mac-layer.ts';
import { createMacStore } from './mac/store.ts';
import { deviceLoraOptions, secretsSchema, type DeviceOptions } from './options.ts';
import { createUplinkStore } from './store.ts';
import { checkAir, type Air } from './test-air.ts';
import { Killed, lifeOf, mortal, type Life } from './life.fixture.ts';
import { createTestMote } from './test-mote.ts';
import type { Reception } from './uplink/event-up.ts';
import type { HeardUplink } from './uplink/reader.ts';
import { openSessions } from './uplink/session-book.ts';
import type { Session } from './uplink/sessions.ts';

const mote = createTestMote(0xa1);
const options = deviceLoraOptions.parse({
  dataDir: '/nowhere',
  deduplicationMs: 0,
  devices: [{ devEui: mote.devEui, name: 'mote', activation: 'otaa' }],
});
const secrets = secretsSchema.parse({
  keyVersion: 1,
  rootKeys: [{ devEui: mote.devEui, appKey: mote.appKey }],
});
const RECEPTION: Reception = {
  gatewayId: '00000000000000aa',
  rssi: -50,
  snr: 8,
  context: 'AQIDBA==',
  frequency: 868_100_000,
  bandwidth: 125_000,
  spreadingFactor: 7,
};

/** One life of the service, from its disk. */
function begin(path: string, life: Life, air: Air) {
  const real = openStore(path);
  const db = mortal(real, life);
  const downlinks = createDownlinkStore(db);
  const joins = createJoinStore(db);
  const store = createUplinkStore(db);
  const { devices } = options;
  const newMac = (device: DeviceOptions) => newStateOf(options, device);
  const book = openSessions(secrets, { devices, store, joins, newMac, confidentiality: 'process' });
  let asked = 0;
  const transmitter: Transmitter = {
    transmit: (bytes) =>
      life.step(() => {
        if (bytes[0] === 0x20) air.accepts.push({ bytes, devNonce: asked });
        else air.data.push(bytes);
        return Promise.resolve([{ status: 'OK' }]);
      }),
    close: () => Promise.resolve(),
  };
  // an arbitrator without a memory: only what was used is not granted again
  const take = (devAddr: string): number => (downlinks.highestUsed(devAddr) ?? -1) + 1;
  const counters = grantedBy(take);
  const common = { clock: systemClock, log: silentLog };
  const mac = createMacLayer({ options, store: createMacStore(db), ...common });
  const sender = createSender({
    ...{ transmitter, sendDownlinks: true, answerUplinks: true, store: downlinks, mac, counters, ...common },
    desk: createDesk(downlinks, common.clock),
    onQueued: () => undefined,
  });
  const server = createJoinServer({
    ...{ options, joins, transmitter, random: systemRandom, ...common },
    sessions: () => book,
    authority: ownAuthority({ options, ensureRing: () => Promise.resolve() }),
    onOffered: () => undefined,
  });
  const hear = (session: Session, confirmed: boolean): void => {
    const fcnt = (session.seen.highest ?? -1) + 1;
    const { devAddr, cipher } = session;
    const bytes = cipher.build({ direction: 'up', confirmed, adr: true, devAddr, fcnt, fPort: 2 });
    session.seen.add(fcnt);
    const place = { ring: 'own', incarnation: 'i', seq: 1, previousSeq: 0, last: 1, again: false };
    const uplink = {
      ...RECEPTION,
      ...place,
      kind: 'uplink',
      via: 'radio',
      phyPayload: bytes,
      receivedAt: systemClock.now(),
      heardAt: systemClock.monotonic(),
    } as const;
    const heard: HeardUplink = {
      ...{ session, frame: parseDataFrame(bytes), fcnt, uplink, receptions: [uplink], novelty: 'new' },
    };
    book.heard(session);
    sender.heard(heard);
  };
  return {
    join(devNonce: number): void {
      asked = devNonce;
      const phyPayload = mote.joinRequest(devNonce);
      const at = { heardAt: systemClock.monotonic(), receivedAt: systemClock.now() };
      server.heard({ ...RECEPTION, ...at, kind: 'join', ring: 'own', phyPayload });
    },
    uplink(confirmed: boolean): void {
      const session = book.sessionsOf(mote.devEui).at(-1);
      if (session !== undefined) hear(session, confirmed);
    },
    queue(confirmed: boolean): void {
      const payload = Uint8Array.of(1, 2, 3);
      const what = { devEui: mote.devEui, resource: 'x', fPort: 5, payload, confirmed };
      sender.queue(what, undefined, { replaces: true });
    },
    end: () => real.close(),
  };
}

const act = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('join' as const), devNonce: fc.nat(6) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('uplink' as const), confirmed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('queue' as const), confirmed: fc.boolean() }) },
);

/** Enough turns of the event loop for all that an act leads to. */
async function settle(): Promise<void> {
  await setTimeout(2);
  for (let i = 0; i < 8; i++) await setImmediate();
}

test('killed before or after any durable step, it uses no DevNonce, JoinNonce or FCntDown twice', async () => {
  let kills = 0;
  let frames = 0;
  const lives = fc.array(fc.record({ steps: fc.integer({ min: 1, max: 12 }), isDone: fc.boolean() }), {
    minLength: 6,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 40 }), lives, async (acts, ends) => {
      const folder = mkdtempSync(join(tmpdir(), 'lora-crash-'));
      const path = join(folder, 'x.db');
      const air: Air = { data: [], accepts: [] };
      const rest = [...ends];
      const nextLife = (): Life => {
        const end = rest.shift();
        return end === undefined ? lifeOf(Infinity, true) : lifeOf(end.steps, end.isDone);
      };
      let life = nextLife();
      let service = begin(path, life, air);
      for (const one of acts) {
        try {
          if (one.kind === 'join') service.join(one.devNonce);
          else service[one.kind](one.confirmed);
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
        }
        await settle();
        if (!life.isOver) continue;
        kills += 1;
        service.end();
        life = nextLife();
        service = begin(path, life, air);
      }
      service.end();
      rmSync(folder, { recursive: true });
      frames += air.data.length + air.accepts.length;
      checkAir(air, mote);
    }),
    { numRuns: 16 },
  );
  expect(kills).toBeGreaterThan(30);
  expect(frames).toBeGreaterThan(40);
});
