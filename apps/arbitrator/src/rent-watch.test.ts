import { expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { startRentWatch, watchRent, type RentWatchParts } from './rent-watch.ts';

const contractId = '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01';
const NOW = 1_000_000;
const ready = { life: { state: 'READY' }, rent: { stood: [], since: 1 } };
const doubted = (at: number, isOpen: boolean) => ({
  ...ready,
  rent: { ...ready.rent, doubt: { at, isOpen } },
});

/** What a look sends to the ledger, and what is noted of it. */
async function look(contract: object, changes: Partial<RentWatchParts> = {}) {
  const submitted: string[] = [];
  const noted: string[] = [];
  await watchRent({
    ...{ terms: { contractId, rent: { perHour: 1 } }, role: 'customer', log: silentLog },
    clock: { now: () => 0, monotonic: () => 0 },
    store: { note: (_id, { milestone }) => void noted.push(milestone) },
    ledger: {
      fetch: async () => contract as never,
      time: async () => NOW,
      submit: async ({ type }) => {
        submitted.push(type);
        return {};
      },
    },
    providerSilentMs: () => 61_000,
    phase: () => ({ at: 'guarded' }),
    ...changes,
  });
  expect(noted).toHaveLength(submitted.length);
  return submitted;
}

test('a customer that has not heard its provider for a minute asks on the ledger, and not again before it may', async () => {
  expect(await look(ready)).toEqual(['rent/doubt']);
  expect(await look(ready, { providerSilentMs: () => 59_000 })).toEqual([]);
  expect(await look(ready, { phase: () => ({ at: 'ended' }) })).toEqual([]);
  expect(await look(doubted(NOW - 599_999, false))).toEqual([]);
  expect(await look(doubted(NOW - 600_000, false))).toEqual(['rent/doubt']);
  expect(await look(doubted(NOW - 600_000, true))).toEqual([]);
  for (const state of ['VALIDATED', 'DEGRADED', 'ACTIVE', 'HANDED_BACK', 'SETTLED'])
    expect(await look({ ...ready, life: { state } })).toEqual([]);
});

test('a provider answers as long as it is asked', async () => {
  const asProvider = { role: 'provider', providerSilentMs: undefined } as const;
  expect(await look(ready, asProvider)).toEqual([]);
  expect(await look(doubted(NOW - 1, true), asProvider)).toEqual(['rent/answer']);
  expect(await look(doubted(NOW - 1, false), asProvider)).toEqual([]);
});

test('without rent nobody asks', async () => {
  const nothing = { terms: { contractId, rent: undefined } } as unknown as RentWatchParts;
  await startRentWatch(nothing).stop();
});
