/** Where something is: degrees. */
export interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

/** Over the Gulf of Patras: from the university to the northern end of the Rio-Antirio bridge. */
const FROM: Place = { latitude: 38.286, longitude: 21.786 };
const TO: Place = { latitude: 38.331, longitude: 21.764 };

const BASE32 = '0123456789bcdefghjkmnpqrstuvwxyz';
/** About 150 m x 150 m: edges on the route are in cells of their own. */
const PRECISION = 7;

/** The geohash cell that a place is in: the local market in which orders meet. */
export function geohashOf({ latitude, longitude }: Place): string {
  const ranges = { longitude: [-180, 180] as [number, number], latitude: [-90, 90] as [number, number] };
  const at = { longitude, latitude };
  let bits = 0;
  let text = '';
  for (let i = 0; i < PRECISION * 5; i++) {
    const axis = i % 2 === 0 ? 'longitude' : 'latitude';
    const range = ranges[axis];
    const middle = (range[0] + range[1]) / 2;
    const isUpper = at[axis] >= middle;
    range[isUpper ? 0 : 1] = middle;
    bits = (bits << 1) | (isUpper ? 1 : 0);
    if (i % 5 !== 4) continue;
    text += BASE32[bits] ?? '';
    bits = 0;
  }
  return text;
}

/** A part of the route, along which one edge serves. Metres and ms are counted from the take-off. */
export interface RouteLeg {
  readonly place: Place;
  /** Between which the drone reaches the leg's edge: legs overlap, so that each can be made before the one before is broken. */
  readonly reach: { readonly from: number; readonly until: number };
  readonly window: { readonly fromMs: number; readonly untilMs: number };
}

export interface RoutePlan {
  readonly speed: number;
  readonly length: number;
  readonly legs: readonly RouteLeg[];
}

/** How fast the drone flies, m/s. */
const SPEED = 20;

/** A route of so many legs, each of which takes `legMs`, with edges in the middle of theirs that are reached `overlapMs` beyond them. */
export function planRoute(edges: number, legMs: number, overlapMs: number): RoutePlan {
  const metres = (ms: number): number => (SPEED * ms) / 1000;
  const legs = Array.from({ length: edges }, (_, i): RouteLeg => {
    const part = (i + 0.5) / edges;
    const between = (from: number, to: number): number => from + (to - from) * part;
    const [fromMs, untilMs] = [i * legMs - overlapMs, (i + 1) * legMs + overlapMs];
    return {
      place: {
        latitude: between(FROM.latitude, TO.latitude),
        longitude: between(FROM.longitude, TO.longitude),
      },
      reach: { from: metres(fromMs), until: metres(untilMs) },
      window: { fromMs, untilMs },
    };
  });
  return { speed: SPEED, length: metres(edges * legMs), legs };
}
