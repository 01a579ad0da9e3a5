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
import { createMarks } from '../uplink/marks.ts';
import type { Novelty, Session } from '../uplink/sessions.ts';
import type { Outcome } from './plan.ts';
import { createDesk } from './desk.ts';
import { createSender } from './sender.ts';
import { createDownlinkStore, type Downlink, type NewDownlink } from './store.ts';
import type { Opportunity } from './transmitter.ts';

const devEui = parseDevEui('0102030405060708');
const devAddr = parseDevAddr('01000001');
const device: DeviceOptions = {
  devEui,
  name: 'mote-1',
  devAddr,
  activation: 'abp',
  network: 'own',
  class: 'A',
  macVersion: '1.0.3',
  mayReset: false,
  profileName: 'lora-environment-sensor',
  codec: 'cayenneLpp',
};
const options = deviceLoraOptions.parse({ dataDir: 'unused', devices: [device] });
const interval: NewDownlink = {
  devEui,
  resource: 'interval',
  fPort: 10,
  payload: Uint8Array.of(1),
  confirmed: true,
};

function sessionOf(key: number): Session {
  const nwkSKey = new Uint8Array(16).fill(key);
  return {
    id: sessionFingerprint(nwkSKey, devAddr),
    device,
    devAddr,
    cipher: createSessionCipher({ nwkSKey, appSKey: nwkSKey }),
    seen: createFcntSet(),
    digests: undefined,
    remembered: createMarks({ remembered: () => undefined }),
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
  readonly fOpts?: Uint8Array;
  readonly gateways?: readonly string[];
  readonly tenure?: string;
}

/** A sender whose gateway-bridge and arbitrator are the test. */
function openScene() {
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
        next: () => next,
        wait: () => Promise.resolve(next === undefined ? undefined : next++),
        prepare: () => undefined,
        unansweredSince: () => undefined,
        proved: (_devAddr, fcnt) => void proofs.push(fcnt),
        gap: () => undefined,
        wantsProof: () => false,
        discard: () => undefined,
        clear: () => undefined,
        close: () => Promise.resolve(),
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

describe('an uplink that is heard once more', () => {
  test('is answered once while its windows are open, and again when it is repeated', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed: true });
    scene.sender.queue(interval, devAddr, { replaces: true });
    scene.pass(1500);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission', gateways: ['slow'] });
    expect(scene.sent).toHaveLength(1);
    scene.pass(2000);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission' });
    expect(scene.frames().map(({ fcnt16 }) => fcnt16)).toEqual([0, 1]);
  });

  test('is answered with the same bytes for as long as a device repeats it, and no oftener', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed: true });
    for (let n = 0; n < 10; n++) {
      scene.pass(60_000);
      await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission' });
    }
    expect(scene.frames().map(({ fcnt16 }) => fcnt16)).toEqual(Array<number>(8).fill(0));
    await scene.hear(session, 2, { confirmed: true });
    expect(scene.frames()).toHaveLength(9);
  });

  test.each([true, false])('a recorded one, confirmed: %s, calls up no new downlink', async (confirmed) => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed });
    scene.sender.queue({ ...interval, confirmed: false }, devAddr, { replaces: true });
    scene.pass(60_000);
    await scene.hear(session, 1, { confirmed, novelty: 'retransmission' });
    expect(scene.latest()).toMatchObject({ state: 'queued' });
    expect(scene.sent).toHaveLength(confirmed ? 2 : 0);
  });

  test('is answered through another gateway where the first one did not send', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.air.push({ outcome: { status: 'TX_FREQ' } });
    await scene.hear(session, 1, { confirmed: true });
    scene.pass(1500);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission', gateways: ['slow'] });
    expect(scene.sent.map(({ to }) => to.gatewayId)).toEqual(['a', 'slow']);
  });
});

describe('a gateway that does not send', () => {
  const hear = async (scene: ReturnType<typeof openScene>): Promise<string[]> => {
    await scene.hear(sessionOf(1), 1, { confirmed: true, gateways: ['a', 'b', 'c'] });
    return scene.sent.map(({ to }) => to.gatewayId);
  };

  test('leaves it to the next one that heard the device, with the same bytes', async () => {
    const scene = openScene();
    scene.air.push(
      { outcome: { status: 'TX_FREQ' } },
      { outcome: { status: 'INTERNAL_ERROR', refused: 'dutyCycle' } },
    );
    expect(await hear(scene)).toEqual(['a', 'b', 'c']);
    expect(new Set(scene.sent.map(({ bytes }) => bytes)).size).toBe(1);
    expect(scene.sent.map(({ to }) => to.context)).toEqual(['a', 'b', 'c']);
    expect(scene.sender.counts()).toMatchObject({ answered: 1, notSent: 0 });
  });

  test('is the last one where it may have sent, or where no counter is left', async () => {
    for (const refused of ['noTxAck', 'noBlock']) {
      const scene = openScene();
      scene.air.push({ outcome: { status: 'INTERNAL_ERROR', refused } });
      expect(await hear(scene)).toEqual(['a']);
    }
  });

  test('leaves the windows that are still ahead', async () => {
    const scene = openScene();
    const late = (by: number) => ({ outcome: { status: 'TOO_LATE' }, meanwhile: () => scene.pass(by) });
    scene.air.push(late(1000), late(1000));
    expect(await hear(scene)).toEqual(['a', 'b']);
    expect(scene.sent.map(({ to }) => to.windows.length)).toEqual([2, 1]);
  });
});

describe('while something else is sent to the device', () => {
  test.each([
    [300, [2]],
    [1400, [1]],
    [2500, []],
  ])(
    'its uplink is answered when that is done, after %i ms in the windows that are ahead',
    async (ms, windows) => {
      const scene = openScene();
      scene.desk.busy.add(devEui);
      await scene.hear(sessionOf(1), 1, { confirmed: true });
      expect(scene.sent).toHaveLength(0);
      scene.pass(ms);
      scene.desk.release(devEui);
      await setImmediate();
      expect(scene.sent.map(({ to }) => to.windows.length)).toEqual(windows);
      expect(scene.frames().every(({ ack }) => ack)).toBe(true);
      expect(scene.desk.busy.size).toBe(0);
    },
  );

  test('the newest of several uplinks is the one', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.desk.busy.add(devEui);
    await scene.hear(session, 1, { confirmed: true });
    scene.pass(500);
    await scene.hear(session, 2, { confirmed: true });
    scene.desk.release(devEui);
    await setImmediate();
    expect(scene.sent).toHaveLength(1);
    expect(scene.sent[0]?.to.windows).toHaveLength(2);
  });
});

describe('a device that listens at all times and asks for an acknowledgement', () => {
  const onWay = (state: 'sending' | 'sent', confirmed: boolean) => {
    const scene = openScene();
    const session = { ...sessionOf(1), device: { ...device, class: 'C' as const } };
    const { id } = scene.store.add({ ...interval, confirmed }, 0);
    const { payload, fPort } = interval;
    const bytes = session.cipher.build({ direction: 'down', confirmed, devAddr, fcnt: 0, fPort }, payload);
    scene.store.assign(devAddr, 0, { id, bytes, session: session.id }, 1_000_000);
    scene.store.update(id, { state, attempts: state === 'sent' ? 1 : 0 }, 1_000_000);
    scene.countFrom(1);
    scene.pass(100);
    return { scene, session };
  };

  test.each([
    ['sent', true],
    ['sending', false],
  ] as const)('is not given what is %s once more under another counter', async (state, confirmed) => {
    const { scene, session } = onWay(state, confirmed);
    await scene.hear(session, 1, { confirmed: true });
    expect(scene.frames()).toMatchObject([{ fcnt16: 1, ack: true, confirmed: false }]);
    expect(scene.frames()[0]?.fPort).toBeUndefined();
    expect(scene.latest()).toMatchObject({ state, fcnt: 0, attempts: state === 'sent' ? 1 : 0 });
    // nor is it repeated, now that its counter was passed
    scene.pass(10_000);
    await scene.hear(session, 2);
    expect(scene.sent).toHaveLength(1);
    scene.pass(10_000);
    await scene.hear(session, 3, { ack: true });
    expect(scene.latest()?.state).toBe(confirmed ? 'acknowledged' : 'sending');
  });
});

describe('what the network asks of a device', () => {
  const askFor = async (scene: ReturnType<typeof openScene>, outcome: Outcome): Promise<number> => {
    const session = sessionOf(1);
    const pending = [{ command: { type: 'devStatusReq' }, attempts: 0, inFlight: false }] as const;
    session.mac = { ...scene.mac.stateOf(session), pending };
    for (let fcnt = 1; fcnt <= 8; fcnt++) {
      scene.air.push({ outcome });
      await scene.hear(session, fcnt);
      scene.pass(10_000);
    }
    return scene.mac.counts().gaveUp;
  };

  test('is given up only where it went on air often enough', async () => {
    expect(await askFor(openScene(), { status: 'OK' })).toBe(1);
    expect(await askFor(openScene(), { status: 'TX_FREQ' })).toBe(0);
    const scene = openScene();
    scene.noCounters();
    expect(await askFor(scene, { status: 'OK' })).toBe(0);
  });
});

describe('what becomes of a downlink', () => {
  test('an acknowledgement is for the newest confirmed downlink of its own session', async () => {
    const scene = openScene();
    const [old, session] = [sessionOf(1), sessionOf(2)];
    const [first, second] = [scene.store.add(interval, 0), scene.store.add(interval, 0)];
    const third = scene.store.add(interval, 0);
    for (const [{ id }, of, fcnt] of [
      [first, old, 40],
      [second, session, 7],
      [third, session, 8],
    ] as const) {
      scene.store.assign(devAddr, fcnt, { id, bytes: Uint8Array.of(0xa0), session: of.id }, 0);
      scene.store.update(id, { state: 'sent', attempts: 1 }, 0);
    }
    await scene.hear(session, 1, { ack: true });
    const states = scene.store.latest(devEui, 3).map(({ id, state }) => [id, state]);
    expect(states[0]).toEqual([third.id, 'acknowledged']);
    expect(states.filter(([, state]) => state === 'acknowledged')).toHaveLength(1);
  });

  test('what another edge was answered in our place ends none of ours, which goes again', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.sender.queue(interval, devAddr, { replaces: true });
    await scene.hear(session, 1, { tenure: 'pier/3' });
    expect(scene.latest()).toMatchObject({ state: 'sent', after: 1, tenure: 'pier/3' });
    // it serves now, sends a confirmed downlink, and its guest hears the answer
    scene.pass(10_000);
    await scene.hear(session, 3, { ack: true, tenure: 'pier/5' });
    expect(scene.sent).toHaveLength(2);
    expect(scene.latest()).toMatchObject({ state: 'sent', after: 3, tenure: 'pier/5', attempts: 2 });
    expect(scene.proofs).toEqual([]);
    scene.pass(10_000);
    await scene.hear(session, 4, { ack: true, tenure: 'pier/5' });
    expect([scene.latest()?.state, scene.proofs]).toEqual(['acknowledged', [0]]);
  });

  test.each([
    ['acknowledged', 'listens after an uplink only once', {}, 1],
    ['sent', 'may repeat the uplink as it wants an answer', { confirmed: true }, 1],
    ['sent', 'repeats its uplinks', {}, 2],
  ])('of one that went out just before another edge took over, %s where the device %s', async (...how) => {
    const [state, , uplink, nbTrans] = how;
    const scene = openScene();
    const session = sessionOf(1);
    session.mac = { ...scene.mac.stateOf(session), nbTrans };
    scene.sender.queue(interval, devAddr, { replaces: true });
    await scene.hear(session, 1, { ...uplink, tenure: 'pier/3' });
    expect(scene.latest()).toMatchObject({ state: 'sent', attempts: 1 });
    scene.pass(10_000);
    await scene.hear(session, 2, { ack: true, tenure: '' });
    expect(scene.latest()?.state).toBe(state);
  });

  test.each([
    ['killed', 'pier/3', 'acknowledged'],
    ['killed, and could not act before', '', 'sent'],
  ])(
    'one that went to the gateway of an edge that was %s then is its own all the same',
    async (_, tenure, state) => {
      const scene = openScene();
      const session = sessionOf(1);
      const { id } = scene.sender.queue(interval, devAddr, { replaces: true });
      // nobody says any more what became of it
      const meanwhile = (): void => scene.store.update(id, { state: 'failed' }, 0);
      scene.air.push({ outcome: { status: 'OK' }, meanwhile });
      await scene.hear(session, 1, { tenure });
      scene.store.update(id, { state: 'sending' }, 0);
      scene.pass(10_000);
      await scene.hear(session, 2, { ack: true, tenure: '' });
      expect(scene.store.latest(devEui, 1)[0]?.state).toBe(state);
    },
  );

  test.each([
    ['went on air', 'OK', undefined],
    ['has to go once more', 'TOO_LATE', undefined],
    ['lost its counter', 'INTERNAL_ERROR', 'noBlock'],
  ])('one that was replaced while it %s stays ended', async (_, status, refused) => {
    const scene = openScene();
    const older = scene.sender.queue(interval, devAddr, { replaces: true });
    const meanwhile = (): void => {
      scene.sender.queue({ ...interval, payload: Uint8Array.of(2) }, devAddr, { replaces: true });
    };
    scene.air.push({ outcome: { status, refused }, meanwhile });
    await scene.hear(sessionOf(1), 1);
    expect(scene.sent).toHaveLength(1);
    expect(scene.store.latest(devEui, 2)).toMatchObject([
      { state: 'queued' },
      { id: older.id, state: 'failed', error: 'replaced' },
    ]);
  });

  test('one that was replaced while its counter was awaited is not sent', async () => {
    const scene = openScene();
    const older = scene.sender.queue(interval, devAddr, { replaces: true });
    const heard = scene.hear(sessionOf(1), 1);
    scene.sender.queue({ ...interval, payload: Uint8Array.of(2) }, devAddr, { replaces: true });
    await heard;
    expect(scene.sent).toHaveLength(0);
    expect(scene.store.latest(devEui, 2)).toMatchObject([
      { state: 'queued' },
      { id: older.id, state: 'failed', error: 'replaced' },
    ]);
  });
});

describe('a device proves that it heard a counter', () => {
  const status = Uint8Array.of(6, 255, 10);

  test('by an answer to what the last downlink asked, and not by one that nobody asked for', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.countFrom(5);
    await scene.hear(session, 1, { fOpts: status });
    expect(scene.proofs).toEqual([]);
    scene.asks.proof = true;
    scene.pass(10_000);
    await scene.hear(session, 2);
    expect(scene.frames()).toMatchObject([{ fcnt16: 5 }]);
    scene.asks.proof = false;
    scene.pass(10_000);
    await scene.hear(session, 3, { fOpts: status });
    expect(scene.proofs).toEqual([5]);
    scene.pass(10_000);
    await scene.hear(session, 4, { fOpts: status });
    expect(scene.proofs).toEqual([5]);
  });

  test('by an acknowledgement of a confirmed downlink', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.countFrom(7);
    scene.sender.queue({ ...interval, confirmed: true }, devAddr, { replaces: true });
    await scene.hear(session, 1);
    scene.pass(10_000);
    await scene.hear(session, 2);
    expect(scene.proofs).toEqual([]);
    scene.pass(10_000);
    await scene.hear(session, 3, { ack: true });
    expect(scene.proofs).toEqual([7]);
  });
});

describe('a downlink through the gateway of a provider, of which nobody knows whether the device hears it', () => {
  test.each([true, false])('is never a command, confirmed: %s; the next answer is', async (confirmed) => {
    const scene = openScene();
    const session = sessionOf(1);
    Object.assign(scene.asks, { proof: true, lends: true });
    scene.sender.queue({ ...interval, confirmed }, devAddr, { replaces: true });
    await scene.hear(session, 1);
    expect([scene.lent, scene.frames().map(({ fcnt16 }) => fcnt16)]).toEqual([[], [0]]);
    expect(scene.latest()).toMatchObject({ state: 'sent', fcnt: 0 });
    scene.pass(10_000);
    await scene.hear(session, 2, { ack: confirmed });
    expect([scene.lent, scene.sent.length]).toEqual([[1], 1]);
  });

  test('acknowledges: a device that misses it asks again, and its own gateway answers', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    Object.assign(scene.asks, { proof: true, lends: true });
    await scene.hear(session, 1, { confirmed: true });
    expect([scene.lent, scene.sent.length]).toEqual([[0], 0]);
    scene.pass(10_000);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission' });
    expect([scene.lent, scene.frames().map(({ fcnt16 }) => fcnt16)]).toEqual([[0], [0]]);
  });
});
