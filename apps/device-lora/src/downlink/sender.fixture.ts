// A sender under test: its gateway-bridge and its arbitrator are the test.
import { setImmediate } from 'node:timers/promises';
import { silentLog } from '@antirio/host';
import { parseDataFrame, type DataFrame } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createMacLayer } from '../mac/mac-layer.ts';
import { createMacStore } from '../mac/store.ts';
import { devAddr, devEui, oneDevice, sessionWith } from '../session.fixture.ts';
import type { Reception, Uplink } from '../uplink/event-up.ts';
import type { Novelty, Session } from '../uplink/sessions.ts';
import type { Outcome } from './plan.ts';
import { grantedBy } from './counters.fixture.ts';
import { createDesk } from './desk.ts';
import { createSender } from './sender.ts';
import { createDownlinkStore, type Downlink, type NewDownlink } from './store.ts';
import type { Opportunity } from './transmitter.ts';

const { options, device } = oneDevice();
export const interval: NewDownlink = {
  devEui,
  resource: 'interval',
  fPort: 10,
  payload: Uint8Array.of(1),
  confirmed: true,
};

/** Another one of the device for each byte. */
export const sessionOf = (key: number): Session => sessionWith(device, { nwk: key, app: key });

interface How {
  readonly novelty?: Novelty;
  readonly confirmed?: boolean;
  readonly ack?: boolean;
  readonly fOpts?: Uint8Array;
  readonly gateways?: readonly string[];
  readonly tenure?: string;
}

/** What it sent, and what it did not, is there to be seen. */
export function openScene() {
  let ms = 1_000_000;
  let next: number | undefined = 0;
  const clock = { now: () => ms, monotonic: () => ms };
  const db = openStore(':memory:');
  const store = createDownlinkStore(db);
  const desk = createDesk(store, clock);
  const asks = { proof: false, lends: false };
  const wantsProof = (): boolean => asks.proof;
  const mac = createMacLayer({ options, store: createMacStore(db), clock, log: silentLog, wantsProof });
  const sent: { bytes: Uint8Array; to: Opportunity }[] = [];
  /** Counters that the device surely heard. */
  const proofs: number[] = [];
  /** Counters of what a provider's gateway was lent. */
  const lent: number[] = [];
  /** What becomes of the next transmissions, and what happens meanwhile; OK where nothing is said. */
  const air: { outcome: Outcome; meanwhile?: () => void }[] = [];
  const scene = {
    store,
    desk,
    mac,
    sent,
    proofs,
    lent,
    asks,
    air,
    pass: (by: number): void => void (ms += by),
    countFrom: (fcnt: number): void => void (next = fcnt),
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
      lender: {
        wants: () => asks.lends,
        send: (_heard, bytes) => {
          if (!asks.lends) return Promise.resolve(undefined);
          lent.push(parseDataFrame(bytes).fcnt16);
          return Promise.resolve({ kind: 'onAir' });
        },
        heard: () => undefined,
        close: () => Promise.resolve(),
      },
      sendDownlinks: true,
      answerUplinks: true,
      store,
      desk,
      onQueued: () => undefined,
      mac,
      counters: {
        ...grantedBy(
          () => next,
          () => (next === undefined ? undefined : next++),
        ),
        proved: (_devAddr, fcnt) => void proofs.push(fcnt),
      },
      clock,
      log: silentLog,
    }),
    /** The device is heard, and what follows is done. */
    async hear(session: Session, fcnt: number, how: How = {}): Promise<void> {
      const { novelty = 'new', confirmed = false, ack = false, gateways = ['a'], fOpts, tenure } = how;
      const told = { direction: 'up', confirmed, ack, devAddr, fcnt, fPort: 2, fOpts } as const;
      const phyPayload = session.cipher.build(told, Uint8Array.of(1, 103, 0, 250));
      const receptions = gateways.map((gatewayId): Reception => ({
        ...{ gatewayId, rssi: -60, snr: 8, context: gatewayId },
        ...{ frequency: 868_100_000, bandwidth: 125_000, spreadingFactor: 7 },
      }));
      const [best] = receptions;
      if (best === undefined) return;
      const uplink: Uplink = {
        ...{ ...best, kind: 'uplink', ring: 'own', incarnation: 'i', seq: fcnt, previousSeq: fcnt - 1 },
        ...{ last: fcnt, via: 'radio', receivedAt: ms, again: false, heardAt: ms, phyPayload, tenure },
      };
      if (novelty === 'new') session.remembered.set(session.id, fcnt, { digest: '', receivedAt: ms });
      session.seen.add(fcnt);
      scene.sender.heard({ session, frame: parseDataFrame(phyPayload), fcnt, uplink, receptions, novelty });
      await setImmediate();
    },
  };
  return scene;
}
