import { expect, test } from '@jest/globals';
import { terms } from './contract.fixture.ts';
import { areJoinsUsedUp, JOINS_IN_ALL, JOINS_OF_EACH, rootKeysProblem } from './root-keys.ts';

const range = { first: '02000000', last: '020000ff' };

test('root keys are for providers that may process, where a join has an address to give', () => {
  const given = { ...terms, rootKeys: true, confidentiality: 'process', devAddrRange: range } as const;
  expect(rootKeysProblem(given)).toBeUndefined();
  expect(rootKeysProblem({ ...given, rootKeys: undefined, confidentiality: 'relay' })).toBeUndefined();
  expect(rootKeysProblem({ ...given, confidentiality: 'forward' })).toMatch(/process/);
  // opened by nobody's word, they would be flagged by nobody
  expect(rootKeysProblem({ ...given, opening: 'autonomous' })).toMatch(/autonomous/);
  expect(rootKeysProblem({ ...given, devAddrRange: undefined })).toMatch(/devAddrRange/);
  // JoinNonces of slot 0 are those of the devices' own edge
  expect(rootKeysProblem({ ...given, slots: { customer: 1, provider: 0 } })).toMatch(/slot 0/);
});

test('what is answered is bounded for each device under an epoch, and for a contract', () => {
  const joins = (count: number, epoch: number, devEui = 'a') =>
    Array.from({ length: count }, () => ({ epoch, devEui }));
  const one = { epoch: 3, devEui: 'a' };
  expect(areJoinsUsedUp(joins(JOINS_OF_EACH - 1, 3), one)).toBe(false);
  expect(areJoinsUsedUp(joins(JOINS_OF_EACH, 3), one)).toBe(true);
  expect(areJoinsUsedUp(joins(JOINS_OF_EACH, 2), one)).toBe(false);
  expect(areJoinsUsedUp(joins(JOINS_OF_EACH, 3, 'b'), one)).toBe(false);
  expect(areJoinsUsedUp(joins(JOINS_IN_ALL, 2, 'b'), one)).toBe(true);
});
