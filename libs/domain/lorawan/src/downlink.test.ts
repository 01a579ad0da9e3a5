import { expect, test } from '@jest/globals';
import { encryptedDownlink } from './index.ts';

const one = {
  ...{ session: '00'.repeat(8), fCntDown: 0xffff_ffff },
  ...{ payload: 'aB'.repeat(242), fPort: 223, confirmed: true },
};

test('a downlink that was encrypted for a counter is taken as it is', () => {
  expect(encryptedDownlink.parse(one)).toEqual(one);
  const least = { ...one, fCntDown: 0, payload: '', fPort: 1 };
  expect(encryptedDownlink.parse(least)).toEqual(least);
});

test.each([
  ['bytes that no data rate takes', { payload: 'ab'.repeat(243) }],
  ['half a byte', { payload: 'abc' }],
  ['a port that is not an application’s', { fPort: 224 }],
  ['MAC commands', { fPort: 0 }],
  ['a counter of more than 32 bits', { fCntDown: 2 ** 32 }],
  ['no session', { session: undefined }],
  ['a session of another form', { session: 'AB'.repeat(8) }],
  ['what nobody knows', { devEui: '00'.repeat(8) }],
])('%s is refused', (_, fault) => {
  expect(encryptedDownlink.safeParse({ ...one, ...fault }).success).toBe(false);
});
