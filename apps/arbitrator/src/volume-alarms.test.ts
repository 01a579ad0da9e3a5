import { expect, test } from '@jest/globals';
import { volumeFacts, volumeTroubles } from './volume-alarms.ts';

const every = new Map([['C', 30]]);
const found = (facts: object): readonly string[] =>
  volumeTroubles([volumeFacts.parse({ contractId: 'C', ...facts })], every).map(
    ({ name, detail }) => `${name}: ${detail}`,
  );

test('a snapshot that is too old wakes its customer with the reason, but not while the provider serves', () => {
  expect(found({ role: 'customer', heldAgeMs: 89_000 })).toEqual([]);
  const old = { role: 'customer', heldAgeMs: 91_000, failed: { reason: 'link is neither', times: 3 } };
  expect(found(old)).toEqual(['volumes: the newest snapshot at the provider is 91 s old: link is neither']);
  expect(found({ ...old, away: true })).toEqual([]);
});

test('a provider is told of what it could not restore, take, or give back', () => {
  expect(found({ role: 'provider', refused: { reason: 'serving', times: 9 } })).toEqual([]);
  expect(found({ role: 'provider', refused: { reason: 'tooLarge', times: 2 } })).toEqual([
    'volumes: snapshots are not taken (2 times): tooLarge',
  ]);
  expect(found({ role: 'provider', unrestored: { reason: 'another key', times: 1 } })).toHaveLength(1);
  expect(found({ role: 'provider', home: { epoch: 2, none: 'over 10 bytes' } })).toHaveLength(1);
  expect(found({ role: 'provider', home: { epoch: 0, none: 'never acted' } })).toEqual([]);
});

test('a conflict stays until its folder is gone, also after the contract', () => {
  const kept = [
    { path: '/data/state.kept-2', conflict: true },
    { path: '/data/log.kept-2', conflict: false },
  ];
  const facts = [volumeFacts.parse({ contractId: 'C', role: 'customer', kept })];
  expect(volumeTroubles(facts, new Map())).toEqual([
    { name: 'volumeConflict', about: 'C', detail: 'both edges changed it; kept in /data/state.kept-2' },
  ]);
});
