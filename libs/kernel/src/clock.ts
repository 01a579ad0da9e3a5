/** Injected time. Wall time is for people and origins, monotonic time is for every interval, lease and deadline. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back; the same for all processes of one host since its boot. */
  monotonic(): number;
}

/** Injected randomness. */
export interface Random {
  bytes(length: number): Uint8Array;
}

/** EdgeX origins are nanoseconds in an int64: kept as bigint, never as a float. */
export function millisToOrigin(millis: number): bigint {
  return BigInt(Math.round(millis * 1000)) * 1000n;
}
