import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '@antirio/kernel';

export const systemClock: Clock = {
  now: () => Date.now(),
  // CLOCK_MONOTONIC: one time for all processes of this host, which the fence relies on
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
};

export const systemRandom: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) };
