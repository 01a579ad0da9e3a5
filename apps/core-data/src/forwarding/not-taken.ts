/** Places from one to another, both of them within. */
export type PlaceRange = readonly [from: number, through: number];

/** Ranges that are told apart: some kilobytes where it is noted how far a rule has come. */
const MOST = 256;

/** Makes one range of the two that are next to each other with the least between them. */
function joined(ranges: readonly PlaceRange[]): PlaceRange[] {
  const gaps = ranges.slice(1).map(([from], i) => from - (ranges[i]?.[1] ?? from));
  const first = gaps.indexOf(Math.min(...gaps));
  const [from, through] = [ranges[first], ranges[first + 1]];
  if (from === undefined || through === undefined) return [...ranges];
  return [...ranges.slice(0, first), [from[0], through[1]], ...ranges.slice(first + 2)];
}

/**
 * The places that no receiver took, one more range of them included; ascending, apart from each other. Of more than a bound the closest become one:
 * places between them count as not taken then, never one that was not taken as taken.
 */
export function withRange(ranges: readonly PlaceRange[], [from, through]: PlaceRange): PlaceRange[] {
  const before = ranges.filter((range) => range[1] < from - 1);
  const after = ranges.filter((range) => range[0] > through + 1);
  const touched = ranges.slice(before.length, ranges.length - after.length);
  const whole: PlaceRange = [
    Math.min(from, ...touched.map((range) => range[0])),
    Math.max(through, ...touched.map((range) => range[1])),
  ];
  const all = [...before, whole, ...after];
  return all.length > MOST ? joined(all) : all;
}

export const isWithin = (ranges: readonly PlaceRange[], place: number): boolean =>
  ranges.some(([from, through]) => place >= from && place <= through);
