/** All chance of a run comes from its seed: one stream for each part of the world, so that one part does not disturb another. */
export interface Dice {
  /** Uniform in [0, 1). */
  readonly next: () => number;
  chance(probability: number): boolean;
  between(low: number, high: number): number;
  /** A whole number from 0 to `count` - 1. */
  below(count: number): number;
  pick<T>(from: readonly [T, ...T[]]): T;
  bits(): number;
}

/** A 32-bit hash (FNV-1a with a final mix, as in MurmurHash3). */
export function hashText(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The stream of one part of the world (generator: sfc32 of PractRand). */
export function rollDice(seed: number, part: string): Dice {
  let a = hashText(part, seed >>> 0);
  let b = mix(seed + 0x9e3779b9);
  let c = mix(a ^ b);
  let counter = 1;
  const bits = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) bits();
  const next = (): number => bits() / 0x1_0000_0000;
  return {
    next,
    bits,
    chance: (probability) => next() < probability,
    between: (low, high) => low + next() * (high - low),
    below: (count) => Math.floor(next() * count),
    pick: (from) => from[Math.floor(next() * from.length)] ?? from[0],
  };
}
