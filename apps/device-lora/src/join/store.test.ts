import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  devAddrOf,
  eu868,
  newMacState,
  parseDevEui,
  parseJoinEui,
  type EvidentJoin,
  type SessionId,
} from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createJoinStore, joinNonceAfter, type JoinedSession, type NewSession } from './store.ts';

const devEui = parseDevEui('0102030405060708');
const who = { devEui, rule: 'random' } as const;
const key = (n: number): Uint8Array => new Uint8Array(16).fill(n);
const made = (joinNonce: number): NewSession => ({
  session: joinNonce.toString(16).padStart(16, '0') as SessionId,
  devAddr: devAddrOf(0x0100_0000 + joinNonce),
  nwkSKey: key(joinNonce & 0xff),
  appSKey: key((joinNonce + 1) & 0xff),
  mac: newMacState(eu868),
});

function withFolder(work: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'lora-'));
  try {
    work(join(folder, 'device-lora', 'x.db'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('joins on the disk', () => {
  test('whatever is asked and wherever it is killed, no DevNonce is accepted twice and no JoinNonce used twice', () => {
    const asked = fc.array(fc.record({ devNonce: fc.nat(40), dies: fc.boolean() }), { maxLength: 40 });
    fc.assert(
      fc.property(asked, (requests) => {
        withFolder((path) => {
          const accepted: JoinedSession[] = [];
          let db = openStore(path);
          for (const { devNonce, dies } of requests) {
            const joined = createJoinStore(db).accept({ ...who, devNonce }, 5, made);
            expect(joined === undefined).toBe(accepted.some((known) => known.devNonce === devNonce));
            if (joined !== undefined) accepted.push(joined);
            if (!dies) continue;
            db.close();
            db = openStore(path);
          }
          const nonces = accepted.map(({ joinNonce }) => joinNonce);
          expect(nonces).toEqual([...new Set(nonces)].sort((a, b) => a - b));
          expect(createJoinStore(db).all()).toEqual(accepted.slice(-8));
          for (const { devAddr } of accepted) expect(createJoinStore(db).wasGiven(devAddr)).toBe(true);
          db.close();
        });
      }),
      { numRuns: 25 },
    );
  });

  test('a join that cannot be made uses up nothing', () => {
    const store = createJoinStore(openStore(':memory:'));
    const fails = (): never => {
      throw new RangeError('no address');
    };
    expect(() => store.accept({ ...who, devNonce: 7 }, 5, fails)).toThrow('no address');
    expect(store.accept({ ...who, devNonce: 7 }, 5, made)?.joinNonce).toBe(1);
  });

  test('the session that the device was heard with ends the earlier ones, and nothing else does', () => {
    const store = createJoinStore(openStore(':memory:'));
    const [first, second, third] = [1, 2, 3].map((nonce) =>
      store.accept({ ...who, devNonce: nonce }, 5, made),
    );
    const states = (): string[] => store.all().map(({ state }) => state);
    store.confirm(second?.session ?? ('' as SessionId));
    expect(states()).toEqual(['former', 'current', 'offered']);
    // out of a backlog
    store.confirm(first?.session ?? ('' as SessionId));
    expect(states()).toEqual(['former', 'current', 'offered']);
    store.confirm(third?.session ?? ('' as SessionId));
    expect(states()).toEqual(['former', 'former', 'current']);
  });

  test('the session in use outlasts any number of joins that led to nothing', () => {
    const store = createJoinStore(openStore(':memory:'));
    const first = store.accept({ ...who, devNonce: 0 }, 5, made);
    store.confirm(first?.session ?? ('' as SessionId));
    for (let devNonce = 1; devNonce <= 30; devNonce++) store.accept({ ...who, devNonce }, 5, made);
    expect(store.all()).toHaveLength(9);
    expect(store.all()[0]).toMatchObject({ session: first?.session, state: 'current' });
  });

  test('JoinNonces keep to the slots of the edge that owns the device', () => {
    const drawn: number[] = [];
    for (let nonce = 0; drawn.length < 33; drawn.push(nonce)) nonce = joinNonceAfter(nonce);
    expect(drawn.slice(0, 3)).toEqual([1, 2, 3]);
    expect(drawn[14]).toBe(15);
    expect(drawn[15]).toBe(64);
    expect(drawn.every((nonce) => Math.floor(nonce / 16) % 4 === 0)).toBe(true);
  });

  test('whoever stands in for the owner uses none of its JoinNonces, and only higher ones than it knows of', () => {
    const draws = fc.array(fc.record({ slot: fc.nat(3), joins: fc.integer({ min: 1, max: 40 }) }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(draws, fc.nat(10_000), (rounds, first) => {
        let highest = first;
        const drawn = new Map<number, number>();
        for (const { slot, joins } of rounds)
          for (let i = 0; i < joins; i++) {
            const next = joinNonceAfter(highest, slot);
            expect(next).toBeGreaterThan(highest);
            expect(Math.floor(next / 16) % 4).toBe(slot);
            expect(drawn.has(next)).toBe(false);
            drawn.set(next, slot);
            highest = next;
          }
      }),
    );
    // a partition: both go on from the same
    const [owners, others] = [new Set<number>(), new Set<number>()];
    for (let i = 0, a = 7, b = 7; i < 200; i++) {
      owners.add((a = joinNonceAfter(a)));
      others.add((b = joinNonceAfter(b, 2)));
    }
    expect(owners.isDisjointFrom(others)).toBe(true);
    // what the owner used of its last blocks, and could tell nobody of, is below
    expect(joinNonceAfter(7, 1)).toBeGreaterThan(15 + 16);
  });

  test('keys are for the service’s own user to read, and nobody else', () => {
    withFolder((path) => {
      const db = openStore(path);
      createJoinStore(db).accept({ ...who, devNonce: 1 }, 5, made);
      for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o777).toBe(0o600);
      db.close();
    });
  });
});

describe('joins that another edge answered', () => {
  const about = { rule: 'random', at: 5 } as const;
  /** In the blocks of slot 1. */
  const evident = (n: number, devNonce = 1000 + n): EvidentJoin => {
    const { mac: _mac, ...session } = made(16 + (n % 16) + 64 * Math.floor(n / 16));
    const joinNonce = Number.parseInt(session.session, 16);
    const accept = {
      joinNonce,
      netId: 0,
      devAddr: session.devAddr,
      dlSettings: { rx1DrOffset: 0, rx2DataRate: 0 },
      rxDelay: 1,
    };
    return { ...session, devEui, joinEui: parseJoinEui('0000000000000001'), devNonce, joinNonce, accept };
  };
  const mac = newMacState(eu868);
  const open = () => createJoinStore(openStore(':memory:'));

  test('come home once, with all that they used up', () => {
    const store = open();
    store.accept({ ...who, devNonce: 7 }, 5, made);
    expect(store.bringHome(evident(0), about, mac)).toBe('taken');
    expect(store.bringHome(evident(0), about, mac)).toBe('known');
    expect(store.all()).toMatchObject([
      { joinNonce: 1, state: 'offered' },
      { joinNonce: 16, state: 'offered', broughtHome: true },
    ]);
    expect(store.accept({ ...who, devNonce: 1000 }, 5, made)).toBeUndefined();
    // above all that the other edge used, and in blocks of ours
    expect(store.accept({ ...who, devNonce: 8 }, 5, made)?.joinNonce).toBe(64);
    expect(store.wasGiven(evident(0).devAddr)).toBe(true);
  });

  test('of a JoinRequest that our own session was heard of there is none, of one that we answered in vain there may be', () => {
    const store = open();
    const own = store.accept({ ...who, devNonce: 7 }, 5, made);
    expect(store.bringHome(evident(0, 7), about, mac)).toBe('taken');
    store.confirm(own?.session ?? ('' as SessionId));
    expect(store.bringHome(evident(1, 7), about, mac)).toBe('replay');
    // another session under a JoinNonce that was used
    const other = { ...evident(0, 9), session: 'ff'.repeat(8) as SessionId };
    expect(store.bringHome(other, about, mac)).toBe('replay');
    expect(store.all()).toHaveLength(2);
  });

  test('under a JoinNonce of our own, or one that leaves none for ever, is none', () => {
    const store = open();
    for (const joinNonce of [3, 64, 16 + 64 * 40, 0xff_ffdf])
      expect(store.bringHome({ ...evident(0), joinNonce }, about, mac)).toBe('badNonce');
    expect(store.accept({ ...who, devNonce: 1000 }, 5, made)?.joinNonce).toBe(1);
  });

  test('are all kept until what was sent under them is here, and take the place of none of ours', () => {
    const store = open();
    for (let devNonce = 0; devNonce < 8; devNonce++) store.accept({ ...who, devNonce }, 5, made);
    for (let n = 0; n < 300; n++) store.bringHome(evident(n), about, mac);
    const kept = store.all();
    expect(kept.filter(({ broughtHome }) => broughtHome === true)).toHaveLength(256);
    expect(kept.filter(({ broughtHome }) => broughtHome !== true)).toHaveLength(8);
    // long after, no more of them than of our own
    store.accept({ ...who, devNonce: 9 }, 9 * 86_400_000, made);
    expect(store.all().filter(({ broughtHome }) => broughtHome === true)).toHaveLength(8);
  });

  test('what one edge has used up is used up at the other, that was told in few ranges', () => {
    const owner = open();
    for (let devNonce = 0; devNonce < 400; devNonce += 2) owner.accept({ ...who, devNonce }, 5, made);
    const told = owner.reservations();
    expect(told).toMatchObject([{ devEui, joinNonce: owner.all().at(-1)?.joinNonce }]);
    expect(told[0]?.devNonces).toHaveProperty('used.length', 64);
    const other = open();
    other.accept({ ...who, devNonce: 5 }, 5, made);
    other.reserve(told);
    for (let devNonce = 0; devNonce < 400; devNonce += 2)
      expect(other.accept({ ...who, devNonce }, 5, made)).toBeUndefined();
    expect(other.accept({ ...who, devNonce: 5 }, 5, made)).toBeUndefined();
    const highest = told[0]?.joinNonce ?? 0;
    expect(other.accept({ ...who, devNonce: 500, slot: 1 }, 5, made)?.joinNonce).toBeGreaterThan(highest);
    expect(
      other.accept({ ...who, devNonce: 501, slot: 1, above: 10_000 }, 5, made)?.joinNonce,
    ).toBeGreaterThan(10_000);
  });

  test('is told of many devices in fewer ranges of each, so that sealed keys hold them all', () => {
    const used = Array.from({ length: 64 }, (_, i): [number, number] => [1000 * i, 1000 * i]);
    const toldOf = (devices: number): number[] => {
      const store = open();
      const euis = Array.from({ length: devices }, (_, i) => parseDevEui(i.toString(16).padStart(16, '0')));
      store.reserve(euis.map((one) => ({ devEui: one, joinNonce: 1, devNonces: { rule: 'random', used } })));
      return store
        .reservations()
        .map(({ devNonces }) => (devNonces.rule === 'random' ? devNonces.used.length : 0));
    };
    expect(new Set(toldOf(187))).toEqual(new Set([64]));
    expect(new Set(toldOf(600))).toEqual(new Set([20]));
  });
});
