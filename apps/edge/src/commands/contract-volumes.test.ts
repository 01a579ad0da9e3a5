import { expect, test } from '@jest/globals';
import { linesOfVolumes } from './contract-volumes.ts';

test('an operator reads what is where, how old it is, and what stands in its way', () => {
  const own = {
    ...{ contractId: 'C', role: 'customer', newest: { seq: 4, cid: 'bafy4', bytes: 700 } },
    ...{ held: 4, heldAgeMs: 12_400 },
    kept: [{ path: '/data/state.kept-2', conflict: true }],
  };
  expect(linesOfVolumes(own)).toEqual([
    'volumes: newest snapshot 4, 700 bytes; the provider holds it, 12 s old',
    'volumes: CONFLICT, kept in /data/state.kept-2',
  ]);
  const guest = {
    ...{ contractId: 'C', role: 'provider', kept: [], restored: { seq: 0 } },
    held: { seq: 3, cid: 'bafy3', size: 900 },
    unrestored: { reason: 'another key', times: 1 },
    home: { epoch: 2, cid: 'bafy9' },
  };
  expect(linesOfVolumes(guest)).toEqual([
    'volumes: snapshot 3 is here, 900 bytes sealed',
    'volumes: the service here began empty',
    'volumes: home from epoch 2: sealed bafy9',
    'volumes: not restored (1 times): another key',
  ]);
});
