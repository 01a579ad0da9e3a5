import { expect, test } from '@jest/globals';
import { systemClock, systemRandom, type Log } from '@antirio/host';
import { contractTerms } from '@antirio/service-contract';
import { contractId, customer, terms } from './escrow.fixture.ts';
import { createFullDrills, type FullDrillsPorts } from './full-drills.ts';

test('the first look at a contract’s full drills does not fail: an operator was warned at each start', async () => {
  const warned: unknown[] = [];
  const log = { warn: (about: unknown) => warned.push(about) } as unknown as Log;
  const asked = Promise.withResolvers<undefined>();
  const drills = createFullDrills({
    ports: { identity: customer, clock: systemClock, random: systemRandom, peers: {}, log },
    ledger: {
      fetch() {
        asked.resolve(undefined);
        return Promise.resolve(undefined);
      },
      time: () => Promise.resolve(0),
    },
    drivers: new Map(),
  } as unknown as FullDrillsPorts);
  const drilled = contractTerms.parse({
    ...terms,
    opening: 'witnessed',
    drills: { full: { servesMs: 5000 } },
  });
  drills.drive({ terms: drilled, role: 'customer', phase: () => ({ at: 'guarded' }) } as never);
  await asked.promise;
  expect(drills.view(contractId)).toBeUndefined();
  await drills.stop();
  expect(warned).toEqual([]);
});
