import { expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom, waitFor } from '@antirio/host';
import { openStore } from '../database.ts';
import { newStateOf } from '../mac/mac-layer.ts';
import { deviceLoraOptions, secretsSchema } from '../options.ts';
import { createUplinkStore } from '../store.ts';
import type { Outcome } from '../downlink/plan.ts';
import { createTestMote } from '../test-mote.ts';
import { openSessions, type SessionBook } from '../uplink/session-book.ts';
import { ownAuthority } from './authority.ts';
import { createJoinServer } from './join-server.ts';
import { createJoinStore } from './store.ts';

const mote = createTestMote(0xa1);
const { devEui, joinEui, appKey } = mote;
const options = deviceLoraOptions.parse({
  dataDir: '/nowhere',
  deduplicationMs: 20,
  devices: [{ devEui, joinEui, name: 'joiner', activation: 'otaa' }],
});
const secrets = secretsSchema.parse({ keyVersion: 1, rootKeys: [{ devEui, appKey }] });

function setUp() {
  const db = openStore(':memory:');
  const joins = createJoinStore(db);
  const { devices } = options;
  const open = (): SessionBook =>
    openSessions(secrets, {
      ...{ devices, joins, store: createUplinkStore(db), confidentiality: 'process' },
      newMac: (device) => newStateOf(options, device),
    });
  const state: { book: SessionBook | undefined; ring: Promise<void>; asked: number; sent: number } = {
    ...{ book: open(), ring: Promise.resolve(), asked: 0, sent: 0 },
  };
  /** Through which gateway, and what became of the next ones; OK where nothing is said. */
  const through: { gatewayId: string; windows: number }[] = [];
  const outcomes: Outcome[] = [];
  const server = createJoinServer({
    ...{ options, joins, clock: systemClock, random: systemRandom, log: silentLog },
    sessions: () => state.book,
    authority: ownAuthority({
      options,
      ensureRing: () => {
        state.asked += 1;
        return state.ring;
      },
    }),
    transmitter: {
      transmit: (_bytes, { gatewayId, windows }) => {
        state.sent += 1;
        through.push({ gatewayId, windows: windows.length });
        return Promise.resolve([outcomes.shift() ?? { status: 'OK' }]);
      },
      close: () => Promise.resolve(),
    },
    onOffered: () => undefined,
  });
  const join = (devNonce: number, gatewayId = '00000000000000aa', rssi = -50): void =>
    server.heard({
      ...{ kind: 'join', ring: 'own', gatewayId, context: 'AQIDBA==', rssi, snr: 8 },
      ...{ frequency: 868_100_000, bandwidth: 125_000, spreadingFactor: 7 },
      phyPayload: mote.joinRequest(devNonce),
      heardAt: systemClock.monotonic(),
      receivedAt: systemClock.now(),
    });
  const until = async (condition: () => boolean): Promise<void> => {
    expect(await waitFor(systemClock, 5000, () => (condition() ? true : undefined), 5)).toBe(true);
  };
  return { server, state, open, join, joins, until, through, outcomes };
}

test('a session is added to the keys that are in use when the other gateways were waited for', async () => {
  const { server, state, open, join, until } = setUp();
  join(1);
  const renewed = open();
  state.book = renewed;
  await until(() => server.counts().answered === 1);
  expect(renewed.sessionsOf(devEui)).toHaveLength(1);
  await server.close();
});

test('who stands down meanwhile makes no session and uses no DevNonce', async () => {
  const { server, state, open, join, joins, until } = setUp();
  join(1);
  state.book = undefined;
  await until(() => server.counts().notSent === 1);
  expect([joins.all(), state.sent]).toEqual([[], 0]);
  state.book = open();
  join(2);
  await until(() => server.counts().answered === 1);
  await server.close();
});

test('who stands down while the ring is told of the new address answers no more', async () => {
  const { server, state, join, until } = setUp();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  state.ring = promise.then(() => undefined);
  join(1);
  await until(() => state.asked === 1);
  state.book = undefined;
  resolve(undefined);
  await until(() => server.counts().notSent === 1);
  expect(state.sent).toBe(0);
  await server.close();
});

test('a JoinAccept that a gateway refuses goes through the next one that heard the request, while time allows', async () => {
  const { server, join, until, through, outcomes } = setUp();
  outcomes.push({ status: 'COLLISION_PACKET', refused: 'collision' }, { status: 'DUTY_CYCLE_OVERFLOW' });
  for (const [gatewayId, rssi] of [
    ['00000000000000b0', -90],
    ['00000000000000a0', -40],
    ['00000000000000c0', -100],
  ] as const)
    join(1, gatewayId, rssi);
  await until(() => server.counts().answered === 1);
  expect(through.map(({ gatewayId }) => gatewayId.slice(-2))).toEqual(['a0', 'b0', 'c0']);
  expect(server.counts()).toMatchObject({ accepted: 1, notSent: 0 });
  await server.close();
});

test('one that a gateway may have sent goes through no other', async () => {
  const { server, join, until, through, outcomes } = setUp();
  outcomes.push({ status: 'INTERNAL_ERROR', refused: 'noTxAck' });
  join(1);
  join(1, '00000000000000b0', -90);
  await until(() => server.counts().answered === 1);
  expect(through).toHaveLength(1);
  await server.close();
});
