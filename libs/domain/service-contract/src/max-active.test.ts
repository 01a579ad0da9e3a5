import { describe, expect, test } from '@jest/globals';
import {
  called,
  driveCustomer,
  driveProvider,
  newEdge,
  recorded,
  terms,
  tick,
  type Driven,
} from './contract.fixture.ts';
import { createCustomer } from './customer-state.ts';
import { hasServedOut } from './max-active.ts';
import type { ContractRecord } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { providerDesires } from './provider.ts';
import type { HandbackStatement } from './statement.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';

const DAY_MS = terms.maxActiveS * 1000;
const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 7, next: 20 } } };
const served = (activeForMs: number, more: Partial<ContractRecord> = {}): PartyEvent =>
  recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2, activeForMs, ...more });

function provider(phase: ProviderPhase, record: PartyEvent, now: number): Driven<ProviderState> {
  const known = driveProvider(createProvider(terms, phase, 'boot-b', 0), ring, 0).state;
  return driveProvider(driveProvider(known, record, now).state, tick, now);
}
const active: ProviderPhase = { at: 'active', from: 7, epoch: 2 };
const stated: ProviderPhase = { at: 'stated', from: 7, epoch: 2 };

describe('a provider that serves', () => {
  test('goes on when the contract has expired, until maxActiveS is over by the grantor’s record', () => {
    const late = terms.expiresAt + 1000;
    expect(provider(active, served(DAY_MS - 1000), late).state.phase.at).toBe('active');
    const { state } = provider(active, served(DAY_MS - 1000), 50_000);
    expect(driveProvider(state, tick, 50_999).state.phase.at).toBe('active');
    const over = driveProvider(state, tick, 51_000);
    expect(over.state.phase).toEqual({ at: 'releasing', from: 7, epoch: 2 });
    expect(over.effects).toContainEqual(
      expect.objectContaining({
        milestone: 'fenced',
        detail: expect.objectContaining({ cause: 'maxActiveS' }),
      }),
    );
    expect(providerDesires(over.state, 51_000).fence).toEqual({ state: 'shut' });
  });

  test('goes on where nobody says since when it has', () => {
    const { state } = provider(active, recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider }), 1000);
    expect(driveProvider(state, tick, 10 * DAY_MS).state.phase.at).toBe('active');
  });
});

/** Ticks without a beat, with a witness that hears nobody. */
function waitFor(first: ProviderState, from: number, until: number): ProviderState {
  let state = first;
  const witness: PartyEvent = { type: 'answer', method: 'witness', ok: true, value: { heard: false } };
  for (let now = from; now <= until; now += 20) {
    state = driveProvider(state, tick, now).state;
    if (state.watch.suspicion?.witness === 'asked') state = driveProvider(state, witness, now).state;
  }
  return state;
}

describe('a provider that has served for as long as it may', () => {
  const released = { state: 'RETURNING', released: true } as const;

  test('does not take over again while nobody has taken the epoch', () => {
    const over = provider(stated, served(DAY_MS, released), 1000).state;
    expect(waitFor(over, 1020, 6000).phase.at).toBe('stated');
    const early = provider(stated, served(5000, released), 1000).state;
    expect(waitFor(early, 1020, 6000).phase.at).toBe('opening');
    const back = { ...released, epoch: 3, holder: terms.customer, released: false };
    expect(waitFor(provider(stated, served(DAY_MS, back), 1000).state, 1020, 6000).phase.at).toBe('opening');
  });

  test('hears from the ledger how things stand before it begins anew: its customer has been silent all the while', () => {
    const stating = { from: 7, through: 20, root: '', epoch: 2, devices: [] } as unknown as HandbackStatement;
    const before = provider(
      { at: 'stating', statement: stating, counters: {} },
      served(DAY_MS, released),
      1000,
    );
    const told: PartyEvent = { type: 'answer', method: 'statement', ok: true, value: {} };
    const unknown = driveProvider(before.state, told, 1000).state;
    expect(unknown.phase.at).toBe('stated');
    expect(waitFor(unknown, 1020, 6000).phase.at).toBe('stated');
    const known = driveProvider(unknown, served(DAY_MS, released), 1500).state;
    expect(waitFor(known, 1520, 6000).phase.at).toBe('stated');
    const early = driveProvider(unknown, served(5000, released), 1500).state;
    expect(waitFor(early, 1520, 6000).phase.at).toBe('opening');
  });

  test('watches its customer again where the ledger is away for long after its word, and at once after a start', () => {
    const known = provider(stated, served(5000, released), 1000).state;
    const unknown = { ...known, record: undefined };
    expect(waitFor(unknown, 1020, 10_500).phase.at).toBe('stated');
    expect(waitFor(unknown, 1020, 15_000).phase.at).toBe('opening');
    // what the ledger says in time goes before
    const heard = driveProvider(waitFor(unknown, 1020, 10_500), served(DAY_MS, released), 10_520).state;
    expect(waitFor(heard, 10_540, 30_000).phase.at).toBe('stated');
    const started = driveProvider(createProvider(terms, stated, 'boot-b', 0), ring, 0).state;
    expect(waitFor(started, 20, 6000).phase.at).toBe('opening');
  });

  test('waits for the ledger anew after its word, however long that was away before', () => {
    const statement = {
      from: 7,
      through: 20,
      root: '',
      epoch: 2,
      devices: [],
    } as unknown as HandbackStatement;
    const stating = { at: 'stating', statement, counters: {} } as const;
    const known = provider(stating, served(DAY_MS, released), 1000).state;
    const away = waitFor({ ...known, record: undefined }, 1020, 60_000);
    const told: PartyEvent = { type: 'answer', method: 'statement', ok: true, value: {} };
    const unknown = driveProvider(away, told, 60_000).state;
    expect(unknown.phase.at).toBe('stated');
    expect(waitFor(unknown, 60_020, 69_000).phase.at).toBe('stated');
    expect(waitFor(unknown, 60_020, 75_000).phase.at).toBe('opening');
  });

  test('takes no further epoch though it has opened, as by an operator’s word', () => {
    const evidence = { lastBeatMsAgo: 0, lastSequence: 0, probesUnanswered: 0, witness: 'unasked' } as const;
    const opening = { at: 'opening', from: 7, evidence, after: 2 } as const;
    const before = provider(opening, served(DAY_MS, released), 1000).state;
    const value = { opening: 1, releases: [{ holder: terms.central, share: {} }] };
    const opened: PartyEvent = { type: 'answer', method: 'open', ok: true, value };
    const reading = driveProvider(before, opened, 1000).state;
    expect(reading.phase.at).toBe('reading');
    const again = driveProvider(driveProvider(reading, served(DAY_MS, released), 1500).state, tick, 1520);
    expect(called(again.effects)).not.toContain('take');
    expect(again.state.phase).toEqual(stated);
  });

  test('closes the contract once its statement counts as agreed, and not before', () => {
    const waits = provider(stated, served(DAY_MS, { ...released, closesInMs: 1 }), 1000);
    expect(called(waits.effects)).not.toContain('close');
    const due = provider(stated, served(DAY_MS, { ...released, closesInMs: 0 }), 1000);
    expect(called(due.effects)).toContain('close');
  });
});

describe('by the grantor’s count', () => {
  const { customer, provider } = terms;
  const served = { customer, holder: provider, takenAt: 1000 };
  const longer = { ...terms, maxActiveS: terms.maxActiveS + 60 };

  test('a provider has served out when none of its live contracts lets it act any more, and a customer never has', () => {
    expect(hasServedOut(served, [terms], 999 + DAY_MS)).toBe(false);
    expect(hasServedOut(served, [terms], 1000 + DAY_MS)).toBe(true);
    expect(hasServedOut(served, [terms, longer], 1000 + DAY_MS)).toBe(false);
    expect(hasServedOut(served, [terms, { ...longer, provider: newEdge() }], 1000 + DAY_MS)).toBe(true);
    expect(hasServedOut(served, [], 1000)).toBe(true);
    expect(hasServedOut({ ...served, holder: customer }, [terms], 9 * DAY_MS)).toBe(false);
  });
});

test('a customer promises nothing more to a provider that has served for as long as it may', () => {
  const back = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', 0);
  const known = driveCustomer(back, served(DAY_MS - 10_000), 10_000).state;
  const body = {
    setId: terms.set.setId,
    epoch: 2,
    bootId: 'boot-b',
    sequence: 1,
    challenge: '',
    reserve: [],
  };
  const asked: PartyEvent = {
    type: 'datagram',
    from: terms.provider,
    datagram: { kind: 'leaseRequest', body },
  };
  const answered = (now: number): string[] =>
    driveCustomer(known, asked, now).effects.flatMap((one) =>
      one.type === 'send' ? [one.datagram.kind] : [],
    );
  expect(answered(19_999)).toEqual(['leaseRefused']);
  expect(answered(20_000)).toEqual([]);
});
