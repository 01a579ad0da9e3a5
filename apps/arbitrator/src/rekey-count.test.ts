import { expect, test } from '@jest/globals';
import type { ContractTerms } from '@antirio/service-contract';
import type { Disclosures } from './key-history.ts';
import type { OwnKeys } from './live-sessions.ts';
import { createRekeyCounts, rekeyCountOf } from './rekey-count.ts';

const eui = (n: number): string => n.toString(16).padStart(16, '0');
const session = (n: number, addr: number) => ({
  devEui: eui(n),
  devAddr: addr.toString(16).padStart(8, '0'),
});
const devices = [1, 2, 3, 4].map((n) => session(n, n));
const terms = { set: { setId: 'bridge', service: 's', devices } } as unknown as ContractTerms;
const joining = new Set([eui(1), eui(2), eui(3)]);

test('a device has new keys once it goes on in a session that nobody else has seen', () => {
  const sessions = [...devices, session(1, 17), session(9, 9)];
  // 1 has joined anew, 2 has not, 3 was never seen, 4 has fixed keys
  const seen = [session(1, 1), session(2, 2), session(4, 4), session(9, 9)];
  const offered = rekeyCountOf(terms, sessions, seen, joining, new Set());
  expect(offered).toEqual({ rekeyed: 1, waiting: 2, disclosed: 1 });
  const left = new Set([`${eui(1)}/00000001`]);
  expect(rekeyCountOf(terms, sessions, seen, joining, left)).toEqual({
    rekeyed: 2,
    waiting: 1,
    disclosed: 1,
  });
});

test('a device without a session has nothing to be renewed', () => {
  expect(rekeyCountOf(terms, [session(1, 1)], [], joining, new Set())).toEqual({
    ...{ rekeyed: 1, waiting: 0, disclosed: 0 },
  });
});

test('is counted while a contract waits for it, after a look at what the ledger says of the keys', () => {
  const looks: unknown[] = [];
  const disclosures: Disclosures = {
    look: (_terms, seen) => looks.push(seen),
    all: () => [{ ...session(1, 1), contractId: 'c', at: 5 }],
    rootKeys: () => [],
  };
  let readable = true;
  const own: Pick<OwnKeys, 'secrets' | 'live'> = {
    secrets() {
      if (!readable) throw new TypeError('it is being written');
      return { keyVersion: 1, sessions: [{ ...session(1, 1), nwkSKey: '00'.repeat(16) }] };
    },
    live: () => ({ serial: 1, sessions: [{ ...session(1, 1), nwkSKey: '00'.repeat(16) }] }),
  };
  const counts = createRekeyCounts(own, disclosures);
  const keys = { version: 1, state: 'confirmed', exposedAt: 5 };
  const record = { state: 'HANDED_BACK', epoch: 3, holder: 'x', released: false, keys } as never;
  expect(counts.of(terms, record)).toEqual({});
  const waits = { ...(record as object), rekeying: { settlesInMs: 9 } } as never;
  expect(counts.of(terms, waits)).toEqual({ rekeyed: { rekeyed: 0, waiting: 1, disclosed: 0 } });
  expect(looks).toEqual([keys]);
  counts.leave([session(1, 1)]);
  expect(counts.of(terms, waits)).toEqual({ rekeyed: { rekeyed: 1, waiting: 0, disclosed: 0 } });
  readable = false;
  expect(counts.of(terms, waits)).toEqual({});
});
