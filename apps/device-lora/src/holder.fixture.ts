import { setImmediate } from 'node:timers/promises';
import { silentLog, type Database } from '@antirio/host';
import { parseDataFrame, type SessionCipher } from '@antirio/lorawan';
import { grantedBy } from './downlink/counters.fixture.ts';
import { createDesk } from './downlink/desk.ts';
import { createNaming } from './downlink/naming.ts';
import type { Outcome } from './downlink/plan.ts';
import { createSender } from './downlink/sender.ts';
import { createDownlinkStore, type Downlink } from './downlink/store.ts';
import { createMacLayer } from './mac/mac-layer.ts';
import { createMacStore } from './mac/store.ts';
import { devAddr, devEui, oneDevice, sessionWith } from './session.fixture.ts';
import type { Uplink } from './uplink/event-up.ts';
import type { HeardUplink } from './uplink/reader.ts';
import type { SessionBook } from './uplink/session-book.ts';
import type { Session } from './uplink/sessions.ts';

const { device, options } = oneDevice();

/** The device, and the application that has its AppSKey. */
export const holderOf = (key: number): SessionCipher =>
  sessionWith(device, { nwk: key, app: key + 100 }).cipher;

interface How {
  readonly confirmed?: boolean;
  readonly ack?: boolean;
  readonly tenure?: string;
  readonly novelty?: HeardUplink['novelty'];
}

/** A service that may have no AppSKey; its gateway-bridge, its arbitrator and its clock are the test. */
export function openBlind(
  db: Database,
  isBlind = true,
  transmit: (bytes: Uint8Array) => Outcome = () => ({ status: 'OK' }),
) {
  const sessionOf = (key: number): Session =>
    sessionWith(device, { nwk: key, app: isBlind ? undefined : key + 100 });
  const now = { ms: 1_000_000, session: sessionOf(1), fcntUp: 0, granted: true };
  const clock = { now: () => now.ms, monotonic: () => now.ms };
  const store = createDownlinkStore(db);
  const desk = createDesk(store, clock);
  const mac = createMacLayer({ options, store: createMacStore(db), clock, log: silentLog });
  // an arbitrator without a memory: only what was used is not granted again
  const take = (): number | undefined => (now.granted ? (store.highestUsed(devAddr) ?? -1) + 1 : undefined);
  const counters = grantedBy(take);
  const sender = createSender({
    ...{ store, desk, mac, counters, clock, log: silentLog, sendDownlinks: true, answerUplinks: true },
    transmitter: {
      transmit: (bytes) => Promise.resolve([transmit(bytes)]),
      close: () => Promise.resolve(),
    },
    onQueued: () => undefined,
  });
  const sessions = () => ({ currentOf: () => now.session }) as unknown as SessionBook;
  const naming = createNaming({ store, counters, sender, mac, sessions, clock });
  return {
    ...{ now, store, desk, sender, mac, counters, naming, device },
    use: (key: number): void => void (now.session = sessionOf(key)),
    latest: (): Downlink | undefined => store.latest(devEui, 1)[0],
    state: (id: number): Downlink | undefined => store.latest(devEui, 50).find((one) => one.id === id),
    /** The device is heard with its next frame, and what follows is done. */
    async hear({ confirmed = false, ack = false, tenure = 'a/1', novelty = 'new' }: How = {}): Promise<void> {
      const { session } = now;
      if (novelty === 'new') now.fcntUp += 1;
      const fcnt = now.fcntUp;
      now.ms += 20_000;
      const phyPayload = session.cipher.build({ direction: 'up', confirmed, ack, devAddr, fcnt });
      const radio = { gatewayId: 'a', rssi: -60, snr: 8, context: '', frequency: 868_100_000 };
      const best = { ...radio, bandwidth: 125_000, spreadingFactor: 7 };
      const place = { ring: 'own', incarnation: 'i', seq: fcnt, previousSeq: fcnt - 1, last: fcnt };
      const told = { via: 'radio', receivedAt: now.ms, again: false, heardAt: now.ms, tenure } as const;
      const uplink: Uplink = { ...best, ...place, ...told, kind: 'uplink', phyPayload };
      session.seen.add(fcnt);
      const frame = parseDataFrame(phyPayload);
      const heard: HeardUplink = { session, frame, fcnt, uplink, receptions: [best], novelty };
      naming.heard(heard);
      sender.heard(heard);
      await setImmediate();
    },
  };
}

type Blind = ReturnType<typeof openBlind>;

/** What somebody with the AppSKey does with a counter that was named. */
export async function encryptAndQueue(
  { naming, device }: Blind,
  text: string,
  { confirmed = false, key = 1 } = {},
): Promise<Downlink> {
  const { session, fCntDown } = await naming.name(device, undefined);
  const payload = holderOf(key).encryptDown(devAddr, fCntDown, Buffer.from(text));
  return naming.queue(device, { session, fCntDown, payload, fPort: 5, confirmed });
}

/** What the device reads, in the order in which it came on air; it takes no counter twice and none below. */
export function readByMote(onAir: readonly Uint8Array[], key = 1): string[] {
  let next = 0;
  const read: string[] = [];
  for (const bytes of onAir) {
    const frame = parseDataFrame(bytes);
    if (frame.fcnt16 < next || !holderOf(key).verifies(frame, frame.fcnt16)) continue;
    next = frame.fcnt16 + 1;
    if (frame.frmPayload.length > 0)
      read.push(Buffer.from(holderOf(key).decrypt(frame, frame.fcnt16)).toString());
  }
  return read;
}
