import { expect, test } from '@jest/globals';
import type { Reading } from '@antirio/edgex-contracts';
import { createLatest } from './latest.ts';

const reading = (resourceName: string, value: string): Reading => ({
  origin: 1n,
  deviceName: 'd',
  profileName: 'p',
  resourceName,
  valueType: 'Int8',
  kind: 'simple',
  value,
});

test('the newest reading of each resource is known, whatever came with it', () => {
  const latest = createLatest();
  latest.set('d', [reading('a', '1'), reading('b', '2')]);
  latest.set('d', [reading('b', '3')]);
  latest.set('e', [reading('a', '4')]);
  latest.set('d', [reading('c', '5')]);
  const values = ['a', 'b', 'c', 'x'].map((resource) => latest.get('d', resource));
  expect(values).toEqual([reading('a', '1'), reading('b', '3'), reading('c', '5'), undefined]);
  expect([latest.get('e', 'a'), latest.get('f', 'a')]).toEqual([reading('a', '4'), undefined]);
});
