import { z } from 'zod';
import type { TxError } from './gwmp.ts';
import { airtimeMs, spreadingFactorOf } from './eu868.ts';

const txpkSchema = z.looseObject({
  imme: z.boolean().optional(),
  tmst: z.int().min(0).max(0xffff_ffff).optional(),
  time: z.string().optional(),
  tmms: z.number().optional(),
  freq: z.number(),
  powe: z.number().default(14),
  modu: z.literal('LORA'),
  datr: z.string(),
  ipol: z.boolean().default(false),
  size: z.int().min(0).max(255),
  // Padding is optional.
  data: z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/),
  ncrc: z.boolean().default(false),
});

/** A downlink that a gateway can program. */
export interface TimedDownlink {
  readonly phyPayload: Buffer;
  readonly tmst: number;
  readonly freqMhz: number;
  readonly datr: string;
  /** dBm. */
  readonly powerDbm: number;
  readonly inverted: boolean;
  readonly airtimeMs: number;
}

/** Why a gateway programs nothing; without `txError` the datagram deserves no answer (reference: dropped). */
export interface DownlinkRefusal {
  readonly refused: string;
  readonly txError?: TxError;
  readonly phyPayload?: Buffer;
}

const LOWEST_MHZ = 863;
const HIGHEST_MHZ = 870;
const HIGHEST_DBM = 30;

function parseTxpk(json: string): z.output<typeof txpkSchema> | undefined {
  try {
    return z.looseObject({ txpk: txpkSchema }).parse(JSON.parse(json)).txpk;
  } catch {
    return undefined;
  }
}

function radioRefusal(txpk: z.output<typeof txpkSchema>): Omit<DownlinkRefusal, 'phyPayload'> | undefined {
  if (txpk.freq < LOWEST_MHZ || txpk.freq > HIGHEST_MHZ) return { refused: 'frequency', txError: 'TX_FREQ' };
  if (txpk.powe < 0 || txpk.powe > HIGHEST_DBM) return { refused: 'power', txError: 'TX_POWER' };
  // A frame without a time on our clock could be on air at any moment, after any change of who may send.
  if (txpk.imme === true) return { refused: 'immediate', txError: 'TOO_LATE' };
  if (txpk.tmst !== undefined) return undefined;
  const gpsTimed = txpk.time !== undefined || txpk.tmms !== undefined;
  return gpsTimed ? { refused: 'gpsTime', txError: 'GPS_UNLOCKED' } : { refused: 'noTime' };
}

/** Reads the JSON of a PULL_RESP. */
export function readTxpk(json: string): TimedDownlink | DownlinkRefusal {
  const txpk = parseTxpk(json);
  if (txpk === undefined) return { refused: 'malformed' };
  const phyPayload = Buffer.from(txpk.data, 'base64');
  const spreadingFactor = spreadingFactorOf(txpk.datr);
  if (spreadingFactor === undefined) return { refused: 'dataRate', phyPayload };
  if (phyPayload.length !== txpk.size) return { refused: 'size', phyPayload };
  const refusal = radioRefusal(txpk);
  if (refusal !== undefined) return { ...refusal, phyPayload };
  return {
    phyPayload,
    tmst: txpk.tmst ?? 0,
    freqMhz: txpk.freq,
    datr: txpk.datr,
    powerDbm: txpk.powe,
    inverted: txpk.ipol,
    airtimeMs: airtimeMs(spreadingFactor, phyPayload.length, !txpk.ncrc),
  };
}
