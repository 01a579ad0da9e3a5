import { z } from 'zod';
import { bytesOrNone } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { parseDevAddr } from '@antirio/lorawan';
import type { JoinHome } from './home.ts';

const address = z
  .string()
  .regex(/^[0-9a-fA-F]{8}$/)
  .transform(parseDevAddr);
/** 23 and at most 33 bytes; what is no base64 is refused by itself. */
const onAir = z.string().max(64).transform(bytesOrNone);
const coming = z.strictObject({
  /** The addresses that they may have been given. */
  range: z.strictObject({ first: address, last: address }),
  joins: z.array(z.strictObject({ joinRequest: onAir, joinAccept: onAir, at: z.number().min(0) })).max(200),
});

const count = z.int();
const taken = z.object({
  ...{ taken: count, known: count, replay: count, badNonce: count },
  ...{ malformed: count, unknown: count, badMic: count, badAccept: count, outOfRange: count },
});

/** Joins that another edge answered in our place. */
export function addJoinRoutes(rim: HttpRim, home: JoinHome | undefined): void {
  if (home === undefined) return;
  const about = { summary: 'sessions of joins that another edge answered', body: coming, answer: taken };
  rim.route('post', '/api/v3/lora/join', about, ({ body: { range, joins } }) => home.take(range, joins));
}
