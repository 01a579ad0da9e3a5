import { describe, expect, test } from '@jest/globals';
import { called, driveCustomer, driveProvider, recorded, refused, terms, tick } from './contract.fixture.ts';
import { customerDesires } from './customer.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import { MAX_DOWNLINK_LEAD_MS, surelyPassed } from './lease.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';

const { customer, provider } = terms;
const evidence = { lastBeatMsAgo: 700, lastSequence: 3, probesUnanswered: 3, witness: 'dead' as const };
const statement = { contractId: terms.contractId, epoch: 2, from: 7, through: 9, devices: [] };

const aProvider = (phase: ProviderPhase): ProviderState => createProvider(terms, phase, 'boot-b', 0);
const aCustomer = (phase: CustomerPhase): CustomerState => createCustomer(terms, phase, 'boot-a', 0);

describe('a provider whose answer was lost', () => {
  test('is READY when the ledger says so', () => {
    const asked = driveProvider(aProvider({ at: 'preparing' }), refused('ready', 'conflict'), 10).state;
    expect(called(driveProvider(asked, tick, 20).effects)).toContain('record');
    expect(driveProvider(asked, recorded({ state: 'VALIDATED' }), 30).state.phase.at).toBe('preparing');
    expect(driveProvider(asked, recorded({ state: 'READY' }), 30).state.phase.at).toBe('ready');
  });

  test('holds the epoch that the ledger gave it, and waits for what may be on air', () => {
    const record = recorded({ state: 'ACTIVE', epoch: 2, holder: provider, activation: 2 });
    const { state } = driveProvider(aProvider({ at: 'reading', from: 7 }), record, 10_000);
    expect(state.phase).toEqual({ at: 'active', from: 7, epoch: 2 });
    expect(state.acting.lease.actFrom).toBeCloseTo(10_000 + surelyPassed(MAX_DOWNLINK_LEAD_MS));
  });

  test('states the epoch that it was given and that the customer has taken since', () => {
    const record = recorded({ state: 'RETURNING', epoch: 3, holder: customer, activation: 2 });
    for (const phase of [
      { at: 'reading', from: 7 },
      { at: 'opening', from: 7, evidence },
    ] as const)
      expect(driveProvider(aProvider(phase), record, 10).state.phase).toEqual({
        at: 'releasing',
        from: 7,
        epoch: 2,
      });
    const seen = driveProvider(
      aProvider({ at: 'ready' }),
      { type: 'observed', observed: { ring: { from: 5, next: 9 } } },
      5,
    );
    expect(driveProvider(seen.state, record, 10).state.phase).toEqual({ at: 'releasing', from: 5, epoch: 2 });
  });

  test('asks for its keys, and serves, when it holds the epoch without knowing why', () => {
    const record = recorded({ state: 'ACTIVE', epoch: 2, holder: provider, activation: 2 });
    const seen = driveProvider(
      aProvider({ at: 'ready' }),
      { type: 'observed', observed: { ring: { from: 5, next: 9 } } },
      5,
    );
    expect(driveProvider(seen.state, record, 10).state.phase).toMatchObject({ at: 'opening', from: 5 });
  });

  test('goes on to its statement when somebody else has ended its epoch', () => {
    const phase: ProviderPhase = { at: 'released', epoch: 2, counters: {}, statement };
    for (const code of ['conflict', 'forbidden', 'gone'])
      expect(driveProvider(aProvider(phase), refused('release', code), 10).state.phase.at).toBe('stating');
    expect(driveProvider(aProvider(phase), refused('release', 'timeout'), 10).state.phase.at).toBe(
      'released',
    );
  });

  test('ends when the contract is over, in whatever phase it learns that', () => {
    const phases: ProviderPhase[] = [
      { at: 'ready' },
      { at: 'opening', from: 1, evidence },
      { at: 'reading', from: 1 },
      { at: 'stating', statement, counters: {} },
      { at: 'stated', from: 7, epoch: 2 },
    ];
    for (const phase of phases)
      expect(driveProvider(aProvider(phase), recorded({ state: 'SETTLED' }), 10).state.phase).toEqual({
        at: 'ended',
      });
    const asked = driveProvider(
      aProvider({ at: 'stating', statement, counters: {} }),
      refused('statement', 'conflict'),
      10,
    );
    expect(called(driveProvider(asked.state, tick, 20).effects)).toContain('record');
  });
});

describe('a customer whose answer was lost', () => {
  test('holds the epoch that the ledger gave it, and waits for what may be on air', () => {
    const record = recorded({ state: 'RETURNING', epoch: 3 });
    const { state } = driveCustomer(aCustomer({ at: 'recovering', epoch: 2 }), record, 10_000);
    expect(state.phase).toEqual({ at: 'retaken', epoch: 3, providerEpoch: 2 });
    expect(state.acting.lease.actFrom).toBeCloseTo(10_000 + surelyPassed(MAX_DOWNLINK_LEAD_MS));
  });

  test('ends when the contract is over, in whatever phase it learns that', () => {
    const phases: CustomerPhase[] = [
      { at: 'guarded', epoch: 1 },
      { at: 'stating', epoch: 3, statement, counters: {} },
      { at: 'stated', epoch: 3 },
    ];
    for (const phase of phases)
      expect(
        driveCustomer(aCustomer(phase), recorded({ state: 'SETTLED', epoch: 3 }), 6200).state.phase.at,
      ).toBe('ended');
  });

  test('states what its provider heard last: a statement of an epoch before, which took long to make, is not that', () => {
    const back = aCustomer({ at: 'retaken', epoch: 5, providerEpoch: 4 });
    const madeOf = (epoch: number) =>
      ({ type: 'stated', statement: { ...statement, epoch }, counters: {} }) as const;
    expect(driveCustomer(back, madeOf(2), 10).state.phase).toEqual(back.phase);
    expect(driveCustomer(back, madeOf(4), 20).state.phase).toMatchObject({ at: 'stating', epoch: 5 });
  });

  test('goes on acting when the contract is over: the sensors are its own', () => {
    const { state } = driveCustomer(
      aCustomer({ at: 'stated', epoch: 3 }),
      recorded({ state: 'SETTLED', epoch: 3 }),
      10,
    );
    const [request] = driveCustomer(state, tick, 20).effects.filter(
      (effect) => effect.type === 'send' && effect.datagram.kind === 'leaseRequest',
    );
    expect(request).toMatchObject({ datagram: { body: { epoch: 3 } } });
    expect(customerDesires(state, 30).fence).toEqual({ state: 'shut' });
  });
});
