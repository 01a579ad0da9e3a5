import { expect, test } from '@jest/globals';
import type { Log } from '@antirio/host';
import { createCounted } from './counted.ts';

test('every one is counted; the log has one of each reason in an interval, and how many it left out', () => {
  let now = 0;
  const told: unknown[] = [];
  const log = {
    warn: (about: unknown) => told.push(['warn', about]),
    debug: (about: unknown) => told.push(['debug', about]),
  } as unknown as Log;
  const counted = createCounted<'spoofed' | 'noise'>({
    what: 'datagrams',
    ordinary: ['noise'],
    log,
    clock: { monotonic: () => now },
    everyMs: 1000,
  });
  for (let i = 0; i < 500; i++) counted.count('spoofed', { from: i });
  counted.count('noise');
  now = 1000;
  counted.count('spoofed', { from: 'x' });
  expect(told).toEqual([
    ['warn', { reason: 'spoofed', from: 0, total: 1 }],
    ['debug', { reason: 'noise', total: 1 }],
    ['warn', { reason: 'spoofed', from: 'x', total: 501, leftOut: 499 }],
  ]);
  expect(counted.counts()).toEqual({ spoofed: 501, noise: 1 });
});
