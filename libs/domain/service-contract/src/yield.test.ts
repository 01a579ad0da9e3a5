import { describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument, type Identity } from '@antirio/kernel';
import { centralStep, createCentral, type CentralQuestion } from './central.ts';
import {
  called,
  driveCustomer,
  driveProvider,
  recorded,
  refused,
  terms as shared,
  tick,
} from './contract.fixture.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import { mayAsk } from './customer-epochs.ts';
import { customerDesires } from './customer.ts';
import { heardOtherwise } from './detector.ts';
import type { Datagram } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';
import { providerDesires } from './provider.ts';
import {
  isWordNow,
  isWordOf,
  WORD_SLACK_MS,
  YIELD_KIND,
  type SignedWord,
  type YieldCause,
} from './yield-word.ts';

const customer = openIdentity(generateIdentity());
const terms = { ...shared, customer: customer.edgeId };

function wordBy(by: Identity, cause: YieldCause = 'planned', epoch = 1): SignedWord {
  const body = { contractId: terms.contractId, setId: terms.set.setId, epoch, cause, at: 5 };
  return { ...signDocument(by, YIELD_KIND, body), kind: YIELD_KIND };
}

const word = wordBy(customer);
const vigil = (more: { reads?: number }): Datagram => ({
  kind: 'vigil',
  body: { contractId: terms.contractId, nonce: 'n', ringNext: 1, phase: 'reading', ...more },
});
const ledgerSays = (value: object): PartyEvent => {
  const event = recorded({ holder: terms.customer, ...value });
  return event;
};

function customerAt(phase: CustomerPhase): CustomerState {
  return createCustomer(terms, phase, 'boot-a', 0);
}

function told(state: CustomerState, events: readonly (readonly [number, PartyEvent])[]) {
  let calls: string[] = [];
  let effects: readonly { readonly type: string }[] = [];
  for (const [at, event] of events) {
    const turn = driveCustomer(state, event, at);
    state = turn.state;
    effects = turn.effects;
    calls = [...calls, ...called(turn.effects)];
  }
  return { state, calls, effects: effects.map((one) => one.type) };
}

const asked: PartyEvent = { type: 'yieldAsked', word };
const fromProvider = (datagram: Datagram): PartyEvent => ({
  type: 'datagram',
  from: terms.provider,
  datagram,
});

describe('a customer that gives its service away', () => {
  test('acts until the provider says that it reads, and no longer', () => {
    const guarded = customerAt({ at: 'guarded', epoch: 1 });
    const { state, calls } = told(guarded, [
      [5, fromProvider(vigil({}))],
      [10, asked],
      [20, tick],
      [500, fromProvider(vigil({}))],
      [520, tick],
    ]);
    expect(state.phase).toEqual({ at: 'yielding', epoch: 1, word });
    expect(calls).toContain('yield');
    const done = told(state, [
      [600, fromProvider(vigil({ reads: 1 }))],
      [620, tick],
    ]);
    expect(done.state.phase).toEqual({ at: 'yielded', epoch: 1, word });
    expect(done.effects).toContain('giveUp');
    expect(customerDesires(done.state, 620).fence).toEqual({ state: 'shut' });
    const released = told(done.state, [
      [640, { type: 'givenUp', counters: { '00000000000000aa': 7 } }],
      [660, tick],
    ]);
    expect(released.calls).toContain('release');
  });

  test('says its word until its epoch is given up: what the provider read by may have been another one', () => {
    const { state } = told(customerAt({ at: 'guarded', epoch: 1 }), [
      [5, fromProvider(vigil({}))],
      [10, asked],
      [600, fromProvider(vigil({ reads: 1 }))],
      [620, tick],
    ]);
    expect(state.phase.at).toBe('yielded');
    // the bridge that would seal its counters is dead, and the provider reads no more
    const waiting = told(state, [
      [2000, fromProvider(vigil({}))],
      [2020, tick],
    ]);
    expect(waiting.calls).toContain('yield');
    const given: PartyEvent = { type: 'givenUp', counters: { '00000000000000aa': 7 } };
    const done = told(told(waiting.state, [[2500, given]]).state, [[2900, tick]]);
    expect(done.calls).not.toContain('yield');
  });

  test('takes no word of another epoch for its own', () => {
    const { state } = told(customerAt({ at: 'guarded', epoch: 2 }), [
      [5, fromProvider(vigil({}))],
      [10, asked],
    ]);
    expect(state.phase).toEqual({ at: 'guarded', epoch: 2 });
  });

  test('gives nothing to a provider that it does not hear', () => {
    const { state } = told(customerAt({ at: 'guarded', epoch: 1 }), [[10, asked]]);
    expect(state.phase).toEqual({ at: 'guarded', epoch: 1 });
  });

  test('goes on where a planned handover is not read in time', () => {
    const { state } = told(customerAt({ at: 'yielding', epoch: 1, word }), [
      [terms.yielding.boundMs - 1, tick],
      [terms.yielding.boundMs, tick],
    ]);
    expect(state.phase).toEqual({ at: 'guarded', epoch: 1 });
  });

  test('that is dying releases its epoch all the same', () => {
    const gasp = wordBy(customer, 'terminating');
    const { state } = told(customerAt({ at: 'guarded', epoch: 1 }), [
      [5, fromProvider(vigil({}))],
      [10, { type: 'yieldAsked', word: gasp }],
      [11 + terms.yielding.gaspBoundMs, tick],
    ]);
    expect(state.phase).toEqual({ at: 'yielded', epoch: 1, word: gasp });
  });

  test('that is ill and not taken over goes on acting, and asks more and more seldom', () => {
    const at: number[] = [];
    let acted = 0;
    let state = customerAt({ at: 'guarded', epoch: 1 });
    const until = 4 * 3_600_000;
    for (let now = 0; now < until; now += 500) {
      if (now % 1000 === 0) ({ state } = driveCustomer(state, fromProvider(vigil({})), now));
      const { epoch = 0 } = state.phase;
      const before: string = state.phase.at;
      const heat = { type: 'yieldAsked', word: wordBy(customer, 'heat', epoch) } as const;
      if (now % 5000 === 0) ({ state } = driveCustomer(state, heat, now));
      const after: string = state.phase.at;
      if (before === 'guarded' && after === 'yielding') at.push(now);
      ({ state } = driveCustomer(state, tick, now));
      if (state.phase.at === 'guarded' || state.phase.at === 'yielding') acted += 500;
    }
    expect([acted, state.phase.epoch]).toEqual([until, 1]);
    const pauses = at.slice(1).map((one, n) => (one - (at[n] ?? 0) - terms.yielding.boundMs) / 1000);
    expect(pauses.slice(0, 4)).toEqual([30, 60, 120, 240]);
    expect(pauses.at(-1)).toBe(3600);
  });

  test('that is held gives its service away as planned only', () => {
    const held: readonly (readonly [number, PartyEvent])[] = [
      [1, { type: 'held', held: true }],
      [5, fromProvider(vigil({}))],
    ];
    for (const cause of ['terminating', 'battery', 'heat', 'disk', 'deaf'] as const) {
      const gasp: PartyEvent = { type: 'yieldAsked', word: wordBy(customer, cause) };
      const { state } = told(customerAt({ at: 'guarded', epoch: 1 }), [...held, [10, gasp]]);
      expect([cause, state.phase.at]).toEqual([cause, 'guarded']);
    }
    const { state } = told(customerAt({ at: 'guarded', epoch: 1 }), [...held, [10, asked]]);
    expect(state.phase.at).toBe('yielding');
  });

  test('starts again as it was when a last gasp had come to nothing yet', () => {
    const gasp = wordBy(customer, 'battery');
    expect(customerAt({ at: 'yielding', epoch: 1, word: gasp }).phase).toEqual({ at: 'guarded', epoch: 1 });
    expect(customerAt({ at: 'recovering', epoch: 2, waits: 'start' }).phase).toEqual({
      at: 'recovering',
      epoch: 2,
    });
    expect(customerAt({ at: 'recovering', epoch: 2, waits: 'told' }).phase).toMatchObject({ waits: 'told' });
  });

  test('takes the epoch back where nobody wanted it', () => {
    const yielded = customerAt({ at: 'yielded', epoch: 1, word, counters: {} });
    const { state, calls } = told(yielded, [
      [10, ledgerSays({ released: true })],
      [7000, tick],
    ]);
    expect(calls).toContain('take');
    expect(calls).not.toContain('release');
    const back = told(state, [
      [7100, { type: 'answer', method: 'take', ok: true, value: { epoch: 2, actAfterMs: 3000 } }],
    ]);
    expect(back.state.phase).toEqual({ at: 'guarded', epoch: 2 });
  });

  const returning: readonly (readonly [number, PartyEvent])[] = [
    [10, { type: 'observed', observed: { source: { pulledThrough: 9, caughtUp: true } } }],
    [1500, fromProvider(vigil({}))],
    [2000, tick],
  ];

  test('that gave up for a disk that was full asks again once it takes writes', () => {
    const waiting = customerAt({ at: 'recovering', epoch: 2, waits: 'disk' });
    const withDisk = (storeOk: boolean) => ({ ...waiting, observed: { ...waiting.observed, storeOk } });
    expect([mayAsk(withDisk(false), 5), mayAsk(waiting, 5), mayAsk(withDisk(true), 5)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(mayAsk({ ...withDisk(true), held: true }, 5)).toBe(false);
  });

  test('asks for its sensors back only when it is told to', () => {
    const planned = customerAt({ at: 'recovering', epoch: 2, waits: 'told' });
    expect(told(planned, returning).calls).not.toContain('return');
    const back = told(planned, [[5, { type: 'returnTold', forced: false }], ...returning]);
    expect(back.state.phase).toEqual({ at: 'recovering', epoch: 2 });
    expect(back.calls).toContain('return');
  });

  test('and that is held does not come back by itself, but where it is forced', () => {
    const recovering = customerAt({ at: 'recovering', epoch: 2 });
    const held: readonly [number, PartyEvent] = [1, { type: 'held', held: true }];
    expect(told(recovering, [held, ...returning]).calls).not.toContain('return');
    const forced = told(recovering, [held, [20, { type: 'returnTold', forced: true }], [40, tick]]);
    expect(forced.calls).toContain('return');
  });
});

function providerAt(phase: ProviderPhase): ProviderState {
  const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 3, next: 5 } } };
  return driveProvider(createProvider(terms, phase, 'boot-b', 0), ring, 0).state;
}

const opened: PartyEvent = {
  type: 'answer',
  method: 'open',
  ok: true,
  value: { opening: 1, releases: [{ holder: terms.central, share: {} }] },
};

describe('a provider', () => {
  test('opens on the word of its customer, and says when it reads', () => {
    let { state } = driveProvider(providerAt({ at: 'ready' }), { type: 'takeOverAsked', word }, 10);
    expect(state.phase).toMatchObject({ at: 'opening', from: 3, evidence: { yielded: 'planned' } });
    const opening = driveProvider(state, tick, 20);
    expect(opening.effects).toContainEqual(
      expect.objectContaining({ type: 'call', method: 'open', args: expect.objectContaining({ word }) }),
    );
    ({ state } = driveProvider(opening.state, opened, 30));
    const active: PartyEvent = { type: 'observed', observed: { service: 'active' } };
    const reads = driveProvider(driveProvider(state, active, 40).state, tick, 60);
    expect(reads.effects).toContainEqual(
      expect.objectContaining({
        datagram: expect.objectContaining({ body: expect.objectContaining({ reads: 1 }) }),
      }),
    );
    expect(providerDesires(reads.state, 60).fence).toEqual({ state: 'shut' });
  });

  test('takes nobody else’s word', () => {
    const stranger = openIdentity(generateIdentity());
    const forged = { ...wordBy(stranger), by: customer.edgeId };
    for (const bad of [wordBy(stranger), forged]) {
      const { state } = driveProvider(providerAt({ at: 'ready' }), { type: 'takeOverAsked', word: bad }, 10);
      expect(state.phase.at).toBe('ready');
    }
  });

  test('waits for the release while the customer lives, and for no word that is withdrawn', () => {
    const reading = providerAt({ at: 'reading', from: 3, word });
    const known = driveProvider(reading, ledgerSays({}), 10).state;
    expect(called(driveProvider(known, tick, 100).effects)).not.toContain('take');
    const released = driveProvider(known, ledgerSays({ released: true }), 110).state;
    expect(called(driveProvider(released, tick, 120).effects)).toContain('take');
    const withdrawn = { ...known, word: { ...known.word, stands: false } };
    expect(called(driveProvider(withdrawn, tick, 400).effects)).not.toContain('take');
    expect(called(driveProvider(withdrawn, tick, 2100).effects)).toContain('take');
  });

  test('takes where its customer says that it acts no more, but for what it said before its word: then it may have waited to act', () => {
    const { watch, ...standing } = providerAt({ at: 'stated', from: 3, epoch: 0 });
    const silent = { ...standing, watch: { ...watch, fencedSince: 100 } };
    const { state } = driveProvider(silent, { type: 'takeOverAsked', word }, 3000);
    const reading = driveProvider(driveProvider(state, opened, 3010).state, ledgerSays({}), 3020).state;
    const callsAt = (now: number) => {
      const detector = heardOtherwise(reading.watch.detector, now);
      return called(driveProvider({ ...reading, watch: { ...reading.watch, detector } }, tick, now).effects);
    };
    expect(reading.phase.at).toBe('reading');
    expect([callsAt(3040), callsAt(4980)].flat()).not.toContain('take');
    expect(callsAt(5000)).toContain('take');
  });

  test('goes on with a word that is still given where its customer’s lease was renewed by a request that came late, and not for ever', () => {
    const reading = driveProvider(providerAt({ at: 'reading', from: 3, word }), ledgerSays({}), 10).state;
    const phaseAfter = (state: ProviderState, now: number): string =>
      driveProvider(state, refused('take', 'customerHolds'), now).state.phase.at;
    expect([phaseAfter(reading, 3000), phaseAfter(reading, 40_000)]).toEqual(['reading', 'ready']);
    const withdrawn = { ...reading, word: { ...reading.word, stands: false } };
    expect(phaseAfter(withdrawn, 3000)).toBe('ready');
    expect(phaseAfter({ ...reading, phase: { at: 'reading', from: 3 } }, 3000)).toBe('ready');
  });

  test('does not go on with a word that central refused, however often it is said', () => {
    const opening = driveProvider(providerAt({ at: 'ready' }), { type: 'takeOverAsked', word }, 10).state;
    const { state } = driveProvider(opening, refused('open', 'staleWord'), 20);
    expect(state.phase.at).toBe('ready');
    expect(driveProvider(state, { type: 'takeOverAsked', word }, 30).state.phase.at).toBe('ready');
  });

  test('tries a word that was of another time for central once more after a while, and none that it refused for good', () => {
    const opening = driveProvider(providerAt({ at: 'ready' }), { type: 'takeOverAsked', word }, 10).state;
    const after = (code: string, now: number) => {
      const { state } = driveProvider(opening, refused('open', code), 20);
      return driveProvider(state, { type: 'takeOverAsked', word }, now).state.phase.at;
    };
    expect(after('staleWord', 10_019)).toBe('ready');
    expect(after('staleWord', 10_020)).toBe('opening');
    expect(after('notAgreed', 3_600_000)).toBe('ready');
  });

  test('that is held tells what it sees, and takes over only as it is told', () => {
    let { state } = driveProvider(providerAt({ at: 'ready' }), { type: 'held', held: true }, 1);
    for (let now = 20; now < 3000; now += 20) {
      const turn = driveProvider(state, tick, now);
      state = turn.state;
      if (!called(turn.effects).includes('witness')) continue;
      const heard = { type: 'answer', method: 'witness', ok: true, value: { heard: false } } as const;
      ({ state } = driveProvider(state, heard, now));
    }
    expect(state.phase.at).toBe('ready');
    const gasp: PartyEvent = { type: 'takeOverAsked', word: wordBy(customer, 'heat') };
    expect(driveProvider(state, gasp, 3000).state.phase.at).toBe('ready');
    expect(driveProvider(state, { type: 'takeOverAsked', word }, 3000).state.phase.at).toBe('opening');
    expect(driveProvider(state, { type: 'takeoverTold', by: 'ann' }, 3000).state.phase.at).toBe('opening');
  });
});

describe('the central arbitrator', () => {
  const record = { epoch: 1, holder: terms.customer, released: false };

  test('takes a word for one epoch of one contract, of its customer only', () => {
    expect(isWordOf(word, terms, record)).toBe(true);
    expect(isWordOf(word, terms, { ...record, epoch: 2 })).toBe(false);
    expect(isWordOf(word, terms, { ...record, holder: terms.provider })).toBe(false);
    expect(isWordOf(word, { ...terms, contractId: '00000000-0000-4000-8000-000000000000' })).toBe(false);
    expect(isWordOf({ ...word, body: { ...word.body, cause: 'heat' } }, terms)).toBe(false);
  });

  test('takes no word that the customer waits for no more, unless the epoch is given up', () => {
    const last = word.body.at + terms.yielding.boundMs + WORD_SLACK_MS;
    expect(isWordNow(word, terms, record, last)).toBe(true);
    expect(isWordNow(word, terms, record, last + 1)).toBe(false);
    expect(isWordNow(word, terms, record, word.body.at - WORD_SLACK_MS - 1)).toBe(false);
    expect(isWordNow(word, terms, { ...record, released: true }, last + 1)).toBe(true);
    expect(isWordNow(word, terms, { ...record, epoch: 2, released: true }, last)).toBe(false);
  });

  const openings = (said: 'counts' | 'stale' | undefined): string[] => {
    const plain = { method: 'open', terms, life: 'READY', record } as const;
    const question: CentralQuestion = said === undefined ? plain : { ...plain, word: said };
    const context = { now: 10, nonce: () => 'nonce' };
    const [, effects] = centralStep(createCentral('boot', 0), { type: 'asked', id: '1', question }, context);
    return effects.map((effect) => effect.type);
  };

  test('opens on it without asking whether the customer is dead, and on no other', () => {
    expect(openings('counts')).toEqual(['submit']);
    expect(openings('stale')).toEqual(['answer']);
    expect(openings(undefined)).toEqual([]);
  });
});
