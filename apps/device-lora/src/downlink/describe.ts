import { z } from 'zod';
import { toHex } from '@antirio/kernel';
import { ENCRYPT_AGAIN } from './desk.ts';
import type { Downlink } from './store.ts';

/** A downlink as it is shown: without its bytes on air. */
export const downlinkView = z.object({
  id: z.int(),
  resource: z.string(),
  state: z.enum(['queued', 'sending', 'sent', 'acknowledged', 'failed']),
  confirmed: z.boolean(),
  fPort: z.int(),
  /** Hex. */
  payload: z.string(),
  /** Times on air. */
  attempts: z.int(),
  fCntDown: z.int().optional(),
  /** Whether the payload was encrypted elsewhere, for this counter. */
  isEncrypted: z.literal(true).optional(),
  /** Its counter was passed, and the device has not got it: it is to be encrypted for another counter. */
  encryptAgain: z.literal(true).optional(),
  /** Wall ms. */
  createdAt: z.number(),
  updatedAt: z.number(),
  /** What became of the last attempt. */
  error: z.string().optional(),
  waitingFor: z.string().optional(),
});

export type DownlinkView = z.output<typeof downlinkView>;

export function describeDownlink(downlink: Downlink, waitingFor: string | undefined): DownlinkView {
  const { id, resource, state, confirmed, fPort, payload, attempts, ...rest } = downlink;
  const { fcnt, createdAt, updatedAt, error, isEncrypted } = rest;
  return {
    ...{ id, resource, state, confirmed, fPort, payload: toHex(payload), attempts },
    ...(fcnt === undefined ? {} : { fCntDown: fcnt }),
    ...(isEncrypted ? { isEncrypted } : {}),
    ...(error?.startsWith(ENCRYPT_AGAIN) === true ? { encryptAgain: true } : {}),
    createdAt,
    updatedAt,
    ...(error === undefined ? {} : { error }),
    ...(waitingFor === undefined ? {} : { waitingFor }),
  };
}
