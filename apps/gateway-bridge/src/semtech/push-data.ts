import { z } from 'zod';
import { AntirioError, fromBase64, fromUtf8 } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';
import { parseDataRateName } from '@antirio/lorawan';
import type { Rx } from '../frame.ts';
import { isMoment } from './moment.ts';
import { readStat, type GatewayStat } from './stat.ts';

// Far outside of what any radio measures; what no int32 can hold makes readers refuse the whole event.
export const decibels = z.number().min(-1000).max(1000);
// The longest that a Duration of protobuf can be: ten thousand years.
export const LONGEST_GPS_MS = 315_576_000_000_000;
const uint8 = z.int().min(0).max(255);

// One antenna of a gateway that has several: its signal is here, not in the element itself.
const antennaSchema = z.object({
  ant: uint8.optional(),
  chan: uint8.optional(),
  rssic: decibels.optional(),
  lsnr: decibels.optional(),
  ftime: z.int().min(0).max(999_999_999).optional(),
});

const rxpkSchema = z.object({
  tmst: z.int().min(0).max(0xffff_ffff),
  time: z.string().max(64).optional(),
  tmms: z.int().min(0).max(LONGEST_GPS_MS).optional(),
  ftime: z.int().min(0).max(999_999_999).optional(),
  chan: uint8.default(0),
  rfch: uint8.default(0),
  brd: uint8.optional(),
  freq: z.number().min(1).max(4000),
  stat: z.int().min(-1).max(1).default(1),
  modu: z.string().max(8),
  datr: z.union([z.string().max(32), z.number()]),
  codr: z.string().max(8).default('OFF'),
  rssi: decibels.optional(),
  lsnr: decibels.optional(),
  rsig: z.array(antennaSchema).max(16).optional(),
  size: z.int().min(0).max(255).optional(),
  // 255 bytes in base64, the most that a PHYPayload has
  data: z.string().max(340),
});

type Rxpk = z.output<typeof rxpkSchema>;
type Antenna = z.output<typeof antennaSchema>;

const bodySchema = z.object({
  rxpk: z.array(z.unknown()).optional(),
  stat: z.record(z.string(), z.unknown()).optional(),
});

/** One element of `rxpk`: what was heard, or why it is not taken. */
export type Heard =
  | { readonly kind: 'frame'; readonly phyPayload: Uint8Array; readonly rx: Rx }
  | { readonly kind: 'crcFailed' }
  | { readonly kind: 'fsk' }
  | { readonly kind: 'otherModulation' }
  | { readonly kind: 'malformed'; readonly why: string };

export interface PushData {
  readonly heard: readonly Heard[];
  /** The gateway's report of itself; undefined where it sent none. */
  readonly stat: GatewayStat | undefined;
}

const WORST = -Infinity;
// dBm, below all that a radio hears: a gateway that does not tell must not be taken for the strongest.
const UNKNOWN_RSSI = -200;

/** The antenna that heard the frame best, by SNR and then by strength. */
function bestAntenna(antennas: readonly Antenna[] | undefined): Antenna | undefined {
  return antennas?.reduce((best, one) => {
    const [snr, bestSnr] = [one.lsnr ?? WORST, best.lsnr ?? WORST];
    const isBetter = snr === bestSnr ? (one.rssic ?? WORST) > (best.rssic ?? WORST) : snr > bestSnr;
    return isBetter ? one : best;
  });
}

/** Only what is there: most gateways tell none of it. */
function extrasOf(rxpk: Rxpk, antenna: Antenna): Partial<Rx> {
  const extras: { -readonly [Key in keyof Rx]?: Rx[Key] } = {};
  const fineTimeNs = antenna.ftime ?? rxpk.ftime;
  if (isMoment(rxpk.time ?? '')) extras.time = rxpk.time;
  if (rxpk.tmms !== undefined) extras.gpsTimeMs = rxpk.tmms;
  if (fineTimeNs !== undefined) extras.fineTimeNs = fineTimeNs;
  if ((rxpk.brd ?? 0) > 0) extras.board = rxpk.brd;
  if (antenna.ant !== undefined) extras.antenna = antenna.ant;
  return extras;
}

function toRx(rxpk: Rxpk, rate: Pick<Rx, 'spreadingFactor' | 'bandwidth'>): Rx {
  const antenna = bestAntenna(rxpk.rsig) ?? {};
  return {
    tmst: rxpk.tmst,
    frequency: Math.round(rxpk.freq * 1e6),
    ...rate,
    codeRate: rxpk.codr,
    rssi: antenna.rssic ?? rxpk.rssi ?? UNKNOWN_RSSI,
    snr: antenna.lsnr ?? rxpk.lsnr ?? 0,
    channel: antenna.chan ?? rxpk.chan,
    rfChain: rxpk.rfch,
    crcOk: rxpk.stat === 1,
    ...extrasOf(rxpk, antenna),
  };
}

/** Base64, with its padding or without; undefined for anything else. */
function bytesOf(data: string): Uint8Array | undefined {
  try {
    return fromBase64(data.length % 4 === 0 ? data : data.padEnd(Math.ceil(data.length / 4) * 4, '='));
  } catch {
    return undefined;
  }
}

function readRxpk(value: unknown): Heard {
  const parsed = rxpkSchema.safeParse(value);
  if (!parsed.success) return { kind: 'malformed', why: issuesOf(parsed.error) };
  const rxpk = parsed.data;
  // 0 is "no CRC": unusual for an uplink, but the MIC tells in the end
  if (rxpk.stat === -1) return { kind: 'crcFailed' };
  if (rxpk.modu === 'FSK') return { kind: 'fsk' };
  const rate =
    rxpk.modu === 'LORA' && typeof rxpk.datr === 'string' ? parseDataRateName(rxpk.datr) : undefined;
  if (rate === undefined) return { kind: 'otherModulation' };
  const phyPayload = bytesOf(rxpk.data);
  if (phyPayload === undefined) return { kind: 'malformed', why: 'data: not base64' };
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
  const { rxpk = [], stat } = parsed.data;
  return { heard: rxpk.map(readRxpk), stat: stat === undefined ? undefined : readStat(stat) };
}
