import { expect, test } from '@jest/globals';
import { combine, countsLine, nothing, summarise, type JestFile } from './jest-results.ts';

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
