import { describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument } from '@antirio/kernel';
import { called, driveCustomer, driveProvider, recorded, terms as shared } from './contract.fixture.ts';
import { isStable, mayAsk } from './customer-epochs.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import { backoffLeftMs } from './flapping.ts';
import {
  customerFullDrillTurn,
  providerFullDrillTurn,
  type CustomerFullDrillView,
  type FullDrillLedger,
  type ProviderFullDrillView,
} from './full-drill-turns.ts';
import {
  MOST_FULL_DRILLS_A_MONTH,
  drillWordMs,
  fullDrillDueAt,
  fullDrillTimes,
  fullDrillVerdict,
  type FullDrill,
} from './full-drill.ts';
import { drillTerms } from './drill.ts';
import type { PartyEvent } from './party.ts';
import { createProvider } from './provider-state.ts';
import type { ContractTerms } from './terms.ts';
import { WORD_SLACK_MS, YIELD_KIND, isWordNow, type SignedWord } from './yield-word.ts';

const customer = openIdentity(generateIdentity());
const SERVES_MS = 4000;
const terms: ContractTerms = {
  ...shared,
  customer: customer.edgeId,
  returnBackoffMs: 60_000,
  drills: drillTerms.parse({ maxMs: 40_000, full: { everyS: 100, servesMs: SERVES_MS } }),
};
const body = {
  contractId: terms.contractId,
  setId: terms.set.setId,
  epoch: 1,
  cause: 'drill',
  at: 5,
} as const;
const word: SignedWord = { ...signDocument(customer, YIELD_KIND, body), kind: YIELD_KIND };
const asked: PartyEvent = { type: 'yieldAsked', word };
const fromProvider: PartyEvent = {
  type: 'datagram',
  from: terms.provider,
  datagram: {
    kind: 'vigil',
    body: { contractId: terms.contractId, nonce: 'n', ringNext: 1, phase: 'ready' },
  },
};

function customerAt(phase: CustomerPhase, of = terms): CustomerState {
  return createCustomer(of, phase, 'boot-a', 0);
}

/** One that its provider was heard by just now. */
function guarded(of = terms): CustomerState {
  return driveCustomer(customerAt({ at: 'guarded', epoch: 1 }, of), fromProvider, 5).state;
}

describe('a customer in a full drill', () => {
  test('gives its word where its terms know it, and waits for the time that its provider has', () => {
    let { state } = driveCustomer(guarded(), asked, 10);
    expect(state.phase.at).toBe('yielding');
    state = driveCustomer(state, { type: 'tick' }, 39_000).state;
    expect(state.phase.at).toBe('yielding');
    state = driveCustomer(state, { type: 'tick' }, 10 + drillWordMs(terms)).state;
    expect(state.phase.at).toBe('guarded');
    // neither the next word, nor a gasp, waits for it
    expect(state.yieldPause).toBeUndefined();
    const without = { ...terms, drills: drillTerms.parse({}) };
    expect(driveCustomer(guarded(without), asked, 10).state.phase.at).toBe('guarded');
  });

  test('gives it neither held, nor strained, nor in a window, nor with a disk that takes nothing', () => {
    const time = 1_000_000;
    const ledgerClock = { time, at: 10 };
    const windows = [{ from: time - 1000, until: time + 60_000 }];
    const open = { ...terms, activation: { ...terms.activation, events: ['schedule' as const], windows } };
    const refusing: CustomerState[] = [
      { ...guarded(), held: true },
      { ...guarded(), strain: { overSince: 1, calmSince: undefined, awayAt: -Infinity } },
      { ...guarded(), observed: { storeOk: false } },
      { ...guarded(open), ledgerClock },
    ];
    for (const state of refusing) expect(driveCustomer(state, asked, 10).state.phase.at).toBe('guarded');
  });

  test('asks for its service when it was served for long enough, without any back-off, and at once when told', () => {
    const yielded = customerAt({ at: 'yielded', epoch: 1, word, counters: {} });
    const record = recorded({ epoch: 2, holder: terms.provider, state: 'ACTIVE', activation: 2 });
    const { state } = driveCustomer(yielded, record, 1000);
    expect(state.phase).toEqual({ at: 'recovering', epoch: 2, waits: 'drill' });
    expect(state.flaps.failures).toBe(0);
    expect(backoffLeftMs(state, 1001)).toBe(0);
    expect(mayAsk(state, 1000 + SERVES_MS - 1)).toBe(false);
    const caughtUp: PartyEvent = {
      type: 'observed',
      observed: { source: { pulledThrough: 0, caughtUp: true } },
    };
    const ready = driveCustomer(state, caughtUp, 2000).state;
    const asks = (now: number, one = ready) => called(driveCustomer(one, { type: 'tick' }, now).effects);
    expect(asks(1000 + SERVES_MS - 1)).not.toContain('return');
    expect(asks(1000 + SERVES_MS)).toContain('return');
    const broken = { ...ready, observed: { ...ready.observed, storeOk: false } };
    expect(asks(1000 + SERVES_MS, broken)).not.toContain('return');
    const told = driveCustomer(ready, { type: 'returnTold', forced: false }, 2000).state;
    expect(asks(2001, told)).toContain('return');
  });

  test('that starts anew meanwhile comes back as from any failure', () => {
    const state = customerAt({ at: 'recovering', epoch: 2, waits: 'drill' });
    expect(state.phase).toEqual({ at: 'recovering', epoch: 2 });
    expect(isStable(state, SERVES_MS)).toBe(false);
  });
});

test('a provider that is held takes no word for a full drill, and any other one does', () => {
  const ready = createProvider(terms, { at: 'ready' }, 'boot-b', 0);
  const seen = { ...ready, observed: { ring: { from: 1, next: 4 } } };
  const event: PartyEvent = { type: 'takeOverAsked', word };
  expect(driveProvider(seen, event, 10).state.phase.at).toBe('opening');
  expect(driveProvider({ ...seen, held: true }, event, 10).state.phase.at).toBe('ready');
});

test('a word for a full drill counts at the centre for as long as the provider has for it', () => {
  const record = { epoch: 1, holder: terms.customer, released: false };
  const last = 5 + drillWordMs(terms) + WORD_SLACK_MS;
  expect(isWordNow(word, terms, record, last)).toBe(true);
  expect(isWordNow(word, terms, record, last + 1)).toBe(false);
});

const drill: FullDrill = {
  ...{ number: 1, state: 'asked', word, epoch: 1, openings: 0, askedAt: 1000, counts: true },
};
const facts = { epoch: 1, openings: 0, over: false, life: 'READY', now: 1000 };
const late = { ...facts, now: 1001 + drillWordMs(terms) };

describe('of a full drill that nobody serves', () => {
  test('only what the ledger has seen counts, and only after two words', () => {
    const verdict = (one: Partial<FullDrill>, then: object = late) =>
      fullDrillVerdict(terms, { ...drill, ...one }, { ...late, ...then });
    expect(verdict({}, facts)).toEqual({ state: 'open' });
    expect(verdict({})).toEqual({ state: 'again' });
    expect(verdict({ askedAt: 0, lastCallAt: 1000 })).toEqual({ state: 'failed', reason: 'notOpened' });
    expect(verdict({ askedAt: 0, lastCallAt: 1000 }, { openings: 1 })).toMatchObject({ reason: 'notRead' });
    const openAsked = { at: 1100, root: { root: '', count: 0, through: 0 }, signature: '' };
    expect(verdict({ openAsked })).toEqual({ state: 'again' });
    expect(verdict({ askedAt: 0, lastCallAt: 1000, openAsked })).toEqual({ state: 'void', reason: 'notLet' });
    expect(verdict({}, { life: 'DEGRADED' })).toEqual({ state: 'void', reason: 'degraded' });
    expect(verdict({}, { epoch: 2 })).toEqual({ state: 'void', reason: 'takeover' });
    expect(verdict({}, { over: true })).toEqual({ state: 'void', reason: 'contractOver' });
    expect(verdict({ state: 'serving' }, { epoch: 2 })).toEqual({ state: 'open' });
  });

  test('the times are told from the newest word on', () => {
    const served = { ...drill, lastCallAt: 5000, openedAt: 5300, served: { epoch: 2, at: 6000 } };
    expect(fullDrillTimes(served)).toMatchObject({ openedMs: 300, epochMs: 1000, askedBackMs: undefined });
  });
});

const counts = { started: 0, passed: 0, failed: 0, void: 0, month: 0, thisMonth: 0 };
const calm: FullDrillLedger = {
  ...facts,
  validatedAt: 0,
  takenAt: 0,
  counts,
  newest: undefined,
  now: 99_999,
};

describe('what a customer does next', () => {
  type Changes = Partial<Omit<CustomerFullDrillView, 'ledger'>> & { ledger?: Partial<FullDrillLedger> };
  const view = (changes: Changes = {}) =>
    customerFullDrillTurn({
      ...{ terms, phase: 'guarded', held: false, secret: 'ab'.repeat(16) },
      ...{ told: false, healthy: true, acts: true, othersMove: false, awaitsKeys: 0, ...changes },
      ledger: { ...calm, ...changes.ledger },
    });

  test('is to ask for one where it is due, or told, once in each stretch', () => {
    const dueAt = fullDrillDueAt(100, 0, 0, 'ab'.repeat(16));
    expect(dueAt).toBeGreaterThan(0);
    expect(dueAt).toBeLessThan(100_000);
    expect(view()).toEqual({ turn: 'ask', drill: 1 });
    expect(view({ ledger: { now: Math.floor(dueAt) - 1 } })).toMatchObject({ why: 'notDue' });
    expect(view({ ledger: { counts: { ...counts, judgedIn: 0 } } })).toMatchObject({ why: 'notDue' });
    expect(view({ told: true, ledger: { counts: { ...counts, judgedIn: 0 } } })).toMatchObject({
      turn: 'ask',
    });
    const operators = { ...terms, drills: drillTerms.parse({ full: {} }) };
    expect(view({ terms: operators })).toMatchObject({ why: 'notDue' });
    const none = { ...terms, drills: drillTerms.parse({}) };
    expect(view({ terms: none, told: true })).toEqual({ turn: 'wait' });
  });

  test.each([
    ['notReady', { ledger: { life: 'DEGRADED' } }],
    ['notGuarded', { phase: 'recovering' }],
    ['held', { held: true }],
    ['gateways', { healthy: false }],
    ['gateways', { othersMove: true }],
    ['rekeying', { awaitsKeys: 1, ledger: { life: 'READY_EXPOSED' } }],
    ['backOff', { ledger: { takenAt: 99_000 } }],
    ['notActing', { acts: false }],
    ['tooMany', { ledger: { counts: { ...counts, thisMonth: MOST_FULL_DRILLS_A_MONTH } } }],
  ] as const)('is to begin none: %s', (why, changes) => {
    expect(view({ told: true, ...(changes as object) })).toEqual({ turn: 'wait', why });
  });

  test('is to give the word that the ledger has, to give a second one, and to end what came to nothing', () => {
    const newest = { ...drill, askedAt: 99_000 };
    expect(view({ ledger: { newest } })).toEqual({ turn: 'give', word });
    expect(view({ phase: 'yielding', ledger: { newest } })).toMatchObject({ why: 'underWay' });
    expect(view({ held: true, ledger: { newest } })).toEqual({ turn: 'end', drill: 1, givenUp: true });
    expect(view({ ledger: { newest: drill } })).toEqual({ turn: 'ask', drill: 1 });
    expect(view({ acts: false, ledger: { newest: drill } })).toEqual({ turn: 'ask', drill: 1 });
    const twice = { ...drill, lastCallAt: 2000 };
    expect(view({ ledger: { newest: twice } })).toEqual({ turn: 'end', drill: 1, givenUp: false });
  });

  test('is to ask its service back on the ledger once, when it was served for long enough', () => {
    const newest: FullDrill = { ...drill, state: 'serving', served: { epoch: 2, at: 99_999 - SERVES_MS } };
    const at = (one: FullDrill, more: object = {}) =>
      view({ phase: 'recovering', ledger: { epoch: 2, newest: one }, ...more });
    expect(at(newest)).toEqual({ turn: 'back', epoch: 2 });
    expect(at({ ...newest, askedBackAt: 99_999 }).turn).toBe('wait');
    expect(at({ ...newest, served: { epoch: 2, at: 99_998 } }).turn).toBe('wait');
    expect(at(newest, { held: true }).turn).toBe('wait');
    // its provider would let go of what nobody then serves
    expect(at(newest, { healthy: false }).turn).toBe('wait');
    expect(at(newest, { othersMove: true }).turn).toBe('back');
  });
});

describe('what a provider does next', () => {
  const newest: FullDrill = { ...drill, askedAt: 99_000 };
  const view = (changes: Partial<ProviderFullDrillView>, one: FullDrill | undefined = newest) =>
    providerFullDrillTurn({
      ...{ terms, phase: 'ready', held: false, epoch: undefined, firstReadingMs: undefined },
      ...changes,
      ledger: { ...calm, newest: one },
    });

  test('is to take the word that the ledger has, or to say that it is held', () => {
    expect(view({})).toEqual({ turn: 'hear', word });
    expect(view({ phase: 'opening' })).toEqual({ turn: 'wait' });
    expect(view({ held: true })).toEqual({ turn: 'decline', drill: 1 });
    expect(view({}, drill)).toEqual({ turn: 'wait' });
    expect(view({}, { ...newest, state: 'passed' })).toEqual({ turn: 'wait' });
  });

  test.each(['opening', 'ready', 'stated'])(
    'is to ask on the ledger where nothing is opened, also after the centre has refused the word: %s',
    (phase) => {
      const waited: FullDrill = { ...drill, askedAt: 99_999 - drillWordMs(terms) / 4 };
      const asks = { turn: 'askOpen', drill: 1 };
      expect(view({ phase }, waited)).toEqual(asks);
      expect(view({ phase }, { ...waited, askedAt: 0, lastCallAt: waited.askedAt })).toEqual(asks);
      expect(view({ phase, held: true }, waited).turn).not.toBe('askOpen');
      expect(view({ phase }, { ...waited, askedAt: waited.askedAt + 1 }).turn).not.toBe('askOpen');
      const openAsked = { at: 99_000, root: { root: '', count: 0, through: 0 }, signature: '' };
      expect(view({ phase }, { ...waited, openAsked }).turn).not.toBe('askOpen');
    },
  );

  test('is to tell when it read, and to give back what is asked for on the ledger, under its own epoch alone', () => {
    const serving: FullDrill = { ...newest, state: 'serving', served: { epoch: 2, at: 99_500 } };
    const active = { phase: 'active', epoch: 2 };
    expect(view(active, serving)).toEqual({ turn: 'wait' });
    const read = { ...active, firstReadingMs: 700 };
    expect(view(read, serving)).toEqual({ turn: 'tell', drill: 1, firstReadingMs: 700 });
    const askedBack = { ...serving, askedBackAt: 99_900 };
    expect(view(active, askedBack)).toEqual({ turn: 'giveBack', epoch: 2 });
    expect(view({ phase: 'active', epoch: 4 }, askedBack)).toEqual({ turn: 'wait' });
  });
});
