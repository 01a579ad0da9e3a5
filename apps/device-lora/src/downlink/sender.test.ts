import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import {
  createFcntSet,
  createSessionCipher,
  parseDataFrame,
  parseDevAddr,
  parseDevEui,
  sessionFingerprint,
  type DataFrame,
} from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createMacLayer } from '../mac/mac-layer.ts';
import { createMacStore } from '../mac/store.ts';
import { deviceLoraOptions, type DeviceOptions } from '../options.ts';
import type { Reception, Uplink } from '../uplink/event-up.ts';
import type { Novelty, Session } from '../uplink/sessions.ts';
import type { Outcome } from './plan.ts';
import { createSender } from './sender.ts';
import { createDownlinkStore, type Downlink } from './store.ts';
import type { Opportunity } from './transmitter.ts';

const devEui = parseDevEui('0102030405060708');
const devAddr = parseDevAddr('01000001');
const device: DeviceOptions = {
  devEui,
  name: 'mote-1',
  devAddr,
  activation: 'abp',
  class: 'A',
  macVersion: '1.0.3',
  mayReset: false,
  profileName: 'lora-environment-sensor',
  codec: 'cayenneLpp',
};
const options = deviceLoraOptions.parse({ dataDir: 'unused', devices: [device] });

function sessionOf(key: number): Session {
  const nwkSKey = new Uint8Array(16).fill(key);
  return {
    id: sessionFingerprint(nwkSKey, devAddr),
    device,
    devAddr,
    cipher: createSessionCipher({ nwkSKey, appSKey: nwkSKey }),
    seen: createFcntSet(),
    digests: undefined,
    remembered: { get: () => undefined, set: () => undefined, settle: () => undefined },
    underWay: undefined,
    standing: 'given',
    mac: undefined,
    macUnsaved: false,
  };
}

interface How {
  readonly novelty?: Novelty;
  readonly confirmed?: boolean;
  readonly ack?: boolean;
  readonly gateways?: readonly string[];
}

/** A sender whose gateway-bridge and arbitrator are the test. */
function openScene() {
  let ms = 1_000_000;
  let next: number | undefined = 0;
  const clock = { now: () => ms, monotonic: () => ms };
  const db = openStore(':memory:');
  const store = createDownlinkStore(db);
  const mac = createMacLayer({ options, store: createMacStore(db), clock, log: silentLog });
  const sent: { bytes: Uint8Array; to: Opportunity }[] = [];
  /** What becomes of the next transmissions, and what happens meanwhile; OK where nothing is said. */
  const air: { outcome: Outcome; meanwhile?: () => void }[] = [];
  const scene = {
    store,
    mac,
    sent,
    air,
    pass: (by: number): void => void (ms += by),
    noCounters: (): void => void (next = undefined),
    frames: (): DataFrame[] => sent.map(({ bytes }) => parseDataFrame(bytes)),
    latest: (): Downlink | undefined => store.latest(devEui, 1)[0],
    sender: createSender({
      transmitter: {
        transmit: (bytes, to) => {
          sent.push({ bytes, to });
          const { outcome, meanwhile } = air.shift() ?? { outcome: { status: 'OK' } };
          meanwhile?.();
          return Promise.resolve([outcome]);
        },
        close: () => Promise.resolve(),
      },
      sendDownlinks: true,
      answerUplinks: true,
      store,
      mac,
      counters: {
        next: () => next,
        wait: () => Promise.resolve(next === undefined ? undefined : next++),
        prepare: () => undefined,
        discard: () => undefined,
        clear: () => undefined,
        close: () => Promise.resolve(),
      },
      clock,
      log: silentLog,
    }),
    /** The device is heard, and what follows is done. */
    async hear(session: Session, fcnt: number, how: How = {}): Promise<void> {
      const { novelty = 'new', confirmed = false, ack = false, gateways = ['a'] } = how;
      const told = { direction: 'up', confirmed, ack, devAddr, fcnt, fPort: 2 } as const;
      const phyPayload = session.cipher.build(told, Uint8Array.of(1, 103, 0, 250));
      const receptions = gateways.map((gatewayId): Reception => ({
        ...{ gatewayId, rssi: -60, snr: 8, context: gatewayId },
        ...{ frequency: 868_100_000, bandwidth: 125_000, spreadingFactor: 7 },
      }));
      const [best] = receptions;
      if (best === undefined) return;
      const uplink: Uplink = {
        ...{ ...best, kind: 'uplink', ring: 'own', incarnation: 'i', seq: fcnt, previousSeq: fcnt - 1 },
        ...{ last: fcnt, via: 'radio', receivedAt: ms, again: false, heardAt: ms, phyPayload },
      };
      session.seen.add(fcnt);
      scene.sender.heard({ session, frame: parseDataFrame(phyPayload), fcnt, uplink, receptions, novelty });
      await setImmediate();
    },
  };
  return scene;
}

describe('answers without payload', () => {
  test('the answer of one session is never sent into another', async () => {
    const scene = openScene();
    const [first, second] = [sessionOf(1), sessionOf(2)];
    await scene.hear(first, 1, { confirmed: true });
    scene.pass(10_000);
    await scene.hear(second, 1, { confirmed: true });
    const [, frame] = scene.frames();
    expect(frame && [second.cipher.verifies(frame, 1), first.cipher.verifies(frame, 0)]).toEqual([
      true,
      false,
    ]);
  });

  test('a device that counts from the beginning again is answered anew', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed: true });
    scene.pass(10_000);
    await scene.hear(session, 1, { confirmed: true });
    expect(scene.frames().map(({ fcnt16 }) => fcnt16)).toEqual([0, 1]);
  });
});
