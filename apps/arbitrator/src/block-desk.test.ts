import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import type { ProtectedDevice } from '@antirio/service-contract';
import { createBlockDesk } from './block-desk.ts';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { terms } from './escrow.fixture.ts';
import { keeperOf } from './party-deeds.ts';

const [first] = terms.set.devices;
const joined: ProtectedDevice = { devEui: first?.devEui ?? '', devAddr: '0f000001' };
const mark = (devAddr: string, index = 4, base = 0) => ({ devAddr, index, base, bootId: 'b' });
const { customer, provider } = terms;

let folder = '';
let store: ContractStore;
let addresses: readonly ProtectedDevice[];
/** Another contract over the same devices, whose terms know of no joins. */
const unjoined = { ...terms, contractId: '00000000-0000-4000-8000-000000000000' };
let joins = 0;
const open = () => {
  store = openContractStore(join(folder, 'contracts.db'));
  return createBlockDesk({
    store,
    addresses: ({ contractId, set }) => (contractId === unjoined.contractId ? set.devices : addresses),
    joinsSeen: () => joins,
  });
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocks-'));
  addresses = [...terms.set.devices, joined];
  joins += 1;
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('what is kept is on the disk, of one set for all of its contracts; a disk from before has none', () => {
  const book = open().bookOf(terms);
  expect([book.all(customer), book.has(joined.devAddr), book.has('0f0000ff')]).toEqual([[], true, false]);
  book.keep(customer, [mark(joined.devAddr, 8), mark(first?.devAddr ?? '')]);
  book.keep(provider, [mark(joined.devAddr, 5)]);
  store.close();
  const again = open().bookOf(unjoined);
  expect(again.all(customer)).toEqual(
    [mark(first?.devAddr ?? ''), mark(joined.devAddr, 8)].sort((a, b) => (a.devAddr < b.devAddr ? -1 : 1)),
  );
  expect(again.ofDevice(joined.devAddr)).toEqual(
    new Map([
      [customer, mark(joined.devAddr, 8)],
      [provider, mark(joined.devAddr, 5)],
    ]),
  );
  store.close();
});

test('addresses that devices have left go when a new one comes', () => {
  const book = open().bookOf(terms);
  book.keep(customer, [mark(joined.devAddr, 4, 4)]);
  const next = { ...joined, devAddr: '0f000002' };
  addresses = [...terms.set.devices, next];
  joins += 1;
  book.keep(customer, [mark(next.devAddr)]);
  expect(book.all(customer).map(({ devAddr }) => devAddr)).toEqual([next.devAddr]);
  store.close();
  expect(open().bookOf(terms).all(customer)).toHaveLength(1);
  store.close();
});

test('no contract wipes what another one of the set keeps of its addresses', () => {
  const desk = open();
  const book = desk.bookOf(terms);
  book.keep(customer, [mark(joined.devAddr, 8, 8)]);
  book.keep(provider, [mark(joined.devAddr, 9, 9)]);
  desk.bookOf(unjoined).keep(customer, [mark(first?.devAddr ?? '')]);
  expect([...book.ofDevice(joined.devAddr).keys()]).toEqual([customer, provider]);
  store.close();
  expect(open().bookOf(terms).ofDevice(joined.devAddr).size).toBe(2);
  store.close();
});

test('blocks that stand on promises alone stay also where no contract knows their address yet, so many of them', () => {
  const book = open().bookOf(terms);
  book.keep(customer, [mark(joined.devAddr, 8, 4)]);
  addresses = terms.set.devices;
  joins += 1;
  book.keep(customer, [mark(first?.devAddr ?? '')]);
  expect(book.ofDevice(joined.devAddr).get(customer)).toEqual(mark(joined.devAddr, 8, 4));
  const many = Array.from({ length: 1200 }, (_, i) => mark((0x0f100000 + i).toString(16).padStart(8, '0')));
  book.keep(provider, many);
  book.keep(provider, [mark('0f2fffff')]);
  expect(book.all(provider)).toHaveLength(1001);
  store.close();
});

test.each([
  ['provider', 0],
  ['customer', 1],
] as const)('with the last contract of a set a %s keeps %i marks', (role, left) => {
  const desk = open();
  const contracts = [terms, unjoined];
  for (const one of contracts) store.put({ terms: one, role, signatures: {} });
  const [book] = contracts.map((one) => desk.bookOf(one));
  book?.keep(customer, [mark(joined.devAddr)]);
  const retire = ({ contractId }: typeof terms): void => {
    store.putDocument(contractId, 'ending', { retired: true });
    desk.leave(contractId);
  };
  retire(unjoined);
  expect(book?.all(customer)).toHaveLength(1);
  retire(terms);
  expect(book?.all(customer)).toHaveLength(left);
  expect(store.documents('own', `blocks/${terms.set.setId}`).size).toBe(left);
  store.close();
});

test('what the disk does not take is not kept, and is said to be so', () => {
  const book = open().bookOf(terms);
  const disk = keeperOf(store, terms.contractId, silentLog, book);
  expect(book.all(customer)).toEqual([]);
  const deed = { type: 'keepBlocks', by: customer, marks: [mark(joined.devAddr)] } as const;
  store.close();
  expect(disk.mayFollow(deed, { at: 'guarded', epoch: 1 }, [])).toBe(false);
  expect(book.all(customer)).toEqual([]);
});

test('what is refused is counted by why', () => {
  const desk = open();
  for (const reason of ['slot', 'slot', 'behind'] as const) desk.refused(reason);
  expect([...desk.counts()]).toEqual([
    ['slot', 2],
    ['behind', 1],
  ]);
  store.close();
});
