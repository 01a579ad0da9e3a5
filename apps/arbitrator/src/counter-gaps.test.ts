import { expect, test } from '@jest/globals';
import { openGrantorStore } from './grantor-store.ts';
import { createCounterGaps, GAP_TOPIC } from './counter-gaps.ts';

const bytes = (told: unknown): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(told)));

test('sensors near their limit are remembered over a restart, those of contracts as long as these live', async () => {
  const kept = new Map<string, unknown>();
  const store = {
    document: (_id: string, name: string) => kept.get(name),
    putDocument: (_id: string, name: string, value: unknown) => void kept.set(name, value),
  };
  const gaps = createCounterGaps(store);
  await gaps.onNotice(GAP_TOPIC, bytes({ devAddr: '01000001', next: 4096, proven: 0 }));
  await gaps.onNotice(`contract/c1/${GAP_TOPIC}`, bytes({ devAddr: '01000002', next: 9000, proven: -1 }));
  await gaps.onNotice(GAP_TOPIC, bytes({ devAddr: '01000003', next: 4095, proven: 0 }));
  const again = createCounterGaps(store);
  expect(again.found(() => true).map(({ devAddr }) => devAddr)).toEqual(['01000001', '01000002']);
  expect(again.found((id) => id !== 'c1').map(({ devAddr }) => devAddr)).toEqual(['01000001']);
  await again.onNotice(GAP_TOPIC, bytes({ devAddr: '01000001', next: 4100, proven: 4090 }));
  expect(createCounterGaps(store).found(() => false)).toEqual([]);
  expect(() => again.onNotice(GAP_TOPIC, bytes({ devAddr: 'x', next: 1, proven: 0 }))).toThrow();
});

test('what a device was proven to hear goes from party to party with the blocks, and never back', () => {
  const store = openGrantorStore(':memory:');
  const reserve = (slot: number, proven?: number) =>
    store.reserve('A', [{ devAddr: '01000001', slot, above: 0, proven }])[0];
  expect(reserve(0)).toEqual({ devAddr: '01000001', index: 4 });
  expect(reserve(0, 40)).toMatchObject({ index: 8, proven: 40 });
  expect(reserve(1)).toMatchObject({ index: 9, proven: 40 });
  expect(reserve(1, 12)).toMatchObject({ proven: 40 });
  expect(reserve(0, 150)).toMatchObject({ proven: 150 });
  store.close();
});
