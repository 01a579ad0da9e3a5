import { describe, expect, test } from '@jest/globals';
import { activationTerms, mayGiveFor, opensWhenOffline } from './activation.ts';
import { neverTookOver } from './breach.ts';
import { centralStep, createCentral } from './central.ts';
import { activationIn, eventFieldsOf, withinSilence } from './configured-activation.ts';
import {
  called,
  driveCustomer,
  driveProvider,
  recorded,
  refused,
  terms as shared,
  tick,
} from './contract.fixture.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import { mayAsk } from './customer-epochs.ts';
import { ledgerTime } from './customer-schedule.ts';
import { createProvider, type ProviderState } from './provider-state.ts';
import { windowAfter, windowAt } from './schedule.ts';
import { contractTerms, readTerms, type ContractTerms } from './terms.ts';

const HOUR = 3_600_000;
/** A Saturday, 00:00 UTC. */
const SATURDAY = Date.UTC(2026, 10, 21);

const under = (activation: object): ContractTerms => ({
  ...shared,
  activation: activationTerms.parse(activation),
});

describe('what a configuration.json says about events', () => {
  test.each([['offline'], ['manual'], ['offline,manual']])('%s comes back as it was', (activationEvent) => {
    const { activation } = activationIn({ activationEvent, event: { interval: '20', ip: '' } });
    expect(activation.events).toEqual(activationEvent.split(','));
    expect(activationIn(eventFieldsOf(activation)).activation).toEqual(activation);
  });

  test('windows, takeovers and the interval come under the names of Algorithm 2 as well', () => {
    const windows = [{ from: '22:00', until: '06:00', days: ['fri'] }];
    const said = { event_type: 'schedule', event_conditions: { interval: '3', windows, takeovers: '4' } };
    const found = activationIn(said);
    expect(found).toEqual({ activation: { events: ['schedule'], windows, takeovers: 4 }, silenceMs: 3000 });
    expect(activationIn(eventFieldsOf(found.activation)).activation).toEqual(found.activation);
  });

  test.each([
    ['an event that nobody knows', { activationEvent: 'sometimes' }],
    ['a schedule without a window', { activationEvent: 'schedule' }],
    ['a window without a schedule', { event: { windows: [{ from: 0, until: 5000 }] } }],
    ['a window of no length', { activationEvent: 'schedule', event: { windows: [{ from: 5, until: 5 }] } }],
    ['an event named twice', { activationEvent: 'offline, offline' }],
  ])('%s is refused', (_name, configuration) => {
    expect(() => activationIn(configuration)).toThrow(/^configuration\.json: /);
  });

  test('the interval bounds the silence before suspicion, and never makes it longer', () => {
    const patience = { heartbeatIntervalMs: 5000, missedBeats: 3 };
    expect(withinSilence(patience, 3000)).toEqual({ heartbeatIntervalMs: 1000, missedBeats: 3 });
    expect(withinSilence(patience, 60_000)).toEqual(patience);
    expect(withinSilence(patience, undefined)).toEqual(patience);
  });

  test('terms from before are about a customer that is offline', () => {
    const { activation: _later, ...before } = contractTerms.parse(shared);
    expect(readTerms(before as ContractTerms).activation.events).toEqual(['offline']);
  });
});

describe('windows', () => {
  const night = { from: '22:00', until: '06:00' };
  test('a daily window reaches over midnight', () => {
    const open = { from: SATURDAY + 22 * HOUR, until: SATURDAY + 30 * HOUR };
    expect(windowAt([night], SATURDAY + 23 * HOUR)).toEqual(open);
    expect(windowAt([night], SATURDAY + 29 * HOUR)).toEqual(open);
    expect(windowAt([night], open.until)).toBeUndefined();
    expect(windowAfter([night], SATURDAY + 12 * HOUR)).toEqual(open);
  });

  test('a weekly one begins on its days only', () => {
    const weekly = { ...night, days: ['sat' as const] };
    expect(windowAt([weekly], SATURDAY + 25 * HOUR)).toBeDefined();
    expect(windowAt([weekly], SATURDAY + 47 * HOUR)).toBeUndefined();
    expect(windowAfter([weekly], SATURDAY + 25 * HOUR)?.from).toBe(SATURDAY + (7 * 24 + 22) * HOUR);
  });

  test('of two that overlap the later end counts', () => {
    const windows = [
      { from: 1000, until: 5000 },
      { from: 2000, until: 9000 },
    ];
    expect(windowAt(windows, 3000)?.until).toBe(9000);
    expect(windowAt(windows, 999)).toBeUndefined();
  });
});

describe('a customer with a schedule', () => {
  const from = 1_000_000;
  const scheduled = under({ events: ['schedule'], windows: [{ from, until: from + 60_000 }] });
  const at = (phase: Parameters<typeof createCustomer>[1]): CustomerState =>
    createCustomer(scheduled, phase, 'boot-a', 0);
  const words = (state: CustomerState, now: number): unknown[] =>
    driveCustomer(state, tick, now).effects.filter((one) => one.type === 'lastGasp');
  const timed = (state: CustomerState, time: number, now: number, more = {}): CustomerState =>
    driveCustomer(state, recorded({ holder: scheduled.customer, time, ...more }), now).state;

  test('gives its word by itself when a window begins by the ledger’s time, and again once a second', () => {
    const unsure = at({ at: 'guarded', epoch: 1 });
    expect(words(unsure, 5000)).toEqual([]);
    const state = timed(unsure, from - 1000, 100);
    expect(words(state, 1099)).toEqual([]);
    expect(words(state, 1100)).toEqual([{ type: 'lastGasp', cause: 'schedule' }]);
    const said = driveCustomer(state, tick, 1100).state;
    expect(words(said, 1900)).toEqual([]);
    expect(words(said, 2100)).toHaveLength(1);
    expect(words({ ...state, held: true }, 1100)).toEqual([]);
    expect(words(state, 1100 + 60_000)).toEqual([]);
  });

  test('counts the ledger’s time on from when the centre told it, and knows none before', () => {
    const unsure = at({ at: 'guarded', epoch: 1 });
    expect(ledgerTime(unsure, 5000)).toBeUndefined();
    const state = timed(unsure, from, 100);
    expect([ledgerTime(state, 100), ledgerTime(state, 20_100.5)]).toEqual([from, from + 20_000]);
    expect(ledgerTime(timed(state, from - 600_000, 200), 300)).toBe(from - 600_000 + 100);
  });

  test('asks for its service back when the window ends, not before, and not where it cannot know', () => {
    const away = at({ at: 'recovering', epoch: 2, waits: 'window' });
    expect(mayAsk(away, 100)).toBe(false);
    const state = timed(away, from + 1000, 100, { epoch: 2, holder: scheduled.provider });
    expect(mayAsk(state, 200)).toBe(false);
    expect(mayAsk(state, 59_101)).toBe(true);
    expect(mayAsk({ ...state, held: true }, 59_101)).toBe(false);
  });

  test('its operator ends the window for it', () => {
    const away = at({ at: 'recovering', epoch: 2, waits: 'window' });
    const state = timed(away, from + 1000, 100, { epoch: 2, holder: scheduled.provider });
    const told = driveCustomer(state, { type: 'returnTold', forced: false }, 200).state;
    expect(mayAsk(told, 200)).toBe(true);
    const back: CustomerState = { ...told, phase: { at: 'guarded', epoch: 3 } };
    expect(words(back, 5000)).toEqual([]);
  });

  test('is on guard again where the contract goes on after a takeover', () => {
    const stated = at({ at: 'stated', epoch: 3 });
    const next = { epoch: 3, holder: scheduled.customer };
    expect(timed(stated, 5, 100, { ...next, state: 'RETURNING' }).phase.at).toBe('stated');
    expect(timed(stated, 5, 100, { ...next, state: 'READY_EXPOSED' }).phase.at).toBe('guarded');
  });
});

describe('where the customer did not agree to be taken over when it is offline', () => {
  const onWord = under({ events: ['manual'] });
  const watching = (terms: ContractTerms): ProviderState => {
    const ring = { type: 'observed', observed: { ring: { from: 1, next: 1 } } } as const;
    return driveProvider(createProvider(terms, { at: 'ready' }, 'boot-b', 0), ring, 0).state;
  };
  const askedIn = (terms: ContractTerms): string[] => {
    let state = watching(terms);
    let asked: string[] = [];
    for (let now = 0; now < 3000; now += 20) {
      const turn = driveProvider(state, tick, now);
      state = turn.state;
      asked = [...asked, ...called(turn.effects)];
    }
    return asked;
  };

  test('its provider suspects nobody, and an operator there cannot take over', () => {
    expect(askedIn(shared)).toContain('witness');
    expect(askedIn(onWord)).not.toContain('witness');
    const told = { type: 'takeoverTold', by: 'key' } as const;
    expect(driveProvider(watching(shared), told, 10).state.phase.at).toBe('opening');
    expect(driveProvider(watching(onWord), told, 10).state.phase.at).toBe('ready');
  });

  test.each(['witnessed', 'autonomous'] as const)(
    'the centre opens nothing without its word: %s',
    (opening) => {
      const terms = { ...onWord, opening };
      const record = { epoch: 1, holder: terms.customer, released: false };
      const asked = (more: object) => {
        const question = { method: 'open', terms, life: 'READY', record, ...more } as const;
        const context = { now: 10_000, nonce: () => 'n' };
        return centralStep(createCentral('b', 0), { type: 'asked', id: '1', question }, context)[1];
      };
      expect(asked({})).toMatchObject([{ answer: { kind: 'refused', reason: 'notAgreed' } }]);
      expect(asked({ word: 'counts' })).toMatchObject([{ type: 'submit' }]);
    },
  );

  test('a provider that asked all the same watches on', () => {
    const evidence = { lastBeatMsAgo: 1, lastSequence: 1, probesUnanswered: 0, witness: 'unasked' } as const;
    const opening = createProvider(onWord, { at: 'opening', from: 1, evidence }, 'boot-b', 0);
    expect(driveProvider(opening, refused('open', 'notAgreed'), 10).state.phase.at).toBe('ready');
  });

  test('nobody is in breach for having stayed where he was', () => {
    const record = { epoch: 1, holder: shared.customer, released: false };
    const promise = { epoch: 1, until: 0, holder: shared.customer };
    expect(neverTookOver(shared, 'READY', record, promise, 120_000)).toBe(120_000);
    expect(neverTookOver(onWord, 'READY', record, promise, 120_000)).toBeUndefined();
  });

  test('a customer gives its word for what was agreed, and always for its operator', () => {
    const causes = ['planned', 'schedule', 'overload', 'terminating', 'disk'] as const;
    const given = (terms: ContractTerms) => causes.filter((cause) => mayGiveFor(terms, cause));
    expect(given(shared)).toEqual(['planned', 'terminating', 'disk']);
    expect(given(onWord)).toEqual(['planned']);
    expect(opensWhenOffline(onWord)).toBe(false);
  });
});
