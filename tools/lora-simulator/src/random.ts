import { createHmac } from 'node:crypto';

/** A reproducible stream of random numbers; one stream per purpose, so that no draw disturbs another stream. */
export interface Random {
  /** Uniform in [0, 1), 32 bits of resolution. */
  uniform(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** Uniform integer in [0, count). */
  integer(count: number): number;
  /** True with the given probability. Always draws once, so that changing a ratio moves no later draw. */
  chance(probability: number): boolean;
}

/** `length` (at most 32) bytes that depend on seed and label only: HMAC-SHA-256 with the seed as key. */
export function deriveBytes(seed: string, label: string, length: number): Buffer {
  return createHmac('sha256', seed).update(label).digest().subarray(0, length);
}

/** The stream named `label` of a seed. Generator: sfc32 (Doty-Humphrey, PractRand), keyed by HMAC-SHA-256. */
export function createRandom(seed: string, label: string): Random {
  const key = deriveBytes(seed, label, 16);
  let a = key.readInt32LE(0);
  let b = key.readInt32LE(4);
  let c = key.readInt32LE(8);
  let counter = key.readInt32LE(12);
  const uniform = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 0x1_0000_0000;
  };
  return {
    uniform,
    between: (low, high) => low + uniform() * (high - low),
    integer: (count) => Math.floor(uniform() * count),
    chance: (probability) => uniform() < probability,
  };
}
