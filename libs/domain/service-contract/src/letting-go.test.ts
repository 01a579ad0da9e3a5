import { expect, test } from '@jest/globals';
import { driveCustomer, recorded, terms, tick } from './contract.fixture.ts';
import { customerDesires } from './customer.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import type { ContractRecord } from './messages.ts';
import type { PartyEffect, PartyEvent } from './party.ts';

const store = (storeOk: boolean): PartyEvent => ({ type: 'observed', observed: { storeOk } });
const own = { state: 'RETURNING', epoch: 4, holder: terms.customer, activation: 3 } as const;
const retaken: CustomerPhase = { at: 'retaken', epoch: 4, providerEpoch: 3 };
const guarded: CustomerPhase = { at: 'guarded', epoch: 4 };

const asksForLease = (effects: readonly PartyEffect[]): boolean =>
  effects.some((effect) => effect.type === 'send' && effect.datagram.kind === 'leaseRequest');

/** The grantor's answer to the newest request. */
function grantFor(effects: readonly PartyEffect[]): PartyEvent | undefined {
  for (const effect of effects)
    if (effect.type === 'send' && effect.datagram.kind === 'leaseRequest') {
      const { reserve: _, ...asked } = effect.datagram.body;
      const body = { ...asked, challenge: 'c.1', leaseMs: terms.leaseMs, blocks: [] };
      return { type: 'datagram', from: terms.central, datagram: { kind: 'leaseGrant', body } };
    }
  return undefined;
}

interface Lived {
  readonly state: CustomerState;
  /** When it asked for a lease last. */
  readonly askedAt: number;
  /** What its newest beat says. */
  readonly leaseLeftMs: number;
}

/** Ticks of a customer whose requests are granted, with what it sees of its disk. */
function live(first: CustomerState, storeOk: boolean, from: number, until: number): Lived {
  let state = first;
  let askedAt = -Infinity;
  let leaseLeftMs = NaN;
  for (let now = from; now < until; now += 50) {
    state = driveCustomer(state, store(storeOk), now).state;
    const turn = driveCustomer(state, tick, now);
    if (asksForLease(turn.effects)) askedAt = now;
    for (const effect of turn.effects)
      if (effect.type === 'send' && effect.datagram.kind === 'beat')
        leaseLeftMs = effect.datagram.body.leaseLeftMs;
    const grant = grantFor(turn.effects);
    state = grant === undefined ? turn.state : driveCustomer(turn.state, grant, now).state;
  }
  return { state, askedAt, leaseLeftMs };
}

function acting(phase: CustomerPhase, record: Partial<ContractRecord> = own): CustomerState {
  const started = createCustomer(terms, phase, 'boot-a', 0);
  return live(driveCustomer(started, recorded(record), 0).state, true, 50, 10_000).state;
}

test('who is just back, and whose disk fills up, has no lease soon, and acts on once there is room', () => {
  const before = acting(retaken);
  expect(customerDesires(before, 10_000).fence.state).toBe('open');
  const full = live(before, false, 10_000, 20_000);
  expect(full.askedAt).toBeLessThanOrEqual(12_000);
  expect(full.leaseLeftMs).toBe(0);
  expect(customerDesires(full.state, 20_000).fence).toEqual({ state: 'shut' });
  const well = live(full.state, true, 20_000, 22_000);
  expect(well.askedAt).toBeGreaterThan(20_000);
  expect(well.leaseLeftMs).toBeGreaterThan(0);
  expect(customerDesires(well.state, 22_000).fence.state).toBe('open');
});

test('its provider then has its epoch, and it stands by, whether that can be written down or not', () => {
  const full = live(acting(retaken), false, 10_000, 20_000).state;
  const taken = recorded({ state: 'ACTIVE', epoch: 5, holder: terms.provider, activation: 5 });
  const { phase, flaps } = driveCustomer(full, taken, 20_000).state;
  expect(phase).toEqual({ at: 'recovering', epoch: 5 });
  expect(flaps.failures).toBe(1);
});

test('who guards gives its word instead, and who is held or waits for new keys keeps what it has', () => {
  expect(live(acting(guarded), false, 10_000, 20_000).askedAt).toBeGreaterThan(18_000);
  const held = driveCustomer(acting(retaken), { type: 'held', held: true }, 10_000).state;
  expect(live(held, false, 10_000, 20_000).askedAt).toBeGreaterThan(18_000);
  const rekeying = { state: 'HANDED_BACK', rekeying: { settlesInMs: 1000 } } as const;
  const waits = acting({ at: 'stated', epoch: 4 }, { ...own, ...rekeying });
  expect(live(waits, false, 10_000, 20_000).askedAt).toBeGreaterThan(18_000);
});
