import { describe, expect, test } from '@jest/globals';
import { bookOf, type Disk } from './blocks.fixture.ts';
import { terms } from './contract.fixture.ts';
import { customerStep } from './customer.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import type { Datagram, LeaseRequest } from './messages.ts';
import type { PartyEffect, PartyEvent } from './party.ts';
import { providerStep } from './provider.ts';
import { createProvider } from './provider-state.ts';

const { customer, provider, central } = terms;
const DEVICE = terms.set.devices[0]?.devAddr ?? '';
const tick: PartyEvent = { type: 'tick' };
const unkept: PartyEvent = { type: 'unkept', by: customer };
const store = (storeOk: boolean): PartyEvent => ({ type: 'observed', observed: { storeOk } });

/** A customer long after its start, whose device wants a block; what it says is gone through. */
function aCustomer() {
  const disk: Disk = new Map();
  const context = (now: number) => ({ now, wall: now, random: () => 0.5, blocks: bookOf(disk) });
  let state: CustomerState = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', 0);
  const post = (event: PartyEvent, now: number): readonly PartyEffect[] => {
    const [next, effects] = customerStep(state, event, context(now));
    state = next;
    return effects;
  };
  post({ type: 'counterAsked', requestId: 'r1', devAddr: DEVICE, above: -1 }, 10_000);
  return {
    post,
    /** The first request for a block after `from`, and when. */
    asks(from: number, until: number): { readonly at: number; readonly request: LeaseRequest } | undefined {
      for (let now = from; now <= until; now += 20)
        for (const effect of post(tick, now)) {
          const sent: Datagram | undefined = effect.type === 'send' ? effect.datagram : undefined;
          if (sent?.kind === 'leaseRequest' && sent.body.reserve.length > 0)
            return { at: now, request: sent.body };
        }
      return undefined;
    },
  };
}

describe('a block of counters that the disk would not take', () => {
  test('is not asked for while the disk is known to be full, and at once when it is not', () => {
    const one = aCustomer();
    one.post(store(false), 10_000);
    expect(one.asks(10_020, 600_000)).toBeUndefined();
    one.post(store(true), 600_000);
    expect(one.asks(600_020, 601_000)?.at).toBe(600_020);
  });

  test('is asked for ever more seldom where it was not kept: each is 64 counters that nobody uses', () => {
    const one = aCustomer();
    let asked = 0;
    let at = 10_000;
    for (; at < 3_610_000; asked++) {
      const next = one.asks(at + 20, 4_000_000);
      at = next?.at ?? Infinity;
      one.post(unkept, at);
    }
    expect(asked).toBeGreaterThan(12);
    expect(asked).toBeLessThan(24);
  });

  test('is asked for as ever once one was kept, or the disk takes writes again', () => {
    const one = aCustomer();
    for (const now of [10_000, 10_000, 10_000, 10_000]) one.post(unkept, now);
    expect(one.asks(10_020, 17_900)).toBeUndefined();
    const { request, at = 0 } = one.asks(17_920, 18_100) ?? {};
    expect(request).toBeDefined();
    const { reserve: _, ...body } = request as LeaseRequest;
    const blocks = [{ devAddr: DEVICE, index: 4 }];
    const grant = { ...body, challenge: 'c.1', leaseMs: terms.leaseMs, blocks };
    one.post({ type: 'datagram', from: central, datagram: { kind: 'leaseGrant', body: grant } }, at + 5);
    one.post(unkept, at + 10);
    one.post({ type: 'counterAsked', requestId: 'r2', devAddr: DEVICE, above: 79 }, at + 10);
    expect(one.asks(at + 20, at + 1400)?.at).toBeLessThan(at + 1100);
    for (const storeOk of [false, true]) one.post(store(storeOk), at + 1200);
    expect(one.asks(at + 1220, at + 1600)).toBeDefined();
  });

  test('of another party is no reason to ask for no own one', () => {
    const one = aCustomer();
    one.post({ type: 'unkept', by: provider }, 10_000);
    expect(one.asks(10_020, 10_100)).toBeDefined();
    const before = createProvider(terms, { at: 'ready' }, 'boot-b', 0);
    const context = { now: 10, wall: 10, random: () => 0.5 };
    const timesAfter = (by: typeof customer): number =>
      providerStep(before, { type: 'unkept', by }, context)[0].acting.reserving.unkept.times;
    expect([customer, provider].map(timesAfter)).toEqual([0, 1]);
  });
});
