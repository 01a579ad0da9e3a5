import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { devAddrOf, eu868, newMacState, parseDevEui, type SessionId } from '@antirio/lorawan';
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

  test('keys are for the service’s own user to read, and nobody else', () => {
    withFolder((path) => {
      const db = openStore(path);
      createJoinStore(db).accept({ ...who, devNonce: 1 }, 5, made);
      for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o777).toBe(0o600);
      db.close();
    });
  });
});
