import { expect, test } from '@jest/globals';
import { actingLines } from './acting-lines.ts';

test('a contract tells what its parties wait for, and nothing where they wait for nothing', () => {
  expect(actingLines({})).toEqual([]);
  expect(actingLines({ comesBack: { failures: 0 } })).toEqual([]);
  expect(actingLines({ comesBack: { failures: 2 } })).toEqual([
    '2 failures in a row: the next return waits longer',
  ]);
  expect(actingLines({ comesBack: { failures: 1, backoffLeftMs: 29_001 }, waitsForItsTurn: true })).toEqual([
    'sensors: not asked for within 30 s (1 failure in a row)',
    'its takeover waits for others that began before',
  ]);
  expect(actingLines({ comesBack: { failures: 3, backoffLeftMs: 0 }, providerActsForMs: 500 })).toEqual([
    'sensors: asked for when caught up (3 failures in a row)',
    'the provider may act for 1 s more',
  ]);
  expect(actingLines({ leaseBy: 'grantor' })).toEqual([]);
  expect(actingLines({ leaseBy: 'promises' })).toEqual([expect.stringContaining('by the promises')]);
  expect(actingLines({ providerActsForMs: 0 })).toEqual([expect.stringContaining('nobody acts')]);
});
