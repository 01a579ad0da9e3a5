import { z } from 'zod';
import { edgeId } from './edge-id.ts';

/** The `kind` of what a customer signs about frames of the provider's ring. */
export const GENUINE_KIND = 'antirio/genuine-frames/1';
/** So many frames of the provider's ring are looked at in one go, the newest. */
export const GENUINE_SAMPLE = 32;
/** How often a customer says which of its provider's newest frames are genuine, ms. */
export const GENUINE_EVERY_MS = 60_000;

/**
 * Frames that both edges heard and that verify under one version of the keys, by the customer's word. Opened keys of that version
 * that do not verify one of them are not the keys that the customer uses itself.
 */
export const genuineFrames = z.strictObject({
  contractId: z.uuid(),
  keyVersion: z.int().min(1),
  frames: z
    .array(
      z.strictObject({
        devAddr: z.string().regex(/^[0-9a-f]{8}$/),
        /** 32 bits. */
        fcnt: z
          .int()
          .min(0)
          .max(2 ** 32 - 1),
        /** SHA-256 of the PHYPayload, which ends with the MIC. */
        digest: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1)
    .max(GENUINE_SAMPLE),
});
export type GenuineFrames = z.output<typeof genuineFrames>;

export const signedGenuineFrames = z.strictObject({
  kind: z.literal(GENUINE_KIND),
  by: edgeId,
  body: genuineFrames,
  signature: z.string().max(128),
});
export type SignedGenuineFrames = z.output<typeof signedGenuineFrames>;
