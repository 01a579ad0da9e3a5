import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { uncoveredRent } from './rent-cover.ts';

const { edgeId } = openIdentity(generateIdentity());
const HOUR_MS = 3_600_000;

/** Of a day, with an hour of service on top. */
const uncovered = (rent: number | undefined, balance: number | undefined) =>
  uncoveredRent(
    { read: async () => (balance === undefined ? undefined : { balance }) as never },
    edgeId,
    { expiresAt: 24 * HOUR_MS, maxActiveS: 3600 },
    rent === undefined ? {} : { rent },
    0,
  );

test('nobody haggles over a rent that its account cannot hold in advance', async () => {
  expect(await uncovered(undefined, 0)).toBeUndefined();
  expect(await uncovered(4, 100)).toBeUndefined();
  expect(await uncovered(4, 99)).toBe('rent: 100 are due in advance, at 4 an hour, and the account holds 99');
  expect(await uncovered(4, undefined)).toMatch('holds 0');
  expect(await uncovered(10 ** 12, 99)).toMatch('no escrow');
});
