import { expect, test } from '@jest/globals';
import { rentLines } from './contract-rent.ts';

test('who pays rent sees what is earned of it, and whether its provider is silent', () => {
  expect(rentLines(undefined, undefined)).toEqual([]);
  const rent = { prepaid: 660, earned: 12, provenMs: 12_999 };
  expect(rentLines(rent, 3600)).toEqual(['rent: 12 of 660 earned (3600 an hour, 12 s)']);
  const [, asked] = rentLines({ ...rent, doubtedAt: 0 }, 3600);
  expect(asked).toMatch('asked at 1970-01-01T00:00:00.000Z');
});
