import { z } from 'zod';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';

/** What became of a downlink, in the words and the order of ChirpStack's `gw.TxAckStatus`. */
export const TX_ACK_STATUSES = [
  'IGNORED',
  'OK',
  'TOO_LATE',
  'TOO_EARLY',
  'COLLISION_PACKET',
  'COLLISION_BEACON',
  'TX_FREQ',
  'TX_POWER',
  'GPS_UNLOCKED',
  'QUEUE_FULL',
  'INTERNAL_ERROR',
  'DUTY_CYCLE_OVERFLOW',
] as const;

export type TxAckStatus = (typeof TX_ACK_STATUSES)[number];

/** What a TX_ACK says. */
export interface TxAnswer {
  readonly status: TxAckStatus;
  /** It goes out with less power than asked for: dBm, where the gateway says how much. */
  readonly reducedPower?: number | 'unknown';
}

// The packet forwarder's error words are ChirpStack's own; these are those that a gateway may say.
const ERRORS: ReadonlySet<string> = new Set([
  'TOO_LATE',
  'TOO_EARLY',
  'COLLISION_PACKET',
  'COLLISION_BEACON',
  'TX_FREQ',
  'TX_POWER',
  'GPS_UNLOCKED',
  'QUEUE_FULL',
] satisfies TxAckStatus[]);

const word = z.string().max(64).optional();
const schema = z.object({
  txpk_ack: z
    .object({ error: word, warn: word, value: z.union([z.string().max(64), z.number()]).optional() })
    .optional(),
});

const isError = (said: string): said is TxAckStatus => ERRORS.has(said);

type Fields = NonNullable<z.output<typeof schema>['txpk_ack']>;

function answerOf({ error = 'NONE', warn, value }: Fields): TxAnswer {
  if (error !== 'NONE' && error !== '') return { status: isError(error) ? error : 'INTERNAL_ERROR' };
  if (warn !== 'TX_POWER') return { status: 'OK' };
  const power = Number(value);
  return { status: 'OK', reducedPower: value !== undefined && Number.isFinite(power) ? power : 'unknown' };
}

/**
 * Reads the JSON of a TX_ACK. No payload at all means that the downlink was accepted, as does a warning.
 * @throws AntirioError invalidInput
 */
export function readTxAck(json: Uint8Array): TxAnswer {
  const text = fromUtf8(json).replace(/\0+$/, '').trim();
  if (text === '') return { status: 'OK' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'TX_ACK without JSON', {}, cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new AntirioError('invalidInput', `TX_ACK: ${issuesOf(parsed.error)}`);
  return answerOf(parsed.data.txpk_ack ?? {});
}
