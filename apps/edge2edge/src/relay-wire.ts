import { z } from 'zod';
import { edgeId } from './options.ts';

/** Largest body of a request, and of an answer, that the centre carries from one edge to another. */
export const MAX_RELAYED_BODY_BYTES = 64 << 10;
export const MAX_RELAYED_ANSWER_BYTES = 512 << 10;

const field = z.string().max(256);
const base64Of = (bytes: number) =>
  z
    .string()
    .max(Math.ceil(bytes / 3) * 4)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/);

/** A request that its edge has signed for another one, on its way through the centre, which knows from the way it came whose it is. */
export const relayedRequest = z.strictObject({
  to: edgeId,
  method: z.enum(['GET', 'POST']),
  /** As it was signed: from the slash before the room's name on, with its query. */
  path: z.string().min(1).max(2048),
  nonce: field,
  signature: field,
  contentType: field.optional(),
  /** Base64. */
  body: base64Of(MAX_RELAYED_BODY_BYTES),
});
export type RelayedRequest = z.output<typeof relayedRequest>;

/** What the other edge answered, with its signature; without one it has said no more than which challenge is in force. */
export const relayedAnswer = z.strictObject({
  status: z.int().min(100).max(599),
  contentType: field,
  challenge: field,
  signature: field,
  /** Base64. */
  body: base64Of(MAX_RELAYED_ANSWER_BYTES),
});
export type RelayedAnswer = z.output<typeof relayedAnswer>;
