import { expect, test } from '@jest/globals';
import { addressesOf, areOfSet, devAddrRange, joinedAddresses } from './joined-addresses.ts';

const set = {
  setId: 's',
  service: 'lora',
  devices: [
    { devEui: '00000000000000aa', devAddr: '02000001' },
    { devEui: '00000000000000bb', devAddr: '01000001' },
  ],
};
const range = { first: '02000000', last: '020000ff' };
const sessionsOf = (...devAddrs: string[]) =>
  devAddrs.map((devAddr) => ({ devEui: '00000000000000AA', devAddr }));

test('a set’s new addresses are those in its range, of its devices, that the terms do not name', () => {
  const sessions = [
    ...sessionsOf('02000001', '02000002', '020000FF', '02000100'),
    { devEui: '00000000000000cc', devAddr: '02000003' },
  ];
  const joined = joinedAddresses({ set, devAddrRange: range }, sessions);
  expect(joined.map(({ devAddr }) => devAddr)).toEqual(['02000002', '020000ff']);
  expect(addressesOf({ set }, joined)).toHaveLength(4);
  // as before there were ranges
  expect(joinedAddresses({ set }, sessions)).toEqual([]);
  expect(addressesOf({ set }, [])).toBe(set.devices);
});

test('a provider takes no address outside of the range, of another device, or more than a device can have', () => {
  const terms = { set, devAddrRange: range };
  const of = (devEui: string, ...devAddrs: string[]) => devAddrs.map((devAddr) => ({ devEui, devAddr }));
  const aa = '00000000000000aa';
  expect(areOfSet(terms, of(aa, '02000002', '02000003', '02000004', '02000005'))).toBe(true);
  expect(areOfSet(terms, of(aa, '02000002', '02000003', '02000004', '02000005', '02000006'))).toBe(false);
  expect(areOfSet(terms, of(aa, '02000100'))).toBe(false);
  expect(areOfSet(terms, of('00000000000000cc', '02000002'))).toBe(false);
  expect(areOfSet({ set }, of(aa, '02000002'))).toBe(false);
  expect(areOfSet({ set }, [])).toBe(true);
  expect(devAddrRange.safeParse({ first: '02000001', last: '02000000' }).success).toBe(false);
});
