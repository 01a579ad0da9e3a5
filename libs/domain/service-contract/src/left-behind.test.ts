import { expect, test } from '@jest/globals';
import { called, driveCustomer, recorded, terms, tick, type Driven } from './contract.fixture.ts';
import { customerDesires } from './customer.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import type { ContractRecord } from './messages.ts';
import type { PartyEvent } from './party.ts';

const over = { state: 'SETTLED', holder: terms.provider, epoch: 2, activation: 2 } as const;
const taken: PartyEvent = { type: 'answer', method: 'take', ok: true, value: { epoch: 3, actAfterMs: 0 } };

/** Back after the end; until it asks for the epoch. */
function back(phase: CustomerPhase, said: Partial<ContractRecord>): Driven<CustomerState> {
  let driven: Driven<CustomerState> = { state: createCustomer(terms, phase, 'boot', 0), effects: [] };
  for (let now = 7000; now <= 20_000; now += 500) {
    driven = driveCustomer(driven.state, recorded(said), now);
    driven = driveCustomer(driven.state, tick, now);
    if (driven.state.phase.at === 'ended' || called(driven.effects).includes('take')) break;
  }
  return driven;
}

const guarded = { at: 'guarded', epoch: 1 } as const;

test.each([
  ['had let go', { released: true }],
  ['died under it', { released: false, leaseRuns: false }],
])(
  'a customer that was away until its contract was over takes back the epoch of a provider that %s',
  (_, how) => {
    const asked = back(guarded, { ...over, ...how });
    expect(called(asked.effects)).toContain('take');
    let { state } = driveCustomer(asked.state, taken, 30_000);
    expect(state.phase).toMatchObject({ at: 'retaken', epoch: 3 });
    const handback = { epoch: 2, from: 1, through: 0 };
    const ours = recorded({ ...over, holder: terms.customer, epoch: 3, handback });
    // nothing is stated of what is settled
    expect(
      driveCustomer({ ...state, record: { ...over, released: true, handback } }, tick, 30_100).effects,
    ).not.toContainEqual(expect.objectContaining({ type: 'state' }));
    ({ state } = driveCustomer(state, ours, 31_000));
    expect(state.phase).toEqual({ at: 'ended', epoch: 3 });
    const lease = { ...state.acting.lease, until: 60_000 };
    const acting = { ...state, acting: { ...state.acting, lease } };
    expect(customerDesires(acting, 40_000).fence).toMatchObject({ state: 'open', epoch: 3 });
  },
);

test('what it had given up, and nobody took, is its own again', () => {
  const word = { kind: 'antirio/yield/1', by: terms.customer, body: {}, signature: '' } as never;
  const yielded = { at: 'yielded', epoch: 1, word, counters: {} } as const;
  const said = { state: 'EXPIRED', holder: terms.customer, epoch: 1, released: true };
  expect(called(back(yielded, said).effects)).toContain('take');
});

test('what another contract’s provider has is that contract’s to bring back', () => {
  const { state, effects } = back(guarded, { ...over, activation: 1 });
  expect(called(effects)).not.toContain('take');
  expect(state.phase.at).toBe('ended');
});

test('back with a disk from before its first epoch, it acts under the one that the ledger says is its own', () => {
  const arming = createCustomer(
    terms,
    { at: 'arming', keys: { sharesWith: [], withProvider: false } },
    'boot',
    0,
  );
  const said = recorded({ state: 'SETTLED', holder: terms.customer, epoch: 3, activation: 2 });
  const { state } = driveCustomer(arming, said, 7000);
  expect(state.phase).toEqual({ at: 'ended', epoch: 3 });
  expect(state.acting.lease.epoch).toBe(3);
  const requests = driveCustomer(state, tick, 7020).effects.filter(
    (one) => one.type === 'send' && one.datagram.kind === 'leaseRequest',
  );
  expect(requests).toHaveLength(1);
});
