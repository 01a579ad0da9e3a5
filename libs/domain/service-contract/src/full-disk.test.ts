import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument } from '@antirio/kernel';
import { called, driveCustomer, driveProvider, recorded, terms, tick } from './contract.fixture.ts';
import { createCustomer, type CustomerPhase } from './customer-state.ts';
import { currentNonce } from './detector.ts';
import { mayGoUnwritten } from './full-disk.ts';
import type { ContractRecord } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';
import { YIELD_KIND, type SignedWord } from './yield-word.ts';

const body = {
  contractId: terms.contractId,
  setId: terms.set.setId,
  epoch: 2,
  cause: 'disk',
  at: 0,
} as const;
const said: SignedWord = {
  ...signDocument(openIdentity(generateIdentity()), YIELD_KIND, body),
  kind: YIELD_KIND,
};
const guarded: CustomerPhase = { at: 'guarded', epoch: 2 };
const yielding: CustomerPhase = { at: 'yielding', epoch: 2, word: said };
const yielded: CustomerPhase = { at: 'yielded', epoch: 2, word: said };
const evidence = { lastBeatMsAgo: 0, lastSequence: 0, probesUnanswered: 0, witness: 'unasked' } as const;
const recovering: CustomerPhase = { at: 'recovering', epoch: 3, waits: 'disk' };

test('a customer gives its sensors away though its disk takes nothing of it', () => {
  const way = [guarded, yielding, yielded, { ...yielded, counters: {} }, recovering] as const;
  for (const [i, after] of way.entries())
    if (i > 0) expect(mayGoUnwritten(way[i - 1] ?? guarded, after)).toBe(true);
  expect(mayGoUnwritten(yielding, guarded)).toBe(true);
  expect(mayGoUnwritten(guarded, recovering)).toBe(true);
  expect(mayGoUnwritten({ at: 'stated', epoch: 2 }, recovering)).toBe(true);
});

test('an epoch that it takes is on its disk first, and so is all that a provider does', () => {
  const taken: readonly (readonly [CustomerPhase | ProviderPhase, CustomerPhase | ProviderPhase])[] = [
    [yielded, { at: 'guarded', epoch: 3 }],
    [recovering, { at: 'guarded', epoch: 3 + 1 }],
    [recovering, { at: 'retaken', epoch: 4, providerEpoch: 3 }],
    [
      { at: 'stated', epoch: 4 },
      { at: 'guarded', epoch: 5 },
    ],
    [
      { at: 'retaken', epoch: 4, providerEpoch: 3 },
      { at: 'stated', epoch: 5 },
    ],
    [
      { at: 'stated', epoch: 4 },
      { at: 'ended', epoch: 4 },
    ],
    [
      { at: 'stated', from: 7, epoch: 3 },
      { at: 'opening', from: 7, evidence, after: 3 },
    ],
    [{ at: 'preparing' }, { at: 'ready' }],
    [guarded, { at: 'ended', epoch: 2 }],
  ];
  for (const [before, after] of taken) expect(mayGoUnwritten(before, after)).toBe(false);
});

test('a contract that goes on, as the ledger says, does so for a customer whose disk is full: it could not give its word else', () => {
  const retaken: CustomerPhase = { at: 'retaken', epoch: 4, providerEpoch: 3 };
  const stated: CustomerPhase = { at: 'stated', epoch: 4 };
  expect(mayGoUnwritten(retaken, stated)).toBe(true);
  expect(mayGoUnwritten(stated, { at: 'guarded', epoch: 4 })).toBe(true);
  const goesOn = recorded({ state: 'READY_EXPOSED', epoch: 4, holder: terms.customer, activation: 3 });
  const full: PartyEvent = { type: 'observed', observed: { storeOk: false } };
  const gasps: string[] = [];
  let { state } = driveCustomer(createCustomer(terms, stated, 'boot', 0), goesOn, 0);
  for (let now = 50; now < 4000; now += 50) {
    state = driveCustomer(state, full, now).state;
    const turn = driveCustomer(state, tick, now);
    state = turn.state;
    for (const effect of turn.effects) if (effect.type === 'lastGasp') gasps.push(effect.cause);
  }
  expect(state.phase).toEqual({ at: 'guarded', epoch: 4 });
  expect(new Set(gasps)).toEqual(new Set(['disk']));
});

/** Whose provider has released its epoch, as the ledger says. */
function asked(phase: CustomerPhase, storeOk: boolean): string[] {
  const record = recorded({ state: 'RETURNING', epoch: 3, holder: terms.provider, released: true });
  const source = { pulledThrough: 9, caughtUp: true };
  let { state } = driveCustomer(createCustomer(terms, phase, 'boot', 0), record, 60_000);
  const calls: string[] = [];
  for (let now = 60_000; now <= 64_000; now += 500) {
    const seen = driveCustomer(state, { type: 'observed', observed: { storeOk, source } }, now);
    const turn = driveCustomer(seen.state, tick, now);
    state = turn.state;
    calls.push(...called(turn.effects));
  }
  return calls;
}

test('it neither asks for its sensors back nor takes an epoch while it could not write that down', () => {
  const { waits: _, ...unasked } = recovering;
  for (const phase of [recovering, unasked]) {
    expect(asked(phase, true)).toEqual(expect.arrayContaining(['take']));
    expect(asked(phase, false)).not.toContain('take');
    expect(asked(phase, false)).not.toContain('return');
  }
});

const gaveBack: ProviderPhase = { at: 'stated', from: 7, epoch: 3 };
const returning = { state: 'RETURNING', epoch: 3, holder: terms.provider, activation: 3 } as const;
const free: Partial<ContractRecord> = { ...returning, released: true };

interface Heard {
  readonly storeOk: boolean;
  readonly leaseLeftMs?: number;
}

function beat(state: ProviderState, sequence: number, { storeOk, leaseLeftMs = 0 }: Heard): PartyEvent {
  const echo = currentNonce(state.watch.detector);
  const about = { contractId: terms.contractId, epoch: 3, bootId: 'boot-a', clock: 0 };
  const said = { ...about, sequence, echo, storeOk, leaseLeftMs };
  return { type: 'datagram', from: terms.customer, datagram: { kind: 'beat', body: said } };
}

/** A provider that gave its epoch back, whose customer beats on; when it began to take over, ms after that. */
function opensAfter(record: Partial<ContractRecord>, heard: Heard, held = false): number | undefined {
  const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 7, next: 20 } } };
  let { state } = driveProvider(createProvider(terms, gaveBack, 'boot-b', 0), ring, 0);
  state = driveProvider({ ...state, held }, recorded(record), 0).state;
  for (let now = 20; now <= 6000; now += 20) {
    if (now % 200 === 0) state = driveProvider(state, beat(state, now, heard), now).state;
    state = driveProvider(state, tick, now).state;
    if (state.phase.at !== 'stated') {
      expect(state.phase).toMatchObject({ at: 'opening', from: 7, after: 3 });
      return now;
    }
  }
  return undefined;
}

test('what it gave back and its customer cannot take is taken over again', () => {
  expect(opensAfter(free, { storeOk: false })).toBeLessThan(3000);
  // the ledger gave the customer an epoch while its disk filled up
  const idle = { ...returning, epoch: 4, holder: terms.customer, leaseRuns: false } as const;
  expect(opensAfter(idle, { storeOk: false })).toBeLessThan(3000);
});

test('nothing is taken from a customer that can take it, acts or may act still, nor while an operator holds it', () => {
  expect(opensAfter(free, { storeOk: true })).toBeUndefined();
  expect(opensAfter(free, { storeOk: false, leaseLeftMs: 1000 })).toBeUndefined();
  expect(opensAfter(free, { storeOk: false }, true)).toBeUndefined();
  expect(opensAfter({ ...free, released: false }, { storeOk: false })).toBeUndefined();
  for (const leaseRuns of [true, undefined]) {
    const theirs = { ...returning, epoch: 4, holder: terms.customer, leaseRuns };
    expect(opensAfter(theirs, { storeOk: false })).toBeUndefined();
  }
});

test('a customer that could not take its sensors asks for them ever later: its disk may fill up each time', () => {
  const taken = (epoch: number): PartyEvent =>
    recorded({ state: 'ACTIVE', epoch, holder: terms.provider, activation: epoch });
  const source = { pulledThrough: 9, caughtUp: true };
  let now = 60_000;
  let { state } = driveCustomer(createCustomer(terms, recovering, 'boot', 0), taken(3), now);
  const waits: number[] = [];
  for (let epoch = 4; epoch <= 7; epoch++) {
    state = driveCustomer(state, { type: 'observed', observed: { storeOk: false, source } }, now).state;
    state = driveCustomer(state, taken(epoch), now).state;
    state = driveCustomer(state, { type: 'observed', observed: { storeOk: true, source } }, now).state;
    const since = now;
    for (let asks = false; !asks && now < since + 60_000; now += 100) {
      const turn = driveCustomer(state, tick, now);
      const heard = driveCustomer(turn.state, taken(epoch), now);
      asks = called(turn.effects).includes('return');
      const answer: PartyEvent = { type: 'answer', method: 'return', ok: true, value: {} };
      state = asks ? driveCustomer(heard.state, answer, now).state : heard.state;
    }
    waits.push(Math.round((now - since) / 1000));
  }
  expect(waits).toEqual([1, 2, 4, 8]);
});
