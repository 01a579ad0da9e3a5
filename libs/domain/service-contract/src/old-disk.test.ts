import { describe, expect, test } from '@jest/globals';
import { called, driveCustomer, driveProvider, newEdge, recorded, terms, tick } from './contract.fixture.ts';
import { customerDesires } from './customer.ts';
import { createCustomer } from './customer-state.ts';
import { nothingDelivered } from './key-delivery.ts';
import { sight } from './ledger-sight.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';

const statement = { contractId: terms.contractId, epoch: 2, from: 7, through: 9, devices: [] };
const counters = {};

describe('a party whose disk came back from an old backup', () => {
  test.each<ProviderPhase>([
    { at: 'active', from: 7, epoch: 2 },
    { at: 'releasing', from: 7, epoch: 2 },
    { at: 'released', epoch: 2, counters, statement },
    { at: 'stating', counters, statement },
  ])(
    'serves on under the epoch that the ledger says is its own, though it was $at under an older one',
    (phase) => {
      const restored = createProvider(terms, phase, 'boot', 0);
      const record = recorded({ state: 'ACTIVE', epoch: 4, holder: terms.provider, activation: 4 });
      // what it may have promised before it started is over first
      expect(driveProvider(restored, record, 100).state.phase).toEqual(phase);
      const { state } = driveProvider(restored, record, 6200);
      expect(state.phase).toEqual({ at: 'active', from: 7, epoch: 4 });
      expect(state.acting.lease.actFrom).toBeGreaterThanOrEqual(9200);
      const lost = recorded({ state: 'RETURNING', epoch: 5, holder: newEdge(), activation: 4 });
      expect(driveProvider(restored, lost, 100).state.phase).toEqual({ at: 'releasing', from: 7, epoch: 4 });
      const known = recorded({ state: 'RETURNING', epoch: 3, holder: terms.customer, activation: 2 });
      expect(driveProvider(restored, known, 100).state.phase).toEqual(phase);
    },
  );

  test('asks the ledger when it is refused the lease of an epoch for a later one of its own', () => {
    const settled = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
    let state: ProviderState = createProvider(terms, { at: 'active', from: 7, epoch: 2 }, 'boot', 0);
    state = driveProvider(state, settled, 10).state;
    expect(called(driveProvider(state, tick, 20).effects)).not.toContain('record');
    const answer = { setId: terms.set.setId, epoch: 2, bootId: 'boot', sequence: 0, challenge: 'c.0' };
    const refusal: PartyEvent = {
      type: 'datagram',
      from: terms.central,
      datagram: {
        kind: 'leaseRefused',
        body: { ...answer, reason: 'superseded', current: 4, holder: terms.provider },
      },
    };
    state = driveProvider(state, refusal, 30).state;
    expect(state.phase).toMatchObject({ at: 'active', epoch: 2 });
    expect(called(driveProvider(state, tick, 1000).effects)).toContain('record');
  });

  test.each<ProviderPhase>([
    { at: 'active', from: 5, epoch: 2 },
    { at: 'releasing', from: 5, epoch: 2 },
    { at: 'released', epoch: 2, counters, statement },
  ])('does not state an epoch for a second time that the ledger has its statement of ($at)', (phase) => {
    const restored = createProvider(terms, phase, 'boot', 0);
    const handback = { epoch: 2, from: 7, through: 9 };
    const stated = recorded({
      ...{ state: 'RETURNING', epoch: 3, holder: terms.customer, activation: 2 },
      handback,
    });
    expect(driveProvider(restored, stated, 100).state.phase).toEqual({ at: 'stated', from: 7, epoch: 2 });
    const ofBefore = recorded({
      ...{ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 },
      handback: { ...handback, epoch: 1 },
    });
    expect(driveProvider(restored, ofBefore, 100).state.phase).toEqual(phase);
  });

  test('seals its range off only after the ledger has said what was stated of it', () => {
    const restored = createProvider(terms, { at: 'releasing', from: 7, epoch: 2 }, 'boot', 0);
    const asks = driveProvider(restored, tick, 2000);
    expect(asks.effects.map(({ type }) => type)).not.toContain('sealOff');
    expect(called(asks.effects)).toContain('record');
    const nothing = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.customer, activation: 2 });
    const told = driveProvider(asks.state, nothing, 2100).state;
    expect(driveProvider(told, tick, 2200).effects.map(({ type }) => type)).toContain('sealOff');
  });

  test('does not act before it has a lease, though it takes itself to be before the contract', () => {
    const restored = createCustomer(terms, { at: 'arming', keys: nothingDelivered }, 'boot', 0);
    expect(customerDesires(restored, 50).fence).toEqual({ state: 'shut' });
    const taken = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
    const { state: other } = driveCustomer(restored, taken, 100);
    expect(customerDesires(other, 150).fence).toEqual({ state: 'shut' });
  });

  test('of whose provider it has stated one range states the other one, too, that the provider names later', () => {
    const about = { epoch: 2, from: 7, through: 9 };
    const restored = createCustomer(terms, { at: 'stated', epoch: 3, about }, 'boot', 0);
    const told = (through: number): PartyEvent =>
      recorded({
        ...{ state: 'HANDED_BACK', epoch: 3, holder: terms.customer, activation: 2 },
        handback: { epoch: 2, from: 7, through },
      });
    expect(driveCustomer(restored, told(9), 100).state.phase).toEqual({ at: 'stated', epoch: 3, about });
    const bettered = driveCustomer(restored, told(12), 100).state;
    expect(bettered.phase).toEqual({ at: 'retaken', epoch: 3, providerEpoch: 2 });
  });

  test('takes an epoch again that it gave up and has forgotten, where nobody else did', () => {
    const restored = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot', 0);
    const given = recorded({ state: 'READY', epoch: 1, holder: terms.customer, released: true });
    const early = driveCustomer(restored, given, 100).state;
    expect(called(driveCustomer(early, tick, 200).effects)).not.toContain('take');
    expect(called(driveCustomer(early, tick, 1100).effects)).toContain('take');
    expect(called(driveCustomer({ ...early, held: true }, tick, 1100).effects)).not.toContain('take');
    const kept = driveCustomer(restored, recorded({ state: 'READY', epoch: 1, holder: terms.customer }), 100);
    expect(called(driveCustomer(kept.state, tick, 1100).effects)).not.toContain('take');
  });

  test('of a contract that is over meanwhile, the customer acts on under the epoch that the ledger says', () => {
    const restored = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot', 0);
    const record = recorded({ state: 'SETTLED', epoch: 3, holder: terms.customer, quietMs: 0 });
    const { state } = driveCustomer(restored, record, 6200);
    expect(state.phase).toEqual({ at: 'ended', epoch: 3 });
    expect(state.acting.lease.epoch).toBe(3);
  });
});

describe('what was seen of a ledger', () => {
  const seen = { height: 5, stateHash: 'five' };
  test('grows with it, and is never given up for a log that lacks it', () => {
    const head = { height: 7, stateHash: 'seven' };
    expect(sight(undefined, head, undefined)).toEqual({ ok: true, highest: head });
    expect(sight(seen, head, 'five')).toEqual({ ok: true, highest: head });
    expect(sight(seen, head, 'other')).toEqual({ ok: false, seen, head });
    expect(sight(seen, head, undefined)).toEqual({ ok: false, seen, head });
    expect(sight(seen, { height: 4, stateHash: 'four' }, 'five')).toMatchObject({ ok: false });
  });
});
