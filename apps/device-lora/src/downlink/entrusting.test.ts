import { describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { openStore } from '../database.ts';
import { devAddr, devEui, oneDevice, sessionWith } from '../session.fixture.ts';
import { createDesk, UNKNOWN, WENT_HOME } from './desk.ts';
import { createEntrusting } from './entrusting.ts';
import { createDownlinkStore, type Downlink } from './store.ts';

const { device } = oneDevice({ name: 'valve' });
const readWith = (app: number) => sessionWith(device, { app });
const session = readWith(2);
const UNDER = 'pier/4';

function openEdge() {
  const state = { now: 1_000_000 };
  const clock = { now: () => state.now };
  const store = createDownlinkStore(openStore(':memory:'));
  const desk = createDesk(store, clock);
  const entrusting = createEntrusting({ store, desk, clock, random: systemRandom, log: silentLog });
  return {
    ...{ state, store, desk, entrusting },
    add: (text: string, confirmed = true): Downlink => {
      const payload = new TextEncoder().encode(text);
      return store.add({ devEui, resource: 'valve', fPort: 7, payload, confirmed }, state.now);
    },
    texts: (): string[] => store.open(devEui).map(({ payload }) => new TextDecoder().decode(payload)),
    states: () => store.latest(devEui, 50).map(({ state: is }) => is),
    onAir: (one: Downlink): void => {
      const bytes = Uint8Array.of(1);
      store.assign(devAddr, one.id, { id: one.id, bytes, session: session.id }, state.now);
      store.update(one.id, { state: 'sent', attempts: 1 }, state.now);
    },
  };
}
type Edge = ReturnType<typeof openEdge>;

/** The customer's edge, and the provider's with what waited at it. */
function takenOver(...texts: readonly string[]): { own: Edge; guest: Edge } {
  const [own, guest] = [openEdge(), openEdge()];
  for (const text of texts) own.add(text);
  const list = own.entrusting.listOf(session);
  expect(guest.entrusting.take(session, list ?? '', UNDER)).toBe(texts.length);
  return { own, guest };
}
const home = ({ own, guest }: ReturnType<typeof takenOver>, isFinal = true): void =>
  own.entrusting.bringHome(session, guest.entrusting.wordOf(session) ?? '', isFinal);

describe('what goes to the edge that takes over', () => {
  test('is the beginning of the queue that is confirmed and was never on air', () => {
    const own = openEdge();
    expect(own.entrusting.listOf(session)).toBeUndefined();
    own.add('a');
    own.add('b');
    own.add('c', false);
    own.add('d');
    const guest = openEdge();
    expect(guest.entrusting.take(session, own.entrusting.listOf(session) ?? '', UNDER)).toBe(2);
    expect(guest.texts()).toEqual(['a', 'b']);
    expect(guest.store.open(devEui)).toMatchObject([{ confirmed: true, fPort: 7, resource: 'valve' }, {}]);
    expect(own.store.open(devEui).map(({ entrusted }) => entrusted)).toEqual([true, true, false, false]);
    const [first] = own.store.open(devEui);
    if (first !== undefined) own.onAir(first);
    expect(own.entrusting.listOf(session)).toBeUndefined();
  });

  test('is eight at most, and half a kilobyte', () => {
    const own = openEdge();
    for (let n = 0; n < 9; n++) own.add(String(n));
    const guest = openEdge();
    expect(guest.entrusting.take(session, own.entrusting.listOf(session) ?? '', UNDER)).toBe(8);
    const [large, next] = [openEdge(), openEdge()];
    for (let n = 0; n < 3; n++) large.add('x'.repeat(200));
    expect(next.entrusting.take(session, large.entrusting.listOf(session) ?? '', UNDER)).toBe(2);
  });

  test('is read by nobody without the AppSKey, and taken once', () => {
    const own = openEdge();
    own.add('open the valve');
    expect(own.entrusting.listOf(sessionWith(device, { app: undefined }))).toBeUndefined();
    const list = own.entrusting.listOf(session) ?? '';
    expect(Buffer.from(list, 'base64').toString('latin1')).not.toContain('valve');
    const guest = openEdge();
    expect(guest.entrusting.take(readWith(3), list, UNDER)).toBe(0);
    expect(guest.entrusting.take(session, list, UNDER)).toBe(1);
    expect(guest.entrusting.take(session, list, UNDER)).toBe(0);
  });

  test('is nothing that is too old, nor what follows it', () => {
    const own = openEdge();
    own.add('old');
    own.state.now += 600_001;
    own.add('new');
    const guest = openEdge();
    expect(guest.entrusting.take(session, own.entrusting.listOf(session) ?? '', UNDER)).toBe(0);
  });

  test('is given again where it went home as it was, and to another epoch only then', () => {
    const both = takenOver('a', 'b');
    const { own, guest } = both;
    const [, b] = guest.store.open(devEui);
    if (b !== undefined) guest.onAir(b);
    home(both);
    const list = own.entrusting.listOf(session) ?? '';
    expect(guest.entrusting.take(session, list, 'pier/6')).toBe(1);
    expect(guest.desk.openOf(session, 'pier/6').map(({ given }) => given?.under)).toEqual(['pier/6']);
    // of the other one nothing is said any more
    home(both);
    expect(own.store.latest(devEui, 2).map(({ state }) => state)).toEqual(['failed', 'queued']);
  });

  test('is given again where the device was heard in between, by another right to act', () => {
    const both = takenOver('a');
    home(both);
    expect(both.guest.desk.openOf(session, 'pier/6')).toEqual([]);
    expect(both.guest.entrusting.wordOf(session)).toBeUndefined();
    const list = both.own.entrusting.listOf(session) ?? '';
    expect(both.guest.entrusting.take(session, list, 'pier/8')).toBe(1);
    expect(both.guest.texts()).toEqual(['a']);
  });

  test('goes out by the right to act that it was given for, and by no other', () => {
    const { guest } = takenOver('a');
    guest.add('own');
    const may = (tenure: string | undefined): number => guest.desk.openOf(session, tenure).length;
    expect([may(UNDER), may(''), may(undefined)]).toEqual([2, 1, 1]);
    expect(may('pier/6')).toBe(1);
    expect(guest.store.latest(devEui, 2)[1]).toMatchObject({ state: 'failed', error: WENT_HOME });
  });
});

describe('what comes home', () => {
  test('ends what the other edge has ended, or may have sent, and leaves us what waited there', () => {
    const both = takenOver('a', 'b', 'c', 'd');
    const [a, b, c] = both.guest.store.open(devEui);
    if (a === undefined || b === undefined || c === undefined) throw new TypeError('not taken');
    both.guest.desk.end(a, 'acknowledged');
    both.guest.desk.end(b, 'failed', 'replaced');
    both.guest.onAir(c);
    home(both);
    expect(both.own.store.latest(devEui, 4)).toMatchObject([
      { state: 'queued', entrusted: false },
      { state: 'failed', error: UNKNOWN },
      { state: 'failed', error: 'replaced' },
      { state: 'acknowledged' },
    ]);
    expect(both.own.entrusting.giveUp([devEui])).toBe(0);
  });

  test('what was told while that edge could still send is no leave to send it', () => {
    const both = takenOver('a');
    home(both, false);
    expect(both.own.entrusting.giveUp([devEui])).toBe(1);
    expect(both.own.states()).toEqual(['failed']);
  });

  test('what is at a gateway just then may have come on air', () => {
    const both = takenOver('a');
    const [a] = both.guest.store.open(devEui);
    if (a === undefined) throw new TypeError('not taken');
    both.guest.store.assign(devAddr, 1, { id: a.id, bytes: Uint8Array.of(1), session: session.id }, 0);
    both.guest.desk.made(a);
    both.guest.desk.busy.add(devEui);
    home(both);
    expect(both.own.states()).toEqual(['failed']);
  });

  test('of what nobody tells anything that is ended which the other edge knew of', () => {
    const own = openEdge();
    own.add('a');
    own.entrusting.listOf(session);
    own.add('b');
    expect(own.entrusting.giveUp([devEui])).toBe(1);
    expect(own.texts()).toEqual(['b']);
  });

  test('what that edge never got stays ours', () => {
    const own = openEdge();
    own.add('a');
    own.entrusting.listOf(session);
    const guest = openEdge();
    expect(guest.entrusting.wordOf(session)).toBeUndefined();
    own.entrusting.bringHome(session, 'nonsense', true);
    expect(own.texts()).toEqual(['a']);
  });
});
