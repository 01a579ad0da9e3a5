import { z } from 'zod';
import { toBase64 } from '@antirio/kernel';
import type { RingFrame } from '../frame.ts';
import { isMoment } from '../semtech/moment.ts';
import { decibels, LONGEST_GPS_MS } from '../semtech/push-data.ts';

const rxSchema = z.object({
  tmst: z.int().min(0).max(0xffff_ffff),
  frequency: z.int().min(1).max(0xffff_ffff),
  spreadingFactor: z.int().min(5).max(12),
  bandwidth: z.int().min(1).max(0xffff_ffff),
  codeRate: z.string().max(16),
  rssi: decibels,
  snr: decibels,
  channel: z.int().min(0).max(255),
  rfChain: z.int().min(0).max(255),
  crcOk: z.boolean(),
  time: z.string().max(64).refine(isMoment).optional().catch(undefined),
  gpsTimeMs: z.int().min(0).max(LONGEST_GPS_MS).optional(),
  fineTimeNs: z.int().min(0).max(999_999_999).optional(),
  board: z.int().min(0).max(255).optional(),
  antenna: z.int().min(0).max(255).optional(),
});

const LATEST_MS = 999_999_999_999_999;

/** Wall ms that the events of a frame have room for: what their readers refuse would keep them from all that comes after it. */
const wallMs = z
  .number()
  .min(0)
  .max(LATEST_MS)
  .transform((ms) => Math.round(ms * 1000) / 1000);

/** When and how a frame was heard, as another edge tells it. */
export const receptionSchema = z.object({ receivedAt: wallMs, rx: rxSchema });

/** A frame as rings hand it on: the PHYPayload in base64. */
export const frameSchema = receptionSchema.extend({
  seq: z.int().min(1),
  gatewayId: z.string().regex(/^[0-9a-f]{16}$/),
  via: z.string().max(128),
  // 255 bytes in base64, the most that a record has room for
  phyPayload: z.string().max(340),
});

export type WireFrame = z.output<typeof frameSchema>;

export function toWire(frame: RingFrame): WireFrame {
  const { seq, receivedAt, gatewayId, via, rx } = frame;
  return { seq, receivedAt, gatewayId, via, phyPayload: toBase64(frame.phyPayload), rx };
}
