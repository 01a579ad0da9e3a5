/** Metres east and north of a common origin. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Degrees, WGS 84. */
export interface Coordinates {
  readonly lat: number;
  readonly lon: number;
}

/** A place as a user writes it. */
export type Position = Point | Coordinates;

const METRES_PER_DEGREE = 111_320;

export const isCoordinates = (position: Position): position is Coordinates => 'lat' in position;

/** Metres from `origin`; on a plane, which is right to a metre or so over what a gateway can hear. */
export function pointOf(position: Position, origin: Coordinates | undefined): Point {
  if (!isCoordinates(position)) return position;
  const { lat, lon } = origin ?? position;
  return {
    x: (position.lon - lon) * METRES_PER_DEGREE * Math.cos((lat * Math.PI) / 180),
    y: (position.lat - lat) * METRES_PER_DEGREE,
  };
}

export const distanceM = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);

/** A place in a disc, uniform over its area; `first` and `second` are uniform in [0, 1). */
export function pointInDisc(centre: Point, radiusM: number, first: number, second: number): Point {
  const distance = radiusM * Math.sqrt(first);
  const angle = 2 * Math.PI * second;
  return { x: centre.x + distance * Math.cos(angle), y: centre.y + distance * Math.sin(angle) };
}
