import { z } from 'zod';

/** What an edge's arbitrator and its device service tell one another of drill downlinks, under this topic of the bus. */
export const LENT_TOPIC = 'antirio/lent-downlink';

const devAddr = z.string().regex(/^[0-9a-f]{8}$/);
const phyPayload = z.string().regex(/^(?:[0-9a-f]{2}){12,255}$/);

/** Sensors of all contracts that are sampled at a time. */
export const MAX_SAMPLED = 1024;

/** `<topic>/sample`: the next downlink to each of these is to go through a provider's gateway. It holds until the next sample. */
export const lentSample = z.object({ devAddrs: z.array(devAddr).max(MAX_SAMPLED), forMs: z.int().min(0) });

export const lentWindow = z.strictObject({
  delayUs: z.int().min(0).max(16_500_000),
  frequency: z.int().min(1).max(0xffff_ffff),
  power: z.number().min(-10).max(40),
  bandwidth: z.int().min(1),
  spreadingFactor: z.int().min(5).max(12),
});

/** `<topic>/send`: a frame, and the uplink whose windows it is for. */
export const lentSend = z.object({
  requestId: z.string().max(64),
  devAddr,
  uplink: phyPayload,
  phyPayload,
  windows: z.array(lentWindow).min(1).max(4),
  /** Until the last of them, ms. */
  leftMs: z.int().min(0).max(20_000),
});
export type LentSend = z.output<typeof lentSend>;

/** `<topic>/outcome`: `notSent` surely not; `unsure`: nobody says. */
export const lentOutcome = z.object({
  requestId: z.string(),
  outcome: z.enum(['sent', 'notSent', 'unsure']),
  why: z.string().optional(),
});
export type LentOutcome = z.output<typeof lentOutcome>;

/** `<topic>/result`: whether the sensor's next uplink answered what it was sent. */
export const lentResult = z.object({
  devAddr,
  answered: z.boolean(),
  margin: z.int().min(-32).max(31).optional(),
});
