import { AntirioError } from '@antirio/kernel';

/** Both ends belong to the range. */
export type FcntRange = readonly [first: number, last: number];

/** A set of 32-bit frame counters, kept as ranges: a mote that loses nothing costs one of them. */
export interface FcntSet {
  has(fcnt: number): boolean;
  /** Whether it was new. */
  add(fcnt: number): boolean;
  /** The highest counter, undefined when empty. */
  readonly highest: number | undefined;
  /** How many counters are in the set. */
  readonly count: number;
  /** Disjoint, ascending, never touching. */
  ranges(): FcntRange[];
  /** The part between two counters, both included, as `ranges`. */
  within(from: number, to: number): FcntRange[];
  /**
   * Closes the lowest gaps until at most `maxRanges` are left: memory stays bounded, and a counter in a closed gap counts
   * as seen. Returns how many counters that gave up.
   */
  closeLowestGaps(maxRanges: number): number;
}

function checkRanges(ranges: readonly FcntRange[]): void {
  let previous = -2;
  for (const [first, last] of ranges) {
    if (
      !Number.isInteger(first) ||
      !Number.isInteger(last) ||
      first <= previous + 1 ||
      last < first ||
      last > 0xffff_ffff
    )
      throw new AntirioError('corrupt', 'frame counter ranges must ascend without touching', { first, last });
    previous = last;
  }
}

/** @throws AntirioError corrupt when the ranges are not those of a set. */
export function createFcntSet(initial: readonly FcntRange[] = []): FcntSet {
  checkRanges(initial);
  const firsts = initial.map(([first]) => first);
  const lasts = initial.map(([, last]) => last);
  let count = initial.reduce((sum, [first, last]) => sum + last - first + 1, 0);

  // index of the first range that ends at or after the counter
  const find = (fcnt: number): number => {
    let low = 0;
    let high = lasts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((lasts[middle] ?? Infinity) < fcnt) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const has = (fcnt: number): boolean => (firsts[find(fcnt)] ?? Infinity) <= fcnt;
  const insert = (fcnt: number): void => {
    const at = find(fcnt);
    const joinsBelow = lasts[at - 1] === fcnt - 1;
    const joinsAbove = firsts[at] === fcnt + 1;
    if (joinsBelow && joinsAbove) {
      firsts.splice(at, 1);
      lasts.splice(at - 1, 1);
    } else if (joinsBelow) lasts[at - 1] = fcnt;
    else if (joinsAbove) firsts[at] = fcnt;
    else {
      firsts.splice(at, 0, fcnt);
      lasts.splice(at, 0, fcnt);
    }
  };
  return {
    has,
    add(fcnt) {
      if (!Number.isInteger(fcnt) || fcnt < 0 || fcnt > 0xffff_ffff)
        throw new AntirioError('invalidInput', 'FCnt has 32 bits', { fcnt });
      if (has(fcnt)) return false;
      insert(fcnt);
      count += 1;
      return true;
    },
    get highest() {
      return lasts.at(-1);
    },
    get count() {
      return count;
    },
    ranges: () => firsts.map((first, i) => [first, lasts[i] ?? first] as const),
    within(from, to) {
      const found: FcntRange[] = [];
      for (let i = find(from); i < firsts.length; i++) {
        const [first = Infinity, last = Infinity] = [firsts[i], lasts[i]];
        if (first > to) break;
        found.push([Math.max(first, from), Math.min(last, to)]);
      }
      return found;
    },
    closeLowestGaps(maxRanges) {
      const close = firsts.length - Math.max(1, maxRanges);
      if (close <= 0) return 0;
      const before = count;
      const joined = [firsts[0] ?? 0, lasts[close] ?? 0] as const;
      for (let i = 0; i <= close; i++) count -= (lasts[i] ?? 0) - (firsts[i] ?? 0) + 1;
      count += joined[1] - joined[0] + 1;
      firsts.splice(0, close + 1, joined[0]);
      lasts.splice(0, close + 1, joined[1]);
      return count - before;
    },
  };
}
