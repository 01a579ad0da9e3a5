import { afterEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { toHex } from '@antirio/kernel';
import { parseDataFrame } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createMacLayer } from '../mac/mac-layer.ts';
import { createMacStore } from '../mac/store.ts';
import { devAddr, devEui, oneDevice, sessionWith } from '../session.fixture.ts';
import { createClassC, type ClassC } from './class-c.ts';
import { grantedBy } from './counters.fixture.ts';
import { createDesk } from './desk.ts';
import type { Outcome } from './plan.ts';
import { createReach } from './reach.ts';
import { createDownlinkStore, type Downlink } from './store.ts';
import type { Opportunity } from './transmitter.ts';

const { options, device } = oneDevice({ name: 'valve', class: 'C', reception: { rx2: { dataRate: 3 } } });
const { cipher } = sessionWith(device);
const times = { ackTimeoutMs: 60, quietMs: 20, betweenMs: 5, retryMs: 5, maxRetryMs: 20 };

const opened: ClassC[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** Class C with a gateway-bridge and an arbitrator that are the test. */
function openScene(db = openStore(':memory:')) {
  const wall = { backMs: 0 };
  const clock = { ...systemClock, now: () => systemClock.now() - wall.backMs };
  const store = createDownlinkStore(db);
  const desk = createDesk(store, clock);
  const session = sessionWith(device);
  const sent: { bytes: Uint8Array; to: Opportunity }[] = [];
  const outcomes: Outcome[] = [];
  const state = { next: 0 as number | undefined };
  const mac = createMacLayer({ options, store: createMacStore(db), clock: systemClock, log: silentLog });
  const classC = createClassC({
    ...{ mac, times, store, desk, clock, log: silentLog },
    listening: new Set([devEui]),
    sessionOf: () => session,
    reach: createReach(db),
    transmitter: {
      transmit: (bytes, to) => {
        sent.push({ bytes, to });
        return Promise.resolve([outcomes.shift() ?? { status: 'OK' }]);
      },
      close: () => Promise.resolve(),
    },
    counters: grantedBy(
      () => (state.next === undefined ? undefined : state.next++),
      () => undefined,
    ),
  });
  opened.push(classC);
  const queue = (confirmed = false, payload = Uint8Array.of(1)): Downlink => {
    const added = store.add({ devEui, resource: 'r', fPort: 2, payload, confirmed }, systemClock.now());
    classC.poke(devEui);
    return added;
  };
  const hear = (gateways: readonly string[], agoMs = 60_000): void => {
    const phyPayload = cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt: 1 });
    const radio = { rssi: -60, snr: 8, context: 'AQID', frequency: 868_100_000 };
    const receptions = gateways.map((gatewayId) => ({
      ...{ ...radio, gatewayId, bandwidth: 125_000, spreadingFactor: 7 },
    }));
    const [best] = receptions;
    if (best === undefined) return;
    const place = {
      ring: 'own',
      incarnation: 'i',
      seq: 1,
      previousSeq: 0,
      last: 1,
      via: 'radio',
      again: false,
    };
    const heardAt = systemClock.monotonic() - agoMs;
    const uplink = { kind: 'uplink', ...best, ...place, receivedAt: 0, heardAt, phyPayload } as const;
    classC.heard({ session, frame: parseDataFrame(phyPayload), fcnt: 1, uplink, receptions, novelty: 'new' });
  };
  const until = async (condition: () => boolean): Promise<void> => {
    expect(await waitFor(systemClock, 5000, () => (condition() ? true : undefined), 2)).toBe(true);
  };
  const latest = (): Downlink | undefined => store.latest(devEui, 1)[0];
  return { wall, mac, session, store, desk, sent, outcomes, state, classC, queue, hear, until, latest };
}

test('what is queued goes at once, on the settings of RX2, through the gateway that heard the device best', async () => {
  const { queue, hear, sent, until, latest, store } = openScene();
  queue();
  await new Promise((resolve) => setTimeout(resolve, 30));
  // by which gateway, nobody knows yet
  expect(sent).toHaveLength(0);
  hear(['best', 'other']);
  await until(() => latest()?.state === 'sent');
  queue(false, Uint8Array.of(2));
  await until(() => sent.length === 2);
  expect(sent[0]?.to).toMatchObject({ gatewayId: 'best', at: 'once' });
  expect(sent[0]?.to.windows).toMatchObject([{ frequency: 869_525_000, spreadingFactor: 9 }]);
  const frames = sent.map(({ bytes }) => parseDataFrame(bytes));
  expect(frames.map(({ fcnt16, ack }) => [fcnt16, ack])).toEqual([
    [0, false],
    [1, false],
  ]);
  expect(frames.map((frame, fcnt) => [...cipher.decrypt(frame, fcnt)])).toEqual([[1], [2]]);
  expect(store.open(devEui)).toEqual([]);
});

test('a device that was asked to listen elsewhere is sent nothing until its next uplink shows where it does', async () => {
  const { mac, session, queue, hear, sent, until } = openScene();
  const command = {
    type: 'rxParamSetupReq',
    rx1DrOffset: 0,
    rx2DataRate: 5,
    frequency: 869_525_000,
  } as const;
  const now = mac.stateOf(session);
  mac.replace(session, { ...now, pending: [{ command, attempts: 1, inFlight: true }] });
  hear(['best']);
  queue();
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(sent).toHaveLength(0);
  mac.replace(session, { ...now, rx2: { frequency: 869_525_000, dataRate: 5 } });
  hear(['best']);
  await until(() => sent.length === 1);
  expect(sent[0]?.to.windows).toMatchObject([{ frequency: 869_525_000, spreadingFactor: 7 }]);
});

test('a confirmed one goes again with the same bytes until it is acknowledged or was on air often enough', async () => {
  const { queue, hear, sent, until, latest, desk } = openScene();
  hear(['best']);
  queue(true);
  queue(false, Uint8Array.of(2));
  await until(() => sent.length === 4);
  expect(new Set(sent.slice(0, 3).map(({ bytes }) => toHex(bytes))).size).toBe(1);
  expect(sent.map(({ bytes }) => parseDataFrame(bytes).fcnt16)).toEqual([0, 0, 0, 1]);
  expect(desk.counts()).toMatchObject({ failed: 1 });
  const acknowledged = queue(true);
  await until(() => latest()?.state === 'sent');
  desk.end(acknowledged, 'acknowledged');
  await new Promise((resolve) => setTimeout(resolve, 2 * times.ackTimeoutMs));
  expect(sent).toHaveLength(5);
});

test('one whose counter was passed is not sent again: whether the device has it, nobody knows', async () => {
  const { queue, hear, sent, until, latest, store } = openScene();
  hear(['best']);
  queue(true);
  await until(() => latest()?.state === 'sent');
  // the acknowledgement of an uplink
  store.assign(devAddr, 1, undefined, 0);
  await until(() => latest()?.state === 'failed');
  expect(latest()?.error).toContain('nobody knows');
  expect(sent).toHaveLength(1);
});

test('where its counter is gone it goes under another one only if it surely was not on air', async () => {
  const { queue, hear, outcomes, sent, until, latest } = openScene();
  hear(['best']);
  const gone = { status: 'INTERNAL_ERROR', refused: 'noBlock' };
  outcomes.push(gone, { status: 'OK' }, gone);
  queue(true);
  await until(() => latest()?.state === 'failed');
  expect(sent.map(({ bytes }) => parseDataFrame(bytes).fcnt16)).toEqual([0, 1, 1]);
  expect(latest()?.error).toContain('nobody knows');
});

test('a clock that is set back delays no repetition', async () => {
  const { queue, hear, sent, until, wall } = openScene();
  hear(['best']);
  queue(true);
  await until(() => sent.length === 1);
  wall.backMs = 3_600_000;
  await until(() => sent.length === 3);
});

test('the windows of an uplink come first', async () => {
  const { queue, hear, sent, until } = openScene();
  // RX2 opens 2 s after it
  hear(['best'], 1900);
  queue();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(sent).toHaveLength(0);
  await until(() => sent.length === 1);
});

test('a gateway that refuses leaves it to the next one; where none sends it waits, and so it does for counters', async () => {
  const { queue, hear, sent, outcomes, state, until, latest, desk } = openScene();
  hear(['best', 'other']);
  const full = { status: 'DUTY_CYCLE_OVERFLOW', refused: 'dutyCycle' };
  outcomes.push(full, full, full);
  state.next = undefined;
  queue();
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(latest()).toMatchObject({ state: 'queued' });
  state.next = 7;
  await until(() => latest()?.state === 'sent');
  expect(sent.map(({ to }) => to.gatewayId)).toEqual(['best', 'other', 'best', 'other']);
  expect(new Set(sent.map(({ bytes }) => parseDataFrame(bytes).fcnt16))).toEqual(new Set([7]));
  expect(desk.counts()).toMatchObject({ notSent: 1, sent: 1 });
});

test('while an answer is under way nothing else is sent; after a start the gateway is still known', async () => {
  const db = openStore(':memory:');
  const first = openScene(db);
  first.hear(['best']);
  first.desk.busy.add(devEui);
  first.queue();
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(first.sent).toHaveLength(0);
  await opened.pop()?.close();
  const second = openScene(db);
  // nobody says so: what waits on the disk is looked for
  await second.until(() => second.sent.length === 1);
  expect(second.sent[0]?.to.gatewayId).toBe('best');
});
