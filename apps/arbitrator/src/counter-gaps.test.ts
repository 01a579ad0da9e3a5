import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { openGrantorStore } from './grantor-store.ts';
import { createCounterGaps, GAP_TOPIC, type CounterGaps } from './counter-gaps.ts';

const bytes = (told: unknown): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(told)));

const near = (devAddr: string) => bytes({ devAddr, next: 9000, proven: -1 });

let store: ContractStore;
const sets = new Map<string, { readonly devAddr: string }[]>();
const found = (gaps: CounterGaps): string[] => gaps.found().map(({ devAddr }) => devAddr);
beforeEach(() => {
  store = openContractStore(':memory:');
  sets.clear();
});
afterEach(() => store.close());

test('sensors near their limit are remembered over a restart, those of contracts as long as these live', async () => {
  sets.set('c1', [{ devAddr: '01000002' }]);
  const gaps = createCounterGaps(store, () => sets);
  await gaps.onNotice(GAP_TOPIC, bytes({ devAddr: '01000001', next: 4096, proven: 0 }));
  await gaps.onNotice(`contract/c1/${GAP_TOPIC}`, near('01000002'));
  await gaps.onNotice(GAP_TOPIC, bytes({ devAddr: '01000003', next: 4095, proven: 0 }));
  const again = createCounterGaps(store, () => sets);
  expect(found(again)).toEqual(['01000001', '01000002']);
  sets.clear();
  expect(found(again)).toEqual(['01000001']);
  await again.onNotice(GAP_TOPIC, bytes({ devAddr: '01000001', next: 4100, proven: 4090 }));
  expect(found(createCounterGaps(store, () => sets))).toEqual([]);
  expect(() => again.onNotice(GAP_TOPIC, bytes({ devAddr: 'x', next: 1, proven: 0 }))).toThrow();
});

test('a guest speaks of its own set alone, takes no other’s place, and writes no more than one sensor at a time', async () => {
  const devices = Array.from({ length: 20 }, (_, i) => ({ devAddr: `0200${String(i).padStart(4, '0')}` }));
  sets.set('c1', devices);
  let written = 0;
  const putDocument: ContractStore['putDocument'] = (contractId, name, value) => {
    written = Math.max(written, JSON.stringify(value).length);
    store.putDocument(contractId, name, value);
  };
  const gaps = createCounterGaps({ ...store, putDocument }, () => sets);
  const topic = `contract/c1/${GAP_TOPIC}`;
  for (let i = 0; i < 10_500; i++) await gaps.onNotice(topic, near(`03${String(i).padStart(6, '0')}`));
  for (const { devAddr } of devices) await gaps.onNotice(topic, near(devAddr));
  await gaps.onNotice(`contract/none/${GAP_TOPIC}`, near('02000001'));
  await gaps.onNotice(`contract/own/${GAP_TOPIC}`, near('01000009'));
  await gaps.onNotice(GAP_TOPIC, near('01000001'));
  expect(found(gaps)).toEqual(['01000001', ...devices.map(({ devAddr }) => devAddr)]);
  expect(written).toBeLessThan(100);
});

test('what was kept in one document is still known', () => {
  const gap = (devAddr: string) => ({ devAddr, next: 9000, proven: -1 });
  const old = { 'own/01000001': gap('01000001'), 'c1/01000002': gap('01000002'), 'c1/09': gap('09') };
  store.putDocument('own', 'counterGaps', old);
  sets.set('c1', [{ devAddr: '01000002' }]);
  expect(found(createCounterGaps(store, () => sets))).toEqual(['01000001', '01000002']);
  expect(store.document('own', 'counterGaps')).toBeUndefined();
});

test('what a device was proven to hear goes from party to party with the blocks, and never back', () => {
  const grantor = openGrantorStore(':memory:');
  const reserve = (slot: number, proven?: number) =>
    grantor.reserve('A', [{ devAddr: '01000001', slot, above: 0, proven }])[0];
  expect(reserve(0)).toEqual({ devAddr: '01000001', index: 4 });
  expect(reserve(0, 40)).toMatchObject({ index: 8, proven: 40 });
  expect(reserve(1)).toMatchObject({ index: 9, proven: 40 });
  expect(reserve(1, 12)).toMatchObject({ proven: 40 });
  expect(reserve(0, 150)).toMatchObject({ proven: 150 });
  grantor.close();
});

test('what no block was given out for is not believed to have been heard', () => {
  const grantor = openGrantorStore(':memory:');
  const reserve = (slot: number, proven?: number, above = 0) =>
    grantor.reserve('A', [{ devAddr: '01000001', slot, above, proven }])[0];
  // blocks to 100 are the customer's own from before
  expect(reserve(0, 1616, 100)).toEqual({ devAddr: '01000001', index: 104 });
  expect(reserve(0, 1615, 100)).toMatchObject({ index: 108, proven: 1615 });
  expect(reserve(1, 2 ** 31)).toMatchObject({ index: 109, proven: 1615 });
  expect(reserve(1, 1760)).toMatchObject({ index: 113, proven: 1615 });
  expect(reserve(0, 1759)).toMatchObject({ proven: 1759 });
  grantor.close();
});
