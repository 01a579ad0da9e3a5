import { z } from 'zod';
import { toBase64 } from '@antirio/kernel';
import type { RingFrame } from '../frame.ts';

const rxSchema = z.object({
  tmst: z.int().min(0).max(0xffff_ffff),
  frequency: z.int().min(1).max(0xffff_ffff),
  spreadingFactor: z.int().min(5).max(12),
  bandwidth: z.int().min(1).max(0xffff_ffff),
  codeRate: z.string().max(16),
  rssi: z.number(),
  snr: z.number(),
  channel: z.int().min(0).max(255),
  rfChain: z.int().min(0).max(255),
  crcOk: z.boolean(),
  time: z.string().max(64).optional(),
  gpsTimeMs: z.int().min(0).optional(),
  fineTimeNs: z.int().min(0).max(999_999_999).optional(),
  board: z.int().min(0).max(255).optional(),
  antenna: z.int().min(0).max(255).optional(),
});

/** A frame as rings hand it on: the PHYPayload in base64. */
export const frameSchema = z.object({
  seq: z.int().min(1),
  receivedAt: z.number().min(0),
  gatewayId: z.string().regex(/^[0-9a-f]{16}$/),
  via: z.string().max(128),
  phyPayload: z.string().max(344),
  rx: rxSchema,
});

export type WireFrame = z.output<typeof frameSchema>;

export function toWire(frame: RingFrame): WireFrame {
  const { seq, receivedAt, gatewayId, via, rx } = frame;
  return { seq, receivedAt, gatewayId, via, phyPayload: toBase64(frame.phyPayload), rx };
}
