import { describe, expect, test } from '@jest/globals';
import {
  combine,
  countsLine,
  filesToRepeat,
  nothing,
  furtherAttempt,
  summarise,
  type Failure,
  type JestFile,
  type Summary,
} from './jest-results.ts';

const file = (status: string, assertionResults: JestFile['assertionResults'], message = ''): JestFile => ({
  name: '/w/a.test.ts',
  status,
  message,
  assertionResults,
});

const mixed = {
  testResults: [
    file('failed', [
      { fullName: 'adds', status: 'passed' },
      { fullName: 'divides', status: 'failed', failureMessages: ['by zero'] },
      { fullName: 'runs a container [skipped: no engine answers]', status: 'pending' },
      { fullName: 'multiplies', status: 'pending' },
      { fullName: 'takes roots', status: 'todo' },
    ]),
  ],
};

test('passed, failed and skipped tests are counted, failures with their messages', () => {
  const summary = summarise(mixed);
  expect(countsLine(summary)).toBe('1 passed, 1 failed, 3 skipped');
  expect(summary.failures).toEqual([{ file: '/w/a.test.ts', name: 'divides', message: 'by zero' }]);
});

test('a skip tells its reason, and a skip without one is told apart', () => {
  expect(summarise(mixed).skips.map(({ name, reason }) => [name, reason])).toEqual([
    ['runs a container', 'no engine answers'],
    ['multiplies', 'no reason given'],
    ['takes roots', 'not written yet'],
  ]);
});

test('a file that could not be run is a failure, though none of its tests failed', () => {
  const summary = summarise({ testResults: [file('failed', [], 'SyntaxError')] });
  expect(countsLine(summary)).toBe('0 passed, 1 failed, 0 skipped');
  expect(summary.failures[0]?.message).toBe('SyntaxError');
});

test('tests left out by a name filter are no skips', () => {
  expect(summarise(mixed, /container/).skips).toHaveLength(1);
});

test('the counts of several runs add up', () => {
  expect(countsLine([mixed, mixed].map((run) => summarise(run)).reduce(combine, nothing))).toBe(
    '2 passed, 2 failed, 6 skipped',
  );
});

describe('a second attempt', () => {
  const failure = (file: string, name: string): Failure => ({ file, name, message: 'why' });
  const run = (passed: number, ...failures: Failure[]): Summary => ({ ...nothing, passed, failures });
  const first = run(7, failure('/a', 'one'), failure('/a', 'two'));

  test('what passes by itself is told and counted as passed; what fails again stays failed', () => {
    const both = furtherAttempt(first, run(3, failure('/a', 'two')));
    expect(countsLine(both)).toBe('8 passed, 1 failed, 0 skipped');
    expect(both.unsteady).toEqual([failure('/a', 'one')]);
  });

  test('what fails only then is a failure as well', () => {
    const both = furtherAttempt(first, run(3, failure('/a', 'three')));
    expect(both.failures).toEqual([failure('/a', 'three')]);
    expect(both.unsteady).toHaveLength(2);
  });

  test('a run that broke off, or in which nothing passed, clears nothing', () => {
    expect(furtherAttempt(first, run(3, failure('/a', '(the file could not be run)')))).toEqual(first);
    expect(furtherAttempt(first, run(0))).toEqual(first);
  });

  test('a broken promise stays one, also where it is kept the next time', () => {
    const broken = {
      file: '/a',
      name: 'x',
      message: 'Error: broken promise: 1 lost: 015197f1 16\n  at here',
    };
    const kept = furtherAttempt(run(3, broken, failure('/a', 'y')), run(2));
    expect(kept.failures).toEqual([broken]);
    expect(kept.unsteady).toEqual([failure('/a', 'y')]);
    expect(filesToRepeat(kept)).toEqual([]);
  });

  test('a third attempt at what is left keeps in mind what the second has cleared', () => {
    const second = furtherAttempt(first, run(3, failure('/a', 'two')));
    const third = furtherAttempt(second, run(3));
    expect(countsLine(third)).toBe('9 passed, 0 failed, 0 skipped');
    expect(third.unsteady).toEqual([failure('/a', 'one'), failure('/a', 'two')]);
  });

  test('a few files are tried again, many are not: then it is the code', () => {
    expect(filesToRepeat(first)).toEqual(['/a']);
    expect(filesToRepeat(nothing)).toEqual([]);
    const many = Array.from({ length: 9 }, (_, i) => failure(`/${i}`, 'x'));
    expect(filesToRepeat(run(1, ...many.slice(1)))).toHaveLength(8);
    expect(filesToRepeat(run(1, ...many))).toEqual([]);
  });
});
