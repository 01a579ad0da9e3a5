import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { signDocument, type Identity } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';
import { genesisWrites } from './genesis.ts';
import { invariantProblems } from './invariants.ts';
import { apply } from './machine.ts';
import {
  ada,
  askFor,
  ben,
  bidFor,
  central,
  cleo,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  statement,
  take,
  testGenesis,
  validation,
  type Request,
  type TestLedger,
} from './machine.fixture.ts';
import { keys, type ContractRecord, type SetRecord, type TermsRecord } from './records.ts';
import { EMPTY_STATE_HASH, MemoryState, nextStateHash } from './state.ts';
import { CANCEL_CONSENT_KIND } from './transaction.ts';

const edges = [ada, ben, cleo] as const;

/** One move of a random game: who, what, on which of the things that are there, and how long after the last one. */
interface Move {
  readonly kind: number;
  readonly actor: number;
  readonly pick: number;
  readonly amount: number;
  readonly waitMs: number;
}

const move: fc.Arbitrary<Move> = fc.record({
  // contracts and epochs more often than the market, so that games go deep
  kind: fc.oneof(fc.nat(20), fc.constantFrom(6, 8, 8, 10, 10, 10, 11, 11, 12, 12, 12)),
  actor: fc.nat(2),
  pick: fc.nat(1000),
  amount: fc.nat(1200),
  waitMs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 8, arbitrary: fc.nat(5000) },
    { weight: 3, arbitrary: fc.nat(200_000) },
    { weight: 1, arbitrary: fc.constant(90_000_000) },
  ),
});

function pickKey(ledger: TestLedger, prefix: string, pick: number): string {
  const all = [...ledger.state.range(prefix)].map(([key]) => key.slice(prefix.length));
  return all[pick % Math.max(1, all.length)] ?? 'ab'.repeat(32);
}

function pickContract(
  ledger: TestLedger,
  pick: number,
): { contract?: ContractRecord; terms: ContractTerms; set?: SetRecord } {
  const id = pickKey(ledger, 'contract/', pick);
  const contract = ledger.state.get(keys.contract(id)) as ContractRecord | undefined;
  const terms = (ledger.state.get(keys.terms(id)) as TermsRecord | undefined)?.terms ?? makeTerms(99);
  return { contract, terms, set: ledger.state.get(keys.set(terms.set.setId)) as SetRecord | undefined };
}

const edgeById = (id: string): Identity => [...edges, central].find(({ edgeId }) => edgeId === id) ?? central;

function randomTerms(ledger: TestLedger, m: Move): Request {
  const customer = edges[m.actor] ?? ada;
  const provider = edges[(m.actor + 1 + (m.pick % 2)) % 3] ?? ben;
  const n = m.pick % 7;
  const stakes = { customer: m.amount, provider: m.amount % 200 };
  const set = { ...makeTerms(n % 3).set };
  const slots = { customer: 0, provider: 1 + (m.amount % 3) };
  const matches = [...ledger.state.range('match/')].map(([key]) => key.slice('match/'.length));
  const matchId = m.amount % 4 === 0 ? matches[m.pick % Math.max(1, matches.length)] : undefined;
  const rent = m.amount % 3 === 0 ? { rent: { perHour: 1 + (m.pick % 4) * 1200 }, maxActiveS: 60 } : {};
  const changes = { customer: customer.edgeId, provider: provider.edgeId, stakes, set, slots, matchId };
  const expiresAt = ledger.now + 500_000;
  const terms = makeTerms(n + 10 * (m.amount % 5), { ...changes, ...rent, expiresAt });
  return validation(terms, customer, provider);
}

type Play = (ledger: TestLedger, m: Move, actor: Identity) => readonly [Identity, Request];

const plays: readonly Play[] = [
  (_l, m, actor) => [actor, askFor(m.amount % 100, m.amount % 300)],
  (l, m, actor) => [actor, bidFor(m.amount % 150, m.amount % 80, { expiresAt: l.now + 60_000 + m.pick })],
  (l, m, actor) => [actor, { type: 'order/withdraw', orderId: pickKey(l, 'order/', m.pick) }],
  (l, m, actor) => [
    actor,
    { type: 'match/hold', matchId: pickKey(l, 'match/', m.pick), until: l.now + m.amount * 500 },
  ],
  (l, m, actor) => [actor, { type: 'match/release', matchId: pickKey(l, 'match/', m.pick) }],
  (_l, m, actor) => [
    actor,
    { type: 'account/transfer', to: edges[m.pick % 3]?.edgeId ?? ada.edgeId, amount: m.amount + 1 },
  ],
  (l, m) => [central, randomTerms(l, m)],
  (l, m) => [central, randomTerms(l, m)],
  (l, m) => {
    const { terms } = pickContract(l, m.pick);
    return [edgeById(terms.provider), ready(terms)];
  },
  (l, m) => {
    const { terms } = pickContract(l, m.pick);
    return [
      central,
      {
        type: 'contract/open',
        contractId: terms.contractId,
        root: ringRootOf(edgeById(terms.provider), terms.contractId, m.amount),
        keyVersion: 1,
      },
    ];
  },
  (l, m) => {
    const { terms, set } = pickContract(l, m.pick);
    const taker = edgeById(m.amount % 3 === 0 ? terms.customer : terms.provider);
    const leases = m.amount % 2 === 0 ? { holder: l.now, customer: l.now } : {};
    return [central, take(taker, terms, (set?.epoch ?? 1) - (m.amount % 7 === 0 ? 1 : 0), leases)];
  },
  (l, m) => {
    const { set, terms } = pickContract(l, m.pick);
    return [
      edgeById(set?.holder ?? ada.edgeId),
      { type: 'epoch/release', setId: terms.set.setId, epoch: set?.epoch ?? 1, counters: {} },
    ];
  },
  (l, m) => {
    const { terms, contract } = pickContract(l, m.pick);
    const by = edgeById(m.amount % 2 === 0 ? terms.customer : terms.provider);
    return [by, statement(terms, contract?.activation?.epoch ?? 0, 50, m.amount % 5 === 0 ? 2 : 3)];
  },
  (l, m, actor) => [
    m.amount % 2 === 0 ? central : actor,
    { type: 'contract/expire', contractId: pickContract(l, m.pick).terms.contractId },
  ],
  (l, m) => {
    const { terms } = pickContract(l, m.pick);
    const consent = {
      ...signDocument(edgeById(terms.provider), CANCEL_CONSENT_KIND, { contractId: terms.contractId }),
      kind: CANCEL_CONSENT_KIND,
    } as const;
    return [
      edgeById(terms.customer),
      { type: 'contract/cancel', contractId: terms.contractId, ...(m.amount % 2 === 0 ? { consent } : {}) },
    ];
  },
  (l, m) => {
    const { terms } = pickContract(l, m.pick);
    const evidence = {
      kind: 'neverTookOver',
      customerLeaseEndedAt: Math.max(0, l.now - m.amount * 100),
    } as const;
    const undecided = { row: 'undecided', reason: 'no evidence' } as const;
    const ruling = m.amount % 2 === 0 ? ({ row: 'providerBreach', evidence } as const) : undecided;
    return [central, { type: 'contract/rule', contractId: terms.contractId, ruling }];
  },
  (l, m, actor) => [actor, { type: 'contract/close', contractId: pickContract(l, m.pick).terms.contractId }],
  (l, m, actor) => [
    actor,
    {
      type: 'speaker/appoint',
      speaker: edges[m.pick % 3]?.edgeId ?? ada.edgeId,
      acts: m.amount % 2 === 0 ? ['cancel'] : ['cancel', 'expire'],
      silentMs: 10_000,
      until: l.now + 200_000_000,
    },
  ],
  (l, m, actor) => {
    const { customer, provider, contractId } = pickContract(l, m.pick).terms;
    const type = m.amount % 2 === 0 ? 'contract/cancel' : 'contract/expire';
    const edge = m.amount % 3 === 0 ? provider : customer;
    return [actor, { type: 'speaker/speak', edge, act: { type, contractId } }];
  },
  (l, m) => {
    const { contractId, customer } = pickContract(l, m.pick).terms;
    return [edgeById(customer), { type: 'rent/doubt', contractId }];
  },
  (l, m) => {
    const { contractId, provider } = pickContract(l, m.pick).terms;
    return [edgeById(provider), { type: 'rent/answer', contractId }];
  },
];

function playOne(ledger: TestLedger, m: Move): void {
  ledger.now += m.waitMs;
  const [by, request] = plays[m.kind]!(ledger, m, edges[m.actor] ?? ada);
  const before = new Map(
    [...ledger.state.range('set/')].map(([key, set]) => [key, (set as SetRecord).epoch]),
  );
  ledger.send(by, request);
  expect(invariantProblems(ledger.state)).toEqual([]);
  for (const [key, epoch] of before) {
    const after = (ledger.state.get(key) as SetRecord).epoch;
    expect(after === epoch || after === epoch + 1).toBe(true);
  }
}

function replayed(ledger: TestLedger): string {
  const state = new MemoryState();
  const writes = genesisWrites(state, testGenesis);
  state.apply(writes);
  let hash = nextStateHash(EMPTY_STATE_HASH, writes);
  for (const [index, { tx, now }] of ledger.log.entries()) {
    const { writes: changes } = apply(state, structuredClone(tx), { now, height: index + 1 });
    if (changes.length > 0) hash = nextStateHash(hash, changes);
    state.apply(changes);
  }
  return hash;
}

test('whatever is sent, money is conserved, epochs only go up by one, and the same log gives the same state', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(move, { minLength: 40, maxLength: 80 }), (moves) => {
      const ledger = createTestLedger();
      register(ledger, ...edges);
      for (const m of moves) {
        playOne(ledger, m);
        for (const [, value] of ledger.state.range('contract/')) {
          const { life, settlement } = value as ContractRecord;
          seen.add(life.state);
          if ((settlement?.rent?.paid ?? 0) > 0) seen.add('rent');
        }
      }
      expect(replayed(ledger)).toBe(ledger.stateHash());
      for (const { tx } of [...ledger.log]) {
        const known = ledger.state.get(keys.transaction(ledger.sendTx(tx).receipt.txId));
        expect(known === undefined || 'receipt' in (known as object)).toBe(true);
      }
      expect(invariantProblems(ledger.state)).toEqual([]);
    }),
    { numRuns: 60 },
  );
  // The game is only worth playing if it reaches what it is about.
  for (const state of ['READY', 'ACTIVE', 'RETURNING', 'SETTLED', 'CANCELLED', 'EXPIRED', 'rent'])
    expect([...seen]).toContain(state);
});
