import { expect, test } from '@jest/globals';
import { activationTerms } from './activation.ts';
import { activationIn, eventFieldsOf } from './configured-activation.ts';
import { driveCustomer, terms as shared, tick } from './contract.fixture.ts';
import { mayAsk } from './customer-epochs.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import type { Load } from './overload.ts';

const limits = { cpuPermille: 900, queue: 1000, forMs: 5000, calmForMs: 4000, restMs: 60_000 };
const terms = {
  ...shared,
  activation: activationTerms.parse({ events: ['overload'], overload: limits }),
};

const at = (phase: CustomerPhase): CustomerState => createCustomer(terms, phase, 'boot-a', 0);
const feeling = (state: CustomerState, load: Load, now: number): CustomerState =>
  driveCustomer(state, { type: 'observed', observed: { load } }, now).state;
const words = (state: CustomerState, now: number): unknown[] =>
  driveCustomer(state, tick, now).effects.filter((one) => one.type === 'lastGasp');

const over = { cpuPermille: 950 };
const between = { cpuPermille: 800 };
const calm = { cpuPermille: 100, queue: 10 };
const word = [{ type: 'lastGasp', cause: 'overload' }];
const away: CustomerPhase = { at: 'recovering', epoch: 2, waits: 'calm' };

test('a customer gives its word once it has been over a threshold for long enough, whichever it is', () => {
  const state = feeling(at({ at: 'guarded', epoch: 1 }), over, 1000);
  expect(words(state, 5999)).toEqual([]);
  expect(words(state, 6000)).toEqual(word);
  expect(words({ ...state, held: true }, 6000)).toEqual([]);
  expect(words(feeling(at({ at: 'guarded', epoch: 1 }), { ...calm, queue: 1000 }, 1000), 6000)).toEqual(word);
});

test('what falls below the threshold in between begins anew', () => {
  let state = feeling(at({ at: 'guarded', epoch: 1 }), over, 1000);
  state = feeling(feeling(state, between, 3000), over, 4000);
  expect(words(state, 6000)).toEqual([]);
  expect(words(state, 9000)).toEqual(word);
});

test('what could not be measured changes nothing', () => {
  const state = feeling(feeling(at({ at: 'guarded', epoch: 1 }), over, 1000), { memoryPermille: 1 }, 3000);
  expect(words(state, 6000)).toEqual(word);
});

test('it asks for its service back when it has been calm, which is less than not overloaded', () => {
  const recovering = feeling(at(away), between, 1000);
  expect(mayAsk(recovering, 60_000)).toBe(false);
  const relieved = feeling(recovering, calm, 10_000);
  expect([mayAsk(relieved, 13_999), mayAsk(relieved, 14_000)]).toEqual([false, true]);
  expect(mayAsk(feeling(relieved, over, 13_000), 14_000)).toBe(false);
  expect(mayAsk(at(away), 60_000)).toBe(false);
});

test('it rests before it gives its service away again', () => {
  const served = feeling(at(away), calm, 10_000);
  const back = feeling({ ...served, phase: { at: 'guarded', epoch: 3 } }, over, 11_000);
  expect(words(back, 69_999)).toEqual([]);
  expect(words(back, 70_000)).toEqual(word);
});

test('thresholds come from the configuration, and belong to the event', () => {
  const said = { activationEvent: 'offline,overload', event: { overload: { memoryPermille: 950 } } };
  const { activation } = activationIn(said);
  expect(activation.overload).toMatchObject({ memoryPermille: 950, forMs: 30_000 });
  expect(activationIn(eventFieldsOf(activation)).activation).toEqual(activation);
  expect(() => activationIn({ ...said, activationEvent: 'offline' })).toThrow(/thresholds/);
  expect(() => activationIn({ ...said, event: {} })).toThrow(/thresholds/);
  expect(() => activationIn({ ...said, event: { overload: {} } })).toThrow(/overload is of/);
});
