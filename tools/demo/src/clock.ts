/** CLOCK_MONOTONIC in ms: the same in every process of this machine. */
export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Uniform in [0, 1), each value from the seed and its purpose (FNV-1a, then a mixing step of MurmurHash3). */
export function drawn(seed: string, purpose: string): number {
  let hash = 0x811c9dc5;
  for (const char of `${seed}/${purpose}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
