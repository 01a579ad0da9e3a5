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

/** A class with one list of numbers: of ten thousand motes' sets, closures and lists of pairs would be most of what they hold. */
class RangedFcntSet implements FcntSet {
  /** First and last counter of each range, in turns. */
  #bounds: number[];
  #count = 0;

  constructor(ranges: readonly FcntRange[]) {
    this.#bounds = ranges.flat();
    for (const [first, last] of ranges) this.#count += last - first + 1;
  }

  has(fcnt: number): boolean {
    return (this.#bounds[this.#find(fcnt)] ?? Infinity) <= fcnt;
  }

  add(fcnt: number): boolean {
    if (!Number.isInteger(fcnt) || fcnt < 0 || fcnt > 0xffff_ffff)
      throw new AntirioError('invalidInput', 'FCnt has 32 bits', { fcnt });
    const at = this.#find(fcnt);
    if ((this.#bounds[at] ?? Infinity) <= fcnt) return false;
    this.#insert(fcnt, at);
    this.#count += 1;
    return true;
  }

  get highest(): number | undefined {
    return this.#bounds.at(-1);
  }

  get count(): number {
    return this.#count;
  }

  ranges(): FcntRange[] {
    return this.within(0, Infinity);
  }

  within(from: number, to: number): FcntRange[] {
    const found: FcntRange[] = [];
    for (let at = this.#find(from); at < this.#bounds.length; at += 2) {
      const [first = Infinity, last = Infinity] = [this.#bounds[at], this.#bounds[at + 1]];
      if (first > to) break;
      found.push([Math.max(first, from), Math.min(last, to)]);
    }
    return found;
  }

  closeLowestGaps(maxRanges: number): number {
    const bounds = this.#bounds;
    const close = bounds.length / 2 - Math.max(1, maxRanges);
    if (close <= 0) return 0;
    const before = this.#count;
    const [first = 0, last = 0] = [bounds[0], bounds[2 * close + 1]];
    for (let at = 0; at <= 2 * close; at += 2) this.#count -= (bounds[at + 1] ?? 0) - (bounds[at] ?? 0) + 1;
    this.#count += last - first + 1;
    bounds.splice(0, 2 * close + 2, first, last);
    return this.#count - before;
  }

  /** Where the first range begins that ends at or after the counter. */
  #find(fcnt: number): number {
    let low = 0;
    let high = this.#bounds.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[2 * middle + 1] ?? Infinity) < fcnt) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }

  #insert(fcnt: number, at: number): void {
    const bounds = this.#bounds;
    const joinsBelow = at > 0 && bounds[at - 1] === fcnt - 1;
    const joinsAbove = bounds[at] === fcnt + 1;
    if (joinsBelow && joinsAbove) bounds.splice(at - 1, 2);
    else if (joinsBelow) bounds[at - 1] = fcnt;
    else if (joinsAbove) bounds[at] = fcnt;
    // a list that is made with its items has room for no more, one that they are put into for a dozen
    else if (bounds.length === 0) this.#bounds = [fcnt, fcnt];
    else bounds.splice(at, 0, fcnt, fcnt);
  }
}

/** @throws AntirioError corrupt when the ranges are not those of a set. */
export function createFcntSet(initial: readonly FcntRange[] = []): FcntSet {
  checkRanges(initial);
  return new RangedFcntSet(initial);
}
