import { z } from 'zod';
import { toHex } from '@antirio/kernel';
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
  const { fcnt, createdAt, updatedAt, error } = rest;
  return {
    ...{ id, resource, state, confirmed, fPort, payload: toHex(payload), attempts },
    ...(fcnt === undefined ? {} : { fCntDown: fcnt }),
    createdAt,
    updatedAt,
    ...(error === undefined ? {} : { error }),
    ...(waitingFor === undefined ? {} : { waitingFor }),
  };
}
