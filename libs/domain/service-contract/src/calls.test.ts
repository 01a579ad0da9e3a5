import { expect, test } from '@jest/globals';
import { callBegun, callEnded, failuresOf, mayCall, type CallBook, type CallOutcome } from './calls.ts';

const refusedUntilLater: CallOutcome = { ok: false, retryInMs: 300 };
const unanswered: CallOutcome = { ok: false };

const after = (...outcomes: CallOutcome[]): CallBook =>
  outcomes.reduce<CallBook>(
    (book, outcome) => callEnded(callBegun(book, 'take', 0), 'take', 0, outcome, 0.5),
    {},
  );

test('whoever is told when to come again comes then', () => {
  const book = after(refusedUntilLater);
  expect(mayCall(book, 'take', 299)).toBe(false);
  expect(mayCall(book, 'take', 300)).toBe(true);
});

test('failures back off, twice as long each time', () => {
  expect(mayCall(after(unanswered), 'take', 199)).toBe(false);
  expect(mayCall(after(unanswered), 'take', 200)).toBe(true);
  expect(mayCall(after(unanswered, unanswered), 'take', 399)).toBe(false);
  expect(mayCall(after(unanswered, unanswered), 'take', 400)).toBe(true);
});

test('a refusal with a time to come again is no failure: one lost answer after many of them delays nothing', () => {
  const refusedOften = Array.from({ length: 20 }, () => refusedUntilLater);
  expect(failuresOf(after(...refusedOften), 'take')).toBe(0);
  expect(mayCall(after(...refusedOften, unanswered), 'take', 200)).toBe(true);
});

test('a repeated call keeps its pace where it is answered, and where it is refused it is a failure all the same', () => {
  expect(mayCall(after({ ok: true, paceMs: 500 }), 'take', 499)).toBe(false);
  const refused = after(unanswered, { ok: false, paceMs: 500 });
  expect(mayCall(refused, 'take', 500)).toBe(true);
  expect(failuresOf(refused, 'take')).toBe(2);
});
