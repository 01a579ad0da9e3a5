/** Draws the same again from the same seed. */
export interface Draw {
  /** 0 up to, but not including, `bound`. */
  below(bound: number): number;
  /** True once in `times`. */
  once(times: number): boolean;
  pick<Value>(values: readonly [Value, ...Value[]]): Value;
  bytes(length: number): Uint8Array;
}

/** Mulberry32: 32 bits of state, quick, and good enough to choose mutations with. */
export function createDraw(seed: number): Draw {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (bound: number): number => Math.floor((next() / 2 ** 32) * bound);
  return {
    below,
    once: (times) => below(times) === 0,
    pick: (values) => values[below(values.length)] ?? values[0],
    bytes(length) {
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) bytes[i] = next();
      return bytes;
    },
  };
}
