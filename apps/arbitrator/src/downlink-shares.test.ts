import { expect, test } from '@jest/globals';
import { contractTerms, type DownlinkShare } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { createDeafness, downlinkTotals, downlinksView, shareView } from './downlink-shares.ts';
import { terms as plain } from './escrow.fixture.ts';

const devEui = plain.set.devices[0]?.devEui ?? '';
const terms = contractTerms.parse({ ...plain, downlinkDrills: { motes: 1, degradedBelow: 900 } });
const shares = new Map<string, DownlinkShare>();
const store = {
  document: (_id: string, name: string) => shares.get(name.split('/')[1] ?? ''),
  documents: () => shares,
} as unknown as ContractStore;

test('what sensors answered is shown by sensor and in all', () => {
  shares.clear();
  expect(downlinksView(store, contractTerms.parse(plain))).toBeUndefined();
  expect(shareView(store, terms.contractId, devEui)).toBeUndefined();
  expect(downlinkTotals(store, terms)).toEqual({ sensors: 0, sensorsThatAnswered: 0, sent: 0, answered: 0 });
  shares.set(devEui, { devEui, results: '0110', at: 7, margin: 4 });
  expect(shareView(store, terms.contractId, devEui)).toMatchObject({
    sent: 4,
    answered: 2,
    at: 7,
    margin: 4,
  });
  expect(downlinkTotals(store, terms)).toEqual({ sensors: 1, sensorsThatAnswered: 1, sent: 4, answered: 2 });
  expect(downlinksView(store, terms)?.devices).toMatchObject([{ devEui, sent: 4, answered: 2 }]);
});

test('whether too few hear is looked at now and then, where the terms ask', () => {
  let now = 0;
  const clock = { monotonic: () => now };
  shares.clear();
  const areDeaf = createDeafness(store, terms, clock);
  expect(areDeaf()).toBe(false);
  shares.set(devEui, { devEui, results: '0000', at: 7 });
  now = 4999;
  expect(areDeaf()).toBe(false);
  now = 5000;
  expect(areDeaf()).toBe(true);
  expect(createDeafness(store, contractTerms.parse(plain), clock)()).toBe(false);
});
