import { z } from 'zod';

/** One leg of the route: an edge near it, under contract for the time in which the drone comes by. */
const leg = z.strictObject({
  name: z.string().min(1).max(64),
  contractId: z.uuid(),
  /** Metres along the route between which the drone reaches the edge. */
  reach: z.strictObject({ from: z.number(), until: z.number() }),
  /** Of the edge's door for streams. */
  url: z.url(),
  mqttUrl: z.url({ protocol: /^mqtts?$/ }),
});
export type Leg = z.output<typeof leg>;

/** All that the drone takes along: it asks nobody for anything else on its way. */
export const flightPlan = z.strictObject({
  drone: z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/),
  flight: z.uuid(),
  /** 32 bytes, hex: of this flight. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  /** What the camera sees follows from it. */
  seed: z.string(),
  serviceName: z.string(),
  width: z.int().min(16).max(4096),
  height: z.int().min(16).max(4096),
  framesPerSecond: z.number().positive().max(120),
  /** Metres per second. */
  speed: z.number().positive(),
  /** Metres. */
  routeLength: z.number().positive(),
  stream: z.enum(['http', 'mqtt']),
  /** Frames that are kept until they are acknowledged: beyond them the oldest is dropped, and counted. */
  bufferFrames: z.int().min(1).max(100_000),
  /** Frames under way at once. */
  underWay: z.int().min(1).max(64),
  /** How long it waits over its goal for the last acknowledgements, ms. */
  patienceMs: z.int().min(0),
  /** Wall ms. */
  takeOffAt: z.number(),
  legs: z.array(leg).min(1).max(16),
  /** One line of JSON for each acknowledged frame. */
  logFile: z.string().min(1),
});
export type FlightPlan = z.output<typeof flightPlan>;
