import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { devAddrOf, eu868, newMacState, parseDevEui, parseJoinEui, type SessionId } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createJoinStore, type JoinedSession, type NewSession } from './store.ts';

const devEui = parseDevEui('0102030405060708');
const joinEui = parseJoinEui('0000000000000001');
const mac = newMacState(eu868);
const SLOT = 1;

/** A session of its nonces, as keys are. */
const made =
  (devNonce: number) =>
  (joinNonce: number): NewSession => ({
    session: (joinNonce * 0x1_0000 + devNonce).toString(16).padStart(16, '0') as SessionId,
    devAddr: devAddrOf(0x0200_0000 + joinNonce),
    nwkSKey: new Uint8Array(16),
    appSKey: new Uint8Array(16),
    mac,
  });

/**
 * What may happen to a device of two edges. `atA` and `atB`: it joins there. `both`: the owner, cut off, answers in vain what its
 * provider answers too. `replayed`: an old JoinRequest is heard by both. `home`: the owner comes back.
 */
const happening = fc.constantFrom('atA', 'atB', 'both', 'replayed', 'home');
const life = fc.record({
  rule: fc.constantFrom<'counter' | 'random'>('counter', 'random'),
  happenings: fc.array(happening, { maxLength: 60, size: 'max' }),
});

function live({ rule, happenings }: typeof life extends fc.Arbitrary<infer T> ? T : never) {
  const [a, b] = [createJoinStore(openStore(':memory:')), createJoinStore(openStore(':memory:'))];
  const all: JoinedSession[] = [];
  const answered: JoinedSession[] = [];
  const taken: JoinedSession[] = [];
  let [asked, brought, highest] = [0, 0, 0];
  const accept = (store: typeof a, devNonce: number, slot?: number): JoinedSession | undefined => {
    const joined = store.accept({ devEui, devNonce, rule, slot }, 5, made(devNonce));
    if (joined !== undefined) all.push(joined);
    return joined;
  };
  /** A device of LoRaWAN 1.0.4 takes no JoinNonce that is not above the last one. */
  const take = (joined: JoinedSession | undefined): void => {
    expect(joined?.joinNonce).toBeGreaterThan(highest);
    if (joined === undefined) return;
    highest = joined.joinNonce;
    taken.push(joined);
  };
  const home = (): void => {
    for (const join of answered.slice(brought)) {
      const accepted = { joinNonce: join.joinNonce, netId: 0, devAddr: join.devAddr, rxDelay: 1 };
      const accept = { ...accepted, dlSettings: { rx1DrOffset: 0, rx2DataRate: 0 } };
      expect(a.bringHome({ ...join, joinEui, accept }, { rule, at: 5 }, mac)).toBe('taken');
    }
    brought = answered.length;
  };
  const atB = (): void => {
    const joined = accept(b, asked, SLOT);
    if (joined !== undefined) answered.push(joined);
    take(joined);
  };
  for (const what of happenings) {
    if (what === 'replayed') {
      // whoever was told that it was used answers it no more
      if (asked === 0 || brought < answered.length) continue;
      expect([accept(a, asked), accept(b, asked, SLOT)]).toEqual([undefined, undefined]);
      continue;
    }
    if (what === 'home') {
      home();
      continue;
    }
    asked += 1;
    if (what === 'atA') {
      // it acts again once all is home, and its provider is told before the answer
      home();
      const joined = accept(a, asked);
      b.reserve(a.reservations());
      take(joined);
    } else {
      if (what === 'both') accept(a, asked);
      atB();
    }
  }
  home();
  return { a, all, taken };
}

test('whatever two edges answer, no JoinNonce is used twice, the device takes each answer, and all its sessions are at home', () => {
  fc.assert(
    fc.property(life, (one) => {
      const { a, all, taken } = live(one);
      expect(new Set(all.map(({ joinNonce }) => joinNonce)).size).toBe(all.length);
      expect(new Set(all.map(({ session }) => session)).size).toBe(all.length);
      const kept = new Set(a.all().map(({ session }) => session));
      // of its own an edge keeps the newest few; of another's all
      const others = taken.filter(({ joinNonce }) => Math.floor(joinNonce / 16) % 4 === SLOT);
      expect(others.filter(({ session }) => !kept.has(session))).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
