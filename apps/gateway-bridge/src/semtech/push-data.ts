import { z } from 'zod';
import { AntirioError, fromBase64, fromUtf8 } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';
import { parseDataRateName } from '@antirio/lorawan';
import type { Rx } from '../frame.ts';

const finite = z.number();
const uint8 = z.int().min(0).max(255);

// Gateways with several antennas put signal figures into `rsig`.
const rxpkSchema = z.object({
  tmst: z.int().min(0).max(0xffff_ffff),
  time: z.string().max(64).optional(),
  chan: uint8.default(0),
  rfch: uint8.default(0),
  freq: z.number().min(1).max(4000),
  stat: z.int().min(-1).max(1).default(1),
  modu: z.string().max(8),
  datr: z.union([z.string().max(16), z.number()]),
  codr: z.string().max(8).default('OFF'),
  rssi: finite.optional(),
  lsnr: finite.optional(),
  rsig: z
    .array(z.object({ chan: uint8.optional(), rssic: finite.optional(), lsnr: finite.optional() }))
    .max(16)
    .optional(),
  size: z.int().min(0).max(255).optional(),
  data: z.string().max(344),
});

type Rxpk = z.output<typeof rxpkSchema>;

const bodySchema = z.object({
  rxpk: z.array(z.unknown()).optional(),
  stat: z.record(z.string(), z.unknown()).optional(),
});

/** One element of `rxpk`: what was heard, or why it is not taken. */
export type Heard =
  | { readonly kind: 'frame'; readonly phyPayload: Uint8Array; readonly rx: Rx }
  | { readonly kind: 'crcFailed' }
  | { readonly kind: 'otherModulation' }
  | { readonly kind: 'malformed'; readonly why: string };

export interface PushData {
  readonly heard: readonly Heard[];
  /** The gateway's statistics, as it sent them. */
  readonly stat: Readonly<Record<string, unknown>> | undefined;
}

function toRx(rxpk: Rxpk, rate: Pick<Rx, 'spreadingFactor' | 'bandwidth'>): Rx {
  const [antenna] = rxpk.rsig ?? [];
  return {
    tmst: rxpk.tmst,
    frequency: Math.round(rxpk.freq * 1e6),
    ...rate,
    codeRate: rxpk.codr,
    rssi: rxpk.rssi ?? antenna?.rssic ?? 0,
    snr: rxpk.lsnr ?? antenna?.lsnr ?? 0,
    channel: rxpk.chan,
    rfChain: rxpk.rfch,
    crcOk: rxpk.stat === 1,
    time: rxpk.time,
  };
}

function readRxpk(value: unknown): Heard {
  const parsed = rxpkSchema.safeParse(value);
  if (!parsed.success) return { kind: 'malformed', why: issuesOf(parsed.error) };
  const rxpk = parsed.data;
  // 0 is "no CRC": unusual for an uplink, but the MIC tells in the end
  if (rxpk.stat === -1) return { kind: 'crcFailed' };
  const rate =
    rxpk.modu === 'LORA' && typeof rxpk.datr === 'string' ? parseDataRateName(rxpk.datr) : undefined;
  if (rate === undefined) return { kind: 'otherModulation' };
  let phyPayload: Uint8Array;
  try {
    phyPayload = fromBase64(rxpk.data);
  } catch {
    return { kind: 'malformed', why: 'data: not base64' };
  }
  if (rxpk.size !== undefined && rxpk.size !== phyPayload.length)
    return { kind: 'malformed', why: `size ${rxpk.size} but ${phyPayload.length} bytes of data` };
  return { kind: 'frame', phyPayload, rx: toRx(rxpk, rate) };
}

/** Reads the JSON of a PUSH_DATA. One bad element spoils none of the others. @throws AntirioError invalidInput for no such JSON. */
export function readPushData(json: Uint8Array): PushData {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(json));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'PUSH_DATA without JSON', {}, cause);
  }
  const parsed = bodySchema.safeParse(value);
  if (!parsed.success) throw new AntirioError('invalidInput', `PUSH_DATA: ${issuesOf(parsed.error)}`);
  return { heard: (parsed.data.rxpk ?? []).map(readRxpk), stat: parsed.data.stat };
}

const txAckSchema = z.object({ txpk_ack: z.object({ error: z.string().max(64).optional() }).optional() });

/** The outcome in a TX_ACK: `OK` or the forwarder's own word for what went wrong. */
export function readTxAck(json: Uint8Array): string {
  // PROTOCOL.TXT: no payload at all means that the downlink was accepted
  const text = fromUtf8(json).replace(/\0+$/, '').trim();
  if (text === '') return 'OK';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'TX_ACK without JSON', {}, cause);
  }
  const parsed = txAckSchema.safeParse(value);
  if (!parsed.success) throw new AntirioError('invalidInput', `TX_ACK: ${issuesOf(parsed.error)}`);
  const error = parsed.data.txpk_ack?.error ?? 'NONE';
  return error === 'NONE' ? 'OK' : error;
}
