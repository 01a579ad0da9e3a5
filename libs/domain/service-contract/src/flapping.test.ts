import { describe, expect, test } from '@jest/globals';
import { driveCustomer, recorded, terms, tick } from './contract.fixture.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import { backoffLeftMs, backoffMs } from './flapping.ts';
import type { Datagram } from './messages.ts';
import type { PartyEvent } from './party.ts';

const { customer, provider, central, set } = terms;
const aCustomer = (phase: CustomerPhase, failures = 0): CustomerState =>
  createCustomer(terms, phase, 'boot-a', 0, failures);
const servedBy = (epoch: number): PartyEvent =>
  recorded({ state: 'ACTIVE', epoch, holder: provider, activation: epoch });
/** The lease that was asked for last is granted. */
function granted({ acting: { lease, bootId, sequence } }: CustomerState): PartyEvent {
  const body = { setId: set.setId, epoch: lease.epoch, bootId, sequence: sequence - 1, challenge: 'c' };
  const datagram: Datagram = { kind: 'leaseGrant', body: { ...body, leaseMs: 3000, blocks: [] } };
  return { type: 'datagram', from: central, datagram };
}
/** Acts, with a lease, tick by tick. */
function act(first: CustomerState, from: number, until: number) {
  let state = first;
  const kept: number[] = [];
  for (let now = from; now <= until; now += 500) {
    for (const event of [tick, granted(state)]) {
      const turn = driveCustomer(state, event, now);
      state = turn.state;
      for (const effect of turn.effects) if (effect.type === 'failures') kept.push(effect.count);
    }
  }
  return { state, kept };
}

describe('the back-off before a customer asks for its sensors back', () => {
  test('doubles with each failure in a row, up to its bound', () => {
    const under = { returnBackoffMs: 30_000, flapping: { maxBackoffMs: 3_600_000, stableMs: 1000 } };
    expect([0, 1, 2, 3, 7, 8, 1000].map((failures) => backoffMs(under, failures) / 1000)).toEqual([
      30, 30, 60, 120, 1920, 3600, 3600,
    ]);
    const fixed = { returnBackoffMs: 5000, flapping: { maxBackoffMs: 0, stableMs: 1000 } };
    expect(backoffMs(fixed, 9)).toBe(5000);
  });

  test('a takeover that nobody planned is a failure, which the disk is told of', () => {
    const { state, effects } = driveCustomer(aCustomer({ at: 'guarded', epoch: 1 }), servedBy(2), 100);
    expect(effects).toContainEqual({ type: 'failures', count: 1 });
    expect(backoffLeftMs(state, 100)).toBe(terms.returnBackoffMs);
    const again = driveCustomer(state, servedBy(4), 200);
    expect(again.state.flaps.failures).toBe(1);
    const third = driveCustomer(
      aCustomer({ at: 'retaken', epoch: 3, providerEpoch: 2 }, 2),
      servedBy(4),
      100,
    );
    expect(third.effects).toContainEqual({ type: 'failures', count: 3 });
    expect(backoffLeftMs(third.state, 100)).toBe(4 * terms.returnBackoffMs);
  });

  test.each([
    ['planned', 0],
    ['schedule', 0],
    ['overload', 0],
    ['battery', 1],
    ['terminating', 1],
  ])('a handover of the cause %s counts %i', (cause, count) => {
    const body = { ...{ contractId: terms.contractId, setId: set.setId, epoch: 1, at: 0 }, cause };
    const word = { kind: 'antirio/yield/1', by: customer, body, signature: '' };
    const phase = { at: 'yielded', epoch: 1, word } as unknown as CustomerPhase;
    const { state } = driveCustomer(aCustomer(phase), servedBy(2), 100);
    expect(state).toMatchObject({ phase: { at: 'recovering' }, flaps: { failures: count } });
  });

  test('failures are forgotten by who has acted for long, and not by one that is only up', () => {
    const { stableMs } = terms.flapping;
    const begun = act(aCustomer({ at: 'guarded', epoch: 3 }, 4), 500, 20_000);
    expect(begun.state.flaps).toMatchObject({ failures: 4, wellSince: expect.any(Number) });
    const silent = driveCustomer(begun.state, tick, 2 * stableMs).state;
    expect(silent.flaps).toEqual({ failures: 4, wellSince: undefined });
    const wellSince = 20_000 - stableMs;
    const long = { ...begun.state, flaps: { failures: 4, wellSince } };
    const { state, kept } = act(long, 20_500, 21_000);
    expect(state.flaps.failures).toBe(0);
    expect(kept).toEqual([0]);
  });
});
