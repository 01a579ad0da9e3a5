import { describe, expect, test } from '@jest/globals';
import { called, driveCustomer, recorded, terms, tick, type Driven } from './contract.fixture.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import type { PartyEvent } from './party.ts';

const epoch = 2;
const vigil: PartyEvent = {
  type: 'datagram',
  from: terms.provider,
  datagram: {
    kind: 'vigil',
    body: { contractId: terms.contractId, nonce: '00000000000000aa', ringNext: 5, phase: 'active' },
  },
};

/** A customer that waits for its window, its provider heard all along, and the records saying so of its lease. */
function waiting(leaseRuns: boolean, change: Partial<CustomerState> = {}): Driven<CustomerState> {
  const away = createCustomer(terms, { at: 'recovering', epoch, waits: 'window' }, 'boot', 0);
  const record = recorded({ state: 'ACTIVE', epoch, holder: terms.provider, activation: epoch, leaseRuns });
  let driven: Driven<CustomerState> = { state: { ...away, ...change }, effects: [] };
  for (let now = 7000; now <= 14_000; now += 500) {
    driven = driveCustomer(driven.state, vigil, now);
    driven = driveCustomer(driven.state, record, now);
    driven = driveCustomer(driven.state, tick, now);
    if (called(driven.effects).includes('take')) return driven;
  }
  return driven;
}

describe('a customer that waits, and hears a provider which serves', () => {
  test('takes its sensors back where that has had no lease for long: nobody acts', () => {
    expect(called(waiting(false).effects)).toContain('take');
    expect(called(waiting(true).effects)).not.toContain('take');
  });

  test('does not where an operator holds it, nor where the provider acts by its promise', () => {
    expect(called(waiting(false, { held: true }).effects)).not.toContain('take');
    const { promiser } = createCustomer(terms, { at: 'recovering', epoch }, 'boot', 0);
    const promised = { ...promiser, epoch, newest: epoch, until: 20_000 };
    expect(called(waiting(false, { promiser: promised }).effects)).not.toContain('take');
  });
});
