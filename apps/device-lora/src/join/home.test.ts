import { expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { blockOf, nextBlock } from '@antirio/service-contract';
import { buildJoinAccept, devAddrOf, eu868, newMacState, parseAppKey, parseDevAddr } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { newStateOf } from '../mac/mac-layer.ts';
import { deviceLoraOptions, secretsSchema } from '../options.ts';
import { createUplinkStore } from '../store.ts';
import { createTestMote } from '../test-mote.ts';
import { openSessions } from '../uplink/session-book.ts';
import { createJoinHome } from './home.ts';
import { createJoinStore } from './store.ts';

const mote = createTestMote(0xa1);
const { devEui, joinEui, appKey } = mote;
const options = deviceLoraOptions.parse({
  dataDir: '/nowhere',
  devices: [{ devEui, joinEui, name: 'joiner', activation: 'otaa' }],
});
const secrets = secretsSchema.parse({ keyVersion: 1, rootKeys: [{ devEui, appKey }] });
const range = { first: parseDevAddr('02000000'), last: parseDevAddr('0200ffff') };
const NOW = 1_800_000_000_000;
const MINUTE_MS = 60_000;

function setUp() {
  const db = openStore(':memory:');
  const joins = createJoinStore(db);
  const book = openSessions(secrets, {
    ...{ devices: options.devices, joins, store: createUplinkStore(db), confidentiality: 'process' },
    newMac: (device) => newStateOf(options, device),
  });
  const state = { now: NOW };
  const home = createJoinHome({
    ...{ options, joins, log: silentLog, clock: { now: () => state.now } },
    sessions: () => book,
    ensureRing: () => Promise.resolve(),
    announce: () => undefined,
    onOffered: () => undefined,
  });
  /** The own edge answers a join, too: whatever is too old goes. */
  const joinHere = (devNonce: number): void => {
    joins.accept({ devEui, devNonce, rule: 'random' }, state.now, (joinNonce) => ({
      session: joinNonce.toString(16).padStart(16, '0') as never,
      devAddr: devAddrOf(0x0300_0000 + joinNonce),
      nwkSKey: new Uint8Array(16),
      appSKey: new Uint8Array(16),
      mac: newMacState(eu868),
    }));
  };
  const kept = (): number => joins.all().filter(({ broughtHome }) => broughtHome === true).length;
  return { home, book, state, joinHere, kept };
}

/** So many joins that a provider answered, under JoinNonces of its slot. */
function answered(count: number, at: number) {
  const blocks = Array.from({ length: Math.ceil(count / 16) }).reduce<number[]>((all) => {
    return [...all, nextBlock(1, all.at(-1) ?? 0)];
  }, []);
  const nonces = blocks.flatMap((block) => Array.from({ length: 16 }, (_, i) => blockOf(block).first + i));
  return nonces.slice(0, count).map((joinNonce, i) => {
    const fields = { joinNonce, netId: 0, devAddr: devAddrOf(0x0200_0000 + i), rxDelay: 1 };
    const joinAccept = buildJoinAccept(parseAppKey(appKey), {
      ...fields,
      dlSettings: { rx1DrOffset: 0, rx2DataRate: 0 },
    });
    return { at, joinRequest: mote.joinRequest(100 + i), joinAccept };
  });
}

test.each([
  ['right', NOW - MINUTE_MS],
  ['of 1970', 1000],
  ['of weeks ago', NOW - 30 * 1440 * MINUTE_MS],
])(
  'with a provider’s clock that is %s each session is kept until what was sent under it is here',
  async (_, at) => {
    const { home, state, joinHere, kept } = setUp();
    // 64 of each of two epochs, before any frame is read
    expect(await home.take(range, answered(128, at))).toMatchObject({ taken: 128 });
    joinHere(1);
    expect(kept()).toBe(128);
    state.now += 9 * 1440 * MINUTE_MS;
    joinHere(2);
    expect(kept()).toBe(8);
  },
);

test('a device waits to be heard in a session from when it was offered to it', async () => {
  const { home, book } = setUp();
  await home.take(range, answered(1, NOW - MINUTE_MS));
  expect(book.offeredAt(devEui)).toBe(NOW - MINUTE_MS);
  await home.take(range, answered(2, NOW + MINUTE_MS));
  expect(book.offeredAt(devEui)).toBe(NOW);
});
