import { describe, expect, test } from '@jest/globals';
import { called, driveCustomer, driveProvider, recorded, refused, terms, tick } from './contract.fixture.ts';
import { customerDesires } from './customer.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import { currentNonce } from './detector.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';
import { providerDesires } from './provider.ts';

const { customer, provider, contractId } = terms;
const autonomous = { ...terms, opening: 'autonomous' as const };
const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 7, next: 20 } } };

function aProvider(phase: ProviderPhase, under = terms): ProviderState {
  return driveProvider(createProvider(under, phase, 'boot-b', 0), ring, 0).state;
}
const aCustomer = (phase: CustomerPhase): CustomerState => createCustomer(terms, phase, 'boot-a', 0);

function beat(state: ProviderState, sequence: number, leaseLeftMs: number): PartyEvent {
  const echo = currentNonce(state.watch.detector);
  const body = {
    contractId,
    epoch: 1,
    bootId: 'boot-a',
    sequence,
    echo,
    clock: 0,
    storeOk: true,
    leaseLeftMs,
  };
  return { type: 'datagram', from: customer, datagram: { kind: 'beat', body } };
}

/** Ticks, with a beat before each where one is given, until the machine comes to that phase. */
function runUntil(state: ProviderState, phase: string, until: number, leaseLeftMs?: number) {
  const methods = new Set<string>();
  let next = state;
  for (let now = 20; now <= until; now += 20) {
    if (leaseLeftMs !== undefined && now % 200 === 0)
      next = driveProvider(next, beat(next, now, leaseLeftMs), now).state;
    const turn = driveProvider(next, tick, now);
    next = turn.state;
    for (const method of called(turn.effects)) methods.add(method);
    if (methods.has('witness') && next.watch.suspicion?.witness === 'asked')
      next = driveProvider(
        next,
        { type: 'answer', method: 'witness', ok: true, value: { heard: false } },
        now,
      ).state;
    if (next.phase.at === phase) return { state: next, now, methods };
  }
  return { state: next, now: until, methods };
}

describe('a provider', () => {
  test('takes over from a customer that lives but has long lost its lease, if the witness does not hear it either', () => {
    const { state, now, methods } = runUntil(aProvider({ at: 'ready' }), 'opening', 12_000, 0);
    expect(state.phase.at).toBe('opening');
    expect(methods).toContain('witness');
    // longer than any silence after a restart
    expect(now).toBeGreaterThanOrEqual(7000);
  });

  test('leaves a customer alone that has its lease', () => {
    const { state, methods } = runUntil(aProvider({ at: 'ready' }), 'opening', 12_000, 2500);
    expect(state.phase.at).toBe('ready');
    expect(methods).not.toContain('witness');
  });

  test('takes over again when the customer dies before the contract is settled', () => {
    const { state } = runUntil(aProvider({ at: 'stated', from: 3, epoch: 2 }), 'opening', 3000);
    expect(state.phase).toMatchObject({ at: 'opening', from: 3, after: 2 });
    const lives: PartyEvent = { type: 'answer', method: 'open', ok: false, code: 'customerLives' };
    expect(driveProvider(state, lives, 3000).state.phase).toEqual({ at: 'stated', from: 3, epoch: 2 });
  });

  test('reads without the arbitrator where the whole key is its own', () => {
    const { state, now } = runUntil(aProvider({ at: 'ready' }, autonomous), 'opening', 3000);
    expect(providerDesires(state, now)).toMatchObject({ service: 'active', fence: { state: 'shut' } });
    const { effects } = driveProvider(state, tick, now + 20);
    expect(effects).toContainEqual({ type: 'openKeys', shares: null });
    const witnessed = runUntil(aProvider({ at: 'ready' }), 'opening', 3000);
    expect(providerDesires(witnessed.state, witnessed.now).service).toBe('standby');
  });

  test('decides nothing before it knows where its ring begins', () => {
    const state = createProvider(autonomous, { at: 'ready' }, 'boot-b', 0);
    expect(runUntil(state, 'opening', 3000).state.phase.at).toBe('ready');
  });
});

test('a doubt that nobody has heard of ends without news: hours of a cut between the two fill no timeline', () => {
  let state = aProvider({ at: 'ready' });
  const milestones: string[] = [];
  for (let now = 20; now <= 20_000; now += 20) {
    for (const event of [
      tick,
      { type: 'answer', method: 'witness', ok: true, value: { heard: true } },
    ] as const) {
      const step = driveProvider(state, event, now);
      state = step.state;
      milestones.push(...step.effects.flatMap((one) => (one.type === 'note' ? [one.milestone] : [])));
    }
  }
  expect(milestones).toEqual([]);
  expect(state.phase.at).toBe('ready');
});

describe('a customer', () => {
  test('is bound to its lease before the provider gets its keys', () => {
    const arming = aCustomer({
      at: 'arming',
      keys: { keyVersion: 1, sharesWith: [terms.central], withProvider: false },
    });
    const first = driveCustomer(arming, tick, 20);
    expect(called(first.effects)).toContain('record');
    expect(called(first.effects)).not.toContain('keys');
    expect(customerDesires(first.state, 20).fence).toEqual({ state: 'shut' });
    const bound = driveCustomer(first.state, recorded({ state: 'VALIDATED', epoch: 1 }), 40).state;
    expect(customerDesires(bound, 40).fence).toEqual({ state: 'shut' });
    expect(called(driveCustomer(bound, tick, 60).effects)).toContain('keys');
  });

  test('stands by for every later epoch of its provider, in whatever phase it learns of it', () => {
    const statement = { contractId, epoch: 2, from: 1, through: 2, devices: [] };
    const phases: CustomerPhase[] = [
      { at: 'arming', keys: { keyVersion: 1, sharesWith: [terms.central], withProvider: true }, epoch: 1 },
      { at: 'guarded', epoch: 1 },
      { at: 'recovering', epoch: 2 },
      { at: 'retaken', epoch: 3, providerEpoch: 2 },
      { at: 'stating', epoch: 3, statement, counters: {} },
      { at: 'stated', epoch: 3 },
    ];
    for (const phase of phases) {
      const { state } = driveCustomer(
        aCustomer(phase),
        recorded({ state: 'ACTIVE', epoch: 4, holder: provider }),
        10,
      );
      expect(state.phase).toEqual({ at: 'recovering', epoch: 4 });
    }
  });

  test('takes its sensors back when the provider is silent or has heard it, and the lease decides', () => {
    let { state } = driveCustomer(aCustomer({ at: 'recovering', epoch: 2 }), tick, 2000);
    expect(called(driveCustomer(state, tick, 2020).effects)).not.toContain('take');
    expect(called(driveCustomer(state, tick, 3000).effects)).toContain('take');
    state = driveCustomer(state, { type: 'answer', method: 'return', ok: true, value: {} }, 2040).state;
    expect(called(driveCustomer(state, tick, 2060).effects)).toContain('take');
  });

  test('asks for its sensors back only while the centre answers it: nobody else could give it the epoch', () => {
    const recovering = aCustomer({ at: 'recovering', epoch: 2 });
    const asking = driveCustomer(recovering, tick, 2000);
    expect(called(asking.effects)).toContain('record');
    const caughtUp: PartyEvent = {
      type: 'observed',
      observed: { source: { pulledThrough: 9, caughtUp: true } },
    };
    const { state } = driveCustomer(asking.state, caughtUp, 2010);
    const asks = (one: CustomerState, now: number) => called(driveCustomer(one, tick, now).effects);
    expect(asks(state, 2100)).toContain('return');
    expect(asks(state, 4100)).not.toContain('return');
    const failed = driveCustomer(state, refused('record', 'timeout'), 2200).state;
    expect(asks(failed, 2210)).not.toContain('return');
    const record = recorded({ state: 'ACTIVE', epoch: 2, holder: provider, activation: 2 });
    expect(asks(driveCustomer(state, record, 4200).state, 4210)).toContain('return');
    const forced = driveCustomer(state, { type: 'returnTold', forced: true }, 4200).state;
    expect(asks(forced, 4210)).toContain('return');
  });
});

describe('a counter block', () => {
  const asks = (requestId: string): PartyEvent => ({
    type: 'counterAsked',
    requestId,
    devAddr: '0000000a',
    above: -1,
  });
  const reserved = (state: CustomerState, now: number): number =>
    driveCustomer(state, tick, now).effects.filter(
      (effect) =>
        effect.type === 'send' &&
        effect.datagram.kind === 'leaseRequest' &&
        effect.datagram.body.reserve.length > 0,
    ).length;

  test('is asked for once while its answer may be on its way: every request burns one', () => {
    let state = driveCustomer(aCustomer({ at: 'guarded', epoch: 1 }), asks('r1'), 10).state;
    let requests = 0;
    for (let now = 20; now < 300; now += 20) {
      requests += reserved(state, now);
      state = driveCustomer(state, tick, now).state;
    }
    expect(requests).toBe(1);
    expect(reserved(state, 340)).toBe(1);
  });

  test('goes to the newest request for its device', () => {
    let { state } = driveCustomer(aCustomer({ at: 'guarded', epoch: 1 }), asks('r1'), 10);
    state = driveCustomer(state, asks('r2'), 15).state;
    const turn = driveCustomer(state, tick, 20);
    const [sent] = turn.effects.flatMap((effect) =>
      effect.type === 'send' && effect.datagram.kind === 'leaseRequest' ? [effect.datagram.body] : [],
    );
    const { setId } = terms.set;
    const { bootId = '', sequence = 0 } = sent ?? {};
    const blocks = [{ devAddr: '0000000a', index: 4 }];
    const body = { setId, epoch: 1, bootId, sequence, challenge: 'c.1', leaseMs: 3000, blocks };
    const grant: PartyEvent = {
      type: 'datagram',
      from: terms.central,
      datagram: { kind: 'leaseGrant', body },
    };
    expect(driveCustomer(turn.state, grant, 30).effects).toContainEqual({
      type: 'grantBlock',
      requestId: 'r2',
      devAddr: '0000000a',
      block: { first: 64, last: 79 },
    });
  });
});
