import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { OnPromises } from '@antirio/service-contract';
import type { PartyDriver } from './party-driver.ts';
import { countBlocksOnPromises, sensorsOnPromises } from './promise-metric.ts';

const driver = (...standing: OnPromises[]) =>
  ({ seen: { onPromises: () => standing } }) as unknown as PartyDriver;
const one = { devAddr: '01000001', blocks: 3, isSpent: false };
const spent = { devAddr: '01000002', blocks: 16, isSpent: true };

test('what stands on promises is counted once for each sensor, whichever contracts it is in', () => {
  expect(sensorsOnPromises([driver(one, spent), driver(one)])).toEqual({ blocks: 19, waiting: 1 });
  expect(sensorsOnPromises([driver()])).toEqual({ blocks: 0, waiting: 0 });
});

test('is shown with what was refused', async () => {
  const metrics = new Registry();
  const counts = (): ReadonlyMap<'slot', number> => new Map([['slot', 2]]);
  countBlocksOnPromises(metrics, new Map([['C', driver(spent)]]), { counts });
  const text = await metrics.metrics();
  expect(text).toContain('antirio_blocks_on_promises 16');
  expect(text).toContain('antirio_sensors_without_blocks 1');
  expect(text).toContain('antirio_blocks_refused_total{reason="slot"} 2');
});
