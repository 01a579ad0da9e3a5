import type { Random } from '@antirio/kernel';

/** Some of many, each with the same chance, without knowing how many there are (reservoir sampling, Vitter's algorithm R). */
export interface Sample<T> {
  offer(item: T): void;
  readonly taken: readonly T[];
}

export function createSample<T>(size: number, random: Random): Sample<T> {
  const taken: T[] = [];
  let seen = 0;
  return {
    taken,
    offer(item) {
      seen++;
      if (taken.length < size) {
        taken.push(item);
        return;
      }
      const place = Math.floor(fraction(random) * seen);
      if (place < size) taken[place] = item;
    },
  };
}

function fraction(random: Random): number {
  const bytes = random.bytes(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}
