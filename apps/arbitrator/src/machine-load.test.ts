import { expect, test } from '@jest/globals';
import { createLoadMeter, thisMachine } from './machine-load.ts';

test('processors are measured from one look to the next, memory as it is', () => {
  let ticks = { idle: 1000, all: 2000 };
  let available = 600;
  const meter = createLoadMeter({ ticks: () => ticks, memory: () => ({ available, limit: 1000 }) });
  expect(meter()).toEqual({ memoryPermille: 400 });
  ticks = { idle: 1100, all: 3000 };
  expect(meter()).toEqual({ memoryPermille: 400, cpuPermille: 900 });
  // too short a time to say anything new
  ticks = { idle: 1400, all: 3400 };
  available = 0;
  expect(meter()).toEqual({ memoryPermille: 1000, cpuPermille: 900 });
  ticks = { idle: 2100, all: 4000 };
  expect(meter().cpuPermille).toBe(0);
});

test('this machine tells of itself', () => {
  const { idle, all } = thisMachine.ticks();
  expect(idle).toBeLessThanOrEqual(all);
  const { available, limit } = thisMachine.memory();
  expect(limit).toBeGreaterThan(1 << 20);
  expect(available).toBeGreaterThan(0);
});
