import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { called as calls, driveCustomer, driveProvider, newEdge, terms, tick } from './contract.fixture.ts';
import { customerDesires } from './customer.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import { createProvider, type ProviderState } from './provider-state.ts';
import { providerDesires } from './provider.ts';
import type { Datagram } from './messages.ts';
import { createActing, fenceOf, type PartyEffect, type PartyEvent } from './party.ts';

const step = (
  state: ProviderState,
  event: PartyEvent,
  now: number,
): [ProviderState, readonly PartyEffect[]] => {
  const turn = driveProvider(state, event, now);
  return [turn.state, turn.effects];
};

/** Ticks until something happens that the test looks for. */
function tickUntil(
  state: ProviderState,
  from: number,
  until: number,
  seen: (effects: readonly PartyEffect[]) => boolean,
): [ProviderState, number] {
  for (let now = from; now <= until; now += 10) {
    const [next, effects] = step(state, tick, now);
    state = next;
    if (seen(effects)) return [state, now];
  }
  throw new TypeError(`nothing happened until ${until}`);
}

describe('the provider', () => {
  const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 1, next: 1 } } };
  const readyAt = (now: number): ProviderState =>
    step(createProvider(terms, { at: 'ready' }, 'boot-b', now), ring, now)[0];

  test('asks the witness when beats stop, and opens only when the witness found the customer dead', () => {
    let [state, now] = tickUntil(readyAt(0), 0, 2000, (effects) => calls(effects).includes('witness'));
    // In doubt two missed beats are enough to ask; to decide it takes the third.
    expect(now).toBeGreaterThanOrEqual(400);
    expect(now).toBeLessThan(600);
    [state] = step(state, { type: 'answer', method: 'witness', ok: true, value: { heard: false } }, now + 10);
    [state, now] = tickUntil(state, now + 20, now + 1000, (effects) => calls(effects).includes('open'));
    expect(now).toBeGreaterThanOrEqual(600);
    expect(now).toBeLessThan(700);
    expect(state.phase.at).toBe('opening');
    expect(providerDesires(state, now).fence).toEqual({ state: 'shut' });
  });

  test('stays where it is when the witness still hears the customer', () => {
    const [suspecting, now] = tickUntil(readyAt(0), 0, 2000, (effects) => calls(effects).includes('witness'));
    const [state] = step(
      suspecting,
      { type: 'answer', method: 'witness', ok: true, value: { heard: true } },
      now + 150,
    );
    expect(state.phase.at).toBe('ready');
    expect(state.watch.suspicion).toBeUndefined();
  });

  test('reads as soon as the keys are there, acts only under its epoch and a lease', () => {
    const evidence = { lastBeatMsAgo: 700, lastSequence: 3, probesUnanswered: 3, witness: 'dead' as const };
    // long up: what it promised before its start is over
    const opening = { at: 'opening', from: 7, evidence } as const;
    let state: ProviderState = createProvider(terms, opening, 'boot-b', -10_000);
    let effects: readonly PartyEffect[];
    [state, effects] = step(
      state,
      {
        type: 'answer',
        method: 'open',
        ok: true,
        value: { opening: 1, releases: [{ holder: terms.central, share: { x: 1 } }] },
      },
      10,
    );
    expect(effects.map((effect) => effect.type)).toContain('openKeys');
    expect(providerDesires(state, 10)).toMatchObject({ service: 'active', fence: { state: 'shut' } });
    const record = { state: 'READY', epoch: 1, holder: terms.customer, released: false };
    [state] = step(state, { type: 'answer', method: 'record', ok: true, value: record }, 15);
    [state] = tickUntil(state, 20, 200, (seen) => calls(seen).includes('take'));
    [state] = step(
      state,
      { type: 'answer', method: 'take', ok: false, code: 'leaseRuns', retryInMs: 100 },
      220,
    );
    expect(state.phase.at).toBe('reading');
    [state] = step(
      state,
      { type: 'answer', method: 'take', ok: true, value: { epoch: 2, actAfterMs: 3000 } },
      400,
    );
    expect(state.phase).toEqual({ at: 'active', from: 7, epoch: 2 });
    expect(providerDesires(state, 500).fence).toEqual({ state: 'shut' });
    [state, effects] = step(state, { type: 'tick' }, 4000);
    const request = effects.find(
      (effect) => effect.type === 'send' && effect.datagram.kind === 'leaseRequest',
    );
    expect(request).toBeDefined();
    if (request?.type !== 'send' || request.datagram.kind !== 'leaseRequest') return;
    const { bootId, sequence } = request.datagram.body;
    const grant = {
      setId: 'bridge',
      epoch: 2,
      bootId,
      sequence,
      challenge: 'boot-c.0',
      leaseMs: terms.leaseMs,
      blocks: [],
    };
    [state] = step(
      state,
      { type: 'datagram', from: terms.central, datagram: { kind: 'leaseGrant', body: grant } },
      4010,
    );
    expect(providerDesires(state, 4020).fence).toMatchObject({
      state: 'open',
      epoch: 2,
      slot: 1,
      actUntil: 4000 + 2940,
    });
  });

  test('a lease from anyone but the central arbitrator is nothing', () => {
    const active = createProvider(terms, { at: 'active', from: 1, epoch: 2 }, 'boot-b', 0);
    const [ticked, effects] = step(active, { type: 'tick' }, 4000);
    const request = effects.find(
      (effect) => effect.type === 'send' && effect.datagram.kind === 'leaseRequest',
    );
    if (request?.type !== 'send' || request.datagram.kind !== 'leaseRequest')
      throw new TypeError('no lease request');
    const { bootId, sequence } = request.datagram.body;
    const grant = {
      setId: 'bridge',
      epoch: 2,
      bootId,
      sequence,
      challenge: 'boot-c.0',
      leaseMs: terms.leaseMs,
      blocks: [],
    };
    const [state] = step(
      ticked,
      { type: 'datagram', from: terms.customer, datagram: { kind: 'leaseGrant', body: grant } },
      4010,
    );
    expect(providerDesires(state, 4020).fence).toEqual({ state: 'shut' });
  });

  test('holds nothing against a customer that had no lease while its epoch was the provider’s', () => {
    const statement = { epoch: 2, from: 7, through: 90, devices: [], ringRoot: 'a'.repeat(64) };
    const stating = { at: 'stating', statement, counters: {} } as unknown as ProviderState['phase'];
    const fresh = createProvider(terms, stating, 'boot-b', 30_000);
    // its beats have said so for half a minute of back-off
    const served = { ...fresh, watch: { ...fresh.watch, fencedSince: 0 } };
    const stated = step(served, { type: 'answer', method: 'statement', ok: true, value: {} }, 30_050);
    expect(stated[0].phase.at).toBe('stated');
    expect(stated[1]).toContainEqual({ type: 'note', milestone: 'stated', detail: {} });
    const [watching, effects] = step(stated[0], tick, 30_060);
    expect(watching.watch.suspicion).toBeUndefined();
    expect(calls(effects)).not.toContain('witness');
  });

  test('gives way at once when the customer asks for its sensors, and when it is superseded', () => {
    const active = createProvider(terms, { at: 'active', from: 1, epoch: 2 }, 'boot-b', 0);
    expect(step(active, { type: 'returnAsked', epoch: 2 }, 10)[0].phase.at).toBe('releasing');
    expect(step(active, { type: 'returnAsked', epoch: 1 }, 10)[0].phase.at).toBe('active');
    const body = {
      setId: 'bridge',
      epoch: 2,
      bootId: 'boot-b',
      sequence: 0,
      challenge: 'boot-c.0',
      reason: 'superseded' as const,
      current: 3,
      holder: terms.customer,
    };
    const refused: PartyEvent = {
      type: 'datagram',
      from: terms.central,
      datagram: { kind: 'leaseRefused', body },
    };
    expect(step(active, refused, 10)[0].phase.at).toBe('releasing');
  });
});

describe('the fence that a party wants', () => {
  test('is open only for a time that is not over and not empty', () => {
    const time = fc.integer({ min: 0, max: 10_000 });
    const base = createActing(terms.leaseMs, 'boot', 0);
    fc.assert(
      fc.property(time, time, time, fc.integer({ min: 0, max: 2 }), (until, actFrom, now, epoch) => {
        const fence = fenceOf({ ...base, lease: { ...base.lease, until, actFrom, epoch } }, 0, now);
        const isOpen = epoch > 0 && until > actFrom && until > now;
        expect(fence).toEqual(
          isOpen ? { state: 'open', epoch, slot: 0, actFrom, actUntil: until } : { state: 'shut' },
        );
      }),
    );
  });
});

describe('the customer', () => {
  const step = (
    state: CustomerState,
    event: PartyEvent,
    now: number,
  ): [CustomerState, readonly PartyEffect[]] => {
    const turn = driveCustomer(state, event, now);
    return [turn.state, turn.effects];
  };
  const record = (epoch: number, holder: string, released = false): PartyEvent => ({
    type: 'answer',
    method: 'record',
    ok: true,
    value: { state: 'ACTIVE', epoch, holder, released },
  });

  test('whose contract is over leaves later epochs to other contracts', () => {
    const ended = { at: 'ended', epoch: 3 } as const;
    let state = createCustomer(terms, ended, 'boot-a', 0);
    const asking = step(state, { type: 'tick' }, 10);
    [state] = asking;
    const [request] = asking[1].flatMap((effect) =>
      effect.type === 'send' && effect.datagram.kind === 'leaseRequest' ? [effect.datagram.body] : [],
    );
    expect(request).toMatchObject({ epoch: 3 });
    const { reserve: _, ...asked } = request ?? { reserve: [] };
    const refused = { ...asked, reason: 'superseded', current: 5, holder: terms.provider };
    const datagram = { kind: 'leaseRefused', body: refused } as Extract<Datagram, { kind: 'leaseRefused' }>;
    [state] = step(state, { type: 'datagram', from: terms.central, datagram }, 20);
    [state] = step(state, record(5, terms.provider), 30);
    expect(state.phase).toEqual(ended);
    expect(customerDesires(state, 40).fence).toEqual({ state: 'shut' });
  });

  test('that comes back to a later epoch stands by, catches up, waits its back-off, and only then asks', () => {
    let state = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', -10_000);
    [state] = step(state, record(2, terms.provider), 100);
    expect(state.phase).toEqual({ at: 'recovering', epoch: 2 });
    expect(customerDesires(state, 100).fence).toEqual({ state: 'shut' });
    [state] = step(
      state,
      { type: 'observed', observed: { source: { pulledThrough: 9, caughtUp: true } } },
      200,
    );
    let effects: readonly PartyEffect[];
    [state, effects] = step(state, { type: 'tick' }, 600);
    expect(calls(effects)).not.toContain('return');
    [state, effects] = step(state, { type: 'tick' }, 1200);
    expect(calls(effects)).toContain('return');
    [state] = step(state, record(2, terms.provider, true), 1300);
    [state, effects] = step(state, { type: 'tick' }, 1310);
    expect(calls(effects)).toContain('take');
    [state] = step(
      state,
      { type: 'answer', method: 'take', ok: true, value: { epoch: 3, actAfterMs: 3000 } },
      1320,
    );
    expect(state.phase).toEqual({ at: 'retaken', epoch: 3, providerEpoch: 2 });
  });

  test('that is given its epoch while it may still have promised not to act asks for it once, and acts by the record when it may', () => {
    // just started: what it promised before is not over yet
    let state = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', 0);
    let effects: readonly PartyEffect[];
    [state] = step(state, record(2, terms.provider, true), 1300);
    [state, effects] = step(state, { type: 'tick' }, 1310);
    expect(calls(effects)).toContain('take');
    const taken = {
      type: 'answer',
      method: 'take',
      ok: true,
      value: { epoch: 3, actAfterMs: 3000 },
    } as const;
    [state] = step(state, taken, 1320);
    expect(state.phase.at).toBe('recovering');
    [state, effects] = step(state, { type: 'tick' }, 1900);
    expect(calls(effects)).toEqual(['record']);
    const ours = { state: 'RETURNING', epoch: 3, holder: terms.customer, released: false, activation: 2 };
    const given = (quietMs: number): PartyEvent => ({
      type: 'answer',
      method: 'record',
      ok: true,
      value: { ...ours, quietMs },
    });
    [state] = step(state, given(2400), 1910);
    expect(state.phase.at).toBe('recovering');
    [state, effects] = step(state, given(0), 4500);
    expect(state.phase).toEqual({ at: 'retaken', epoch: 3, providerEpoch: 2 });
    // by what it may have promised before its start, something may be on its way into the air until then
    const actAfterMs = Math.ceil(3000 * 1.02 + (3000 * 1.02) / 0.98 - 4500);
    expect(effects).toContainEqual({ type: 'note', milestone: 'retaken', detail: { epoch: 3, actAfterMs } });
  });

  test('that has just started is freed by nobody’s release of what it may have promised before: it does not know whom', () => {
    let state = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', 0);
    const handback = { epoch: 2, from: 4, through: 90 };
    const ours = { state: 'RETURNING', epoch: 3, holder: terms.customer, released: false, activation: 2 };
    const value = { ...ours, handback, lastRelease: { epoch: 2, bootId: 'boot-b' } };
    const phases = [1000, 3040, 3080].map((now) => {
      [state] = step(state, { type: 'answer', method: 'record', ok: true, value }, now);
      return state.phase.at;
    });
    expect(phases).toEqual(['recovering', 'recovering', 'retaken']);
  });

  test('states only what it has fetched through the end of the range handed back', () => {
    let state = createCustomer(terms, { at: 'retaken', epoch: 3, providerEpoch: 2 }, 'boot-a', 0);
    const answer = {
      state: 'RETURNING',
      epoch: 3,
      holder: terms.customer,
      released: false,
      handback: { epoch: 2, from: 4, through: 90 },
    };
    [state] = step(state, { type: 'answer', method: 'record', ok: true, value: answer }, 10);
    [state] = step(
      state,
      { type: 'observed', observed: { source: { pulledThrough: 89, caughtUp: false } } },
      20,
    );
    let effects: readonly PartyEffect[];
    [state, effects] = step(state, { type: 'tick' }, 30);
    expect(effects.some((effect) => effect.type === 'state')).toBe(false);
    [state] = step(
      state,
      { type: 'observed', observed: { source: { pulledThrough: 90, caughtUp: true } } },
      40,
    );
    [, effects] = step(state, { type: 'tick' }, 50);
    expect(effects).toContainEqual({ type: 'state', from: 4, through: 90, epoch: 2 });
  });

  test('answers probes of its provider and the central arbitrator, and of nobody else', () => {
    const state = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', 0);
    const probe = (from: typeof terms.central): PartyEvent => ({
      type: 'datagram',
      from,
      datagram: { kind: 'probe', body: { nonce: 'n1' } },
    });
    expect(step(state, probe(terms.central), 5)[1]).toHaveLength(1);
    expect(step(state, probe(terms.provider), 5)[1]).toHaveLength(1);
    expect(step(state, probe(newEdge()), 5)[1]).toHaveLength(0);
  });
});
