import { expect, test } from '@jest/globals';
import { estimateNeeds, ringBudget } from './estimate.ts';
import { addCapacity, lacksCapacity, subtractCapacity } from './resources.ts';

const defaults = { cpuMillis: 100, memoryMiB: 128, imageMiB: 64, uplinksPermille: 500 };

test('the shadow buffer holds motes x rate x outage x bytes of a frame, for an hour at least', () => {
  expect(ringBudget(20, 3600, 500)).toBe(20 * 1800 * 300);
  expect(ringBudget(20, 60, 500)).toBe(20 * 1800 * 300);
  expect(ringBudget(1, 3600, 1)).toBe(1 << 20);
});

test('what was measured counts with a reserve, what was not by the defaults', () => {
  expect(estimateNeeds({}, 20, 3600, defaults)).toMatchObject({ cpuMillis: 100, memoryMiB: 128 });
  const measured = { residentBytes: 40 << 20, cpu: { usedMs: 100, overMs: 1000 }, imageBytes: 10 << 20 };
  const needs = estimateNeeds(measured, 20, 3600, defaults);
  expect(needs).toMatchObject({ cpuMillis: 150, memoryMiB: 60, ringBytes: 10_800_000, bandwidthKbps: 24 });
  expect(needs.storageMiB).toBeGreaterThan(30);
});

test('capacities add up, and the first that lacks is named', () => {
  const one = { cpuMillis: 1, memoryMiB: 2, storageMiB: 3, bandwidthKbps: 4, ringBytes: 5 };
  expect(subtractCapacity(addCapacity(one, one), one)).toEqual(one);
  expect(lacksCapacity(one, one)).toBeUndefined();
  expect(lacksCapacity(one, { ...one, storageMiB: 4 })).toBe('storageMiB');
});
