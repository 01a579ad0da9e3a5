import type { Channel } from './eu868.ts';
import type { Coordinates, Position } from './positions.ts';
import { isCoordinates } from './positions.ts';

/** A transmission under way to its servers, shared by all gateways that received it. */
export interface InFlight {
  readonly id: number;
  /** A server acknowledged it to a gateway; called once for each. */
  acknowledged(): void;
}

/** One frame as one gateway received it. */
export interface Reception {
  readonly tx: InFlight;
  readonly phyPayload: Buffer;
  readonly channel: Channel;
  readonly spreadingFactor: number;
  /** End of the frame, monotonic ms. */
  readonly endMs: number;
  readonly rssi: number;
  readonly snr: number;
}

// GPS time counts from 1980-01-06 and has no leap seconds: 18 since then.
const GPS_EPOCH_MS = 315_964_800_000;
const LEAP_MS = 18_000;

/** ISO 8601 with microseconds, as in `rxpk.time`. */
export function isoMicroseconds(wallNs: bigint): string {
  const milliseconds = new Date(Number(wallNs / 1_000_000n)).toISOString().slice(0, -1);
  const microseconds = String((wallNs / 1_000n) % 1_000n).padStart(3, '0');
  return `${milliseconds}${microseconds}Z`;
}

/** A gateway's report of one frame: PROTOCOL.TXT, section 4. */
export function rxpkOf(reception: Reception, tmst: number, wallNs: bigint): Record<string, unknown> {
  return {
    time: isoMicroseconds(wallNs),
    tmms: Number(wallNs / 1_000_000n) - GPS_EPOCH_MS + LEAP_MS,
    tmst,
    chan: reception.channel.chan,
    rfch: reception.channel.rfch,
    freq: reception.channel.freqMhz,
    stat: 1,
    modu: 'LORA',
    datr: `SF${reception.spreadingFactor}BW125`,
    codr: '4/5',
    lsnr: reception.snr,
    rssi: reception.rssi,
    size: reception.phyPayload.length,
    data: reception.phyPayload.toString('base64'),
  };
}

/** A gateway's counters since its last report. */
export interface StatCounters {
  readonly rxnb: number;
  readonly rxok: number;
  readonly rxfw: number;
  readonly pushed: number;
  readonly acked: number;
  readonly dwnb: number;
  readonly txnb: number;
}

/** Where a gateway says it is that has no coordinates. */
const PATRAS: Coordinates = { lat: 38.29, lon: 21.79 };

/** A gateway's report of itself. */
export function statOf(
  counters: StatCounters,
  wallNs: bigint,
  position: Position = PATRAS,
): Record<string, unknown> {
  const { lat, lon } = isCoordinates(position) ? position : PATRAS;
  const iso = new Date(Number(wallNs / 1_000_000n)).toISOString();
  const ackr = counters.pushed === 0 ? 0 : Math.round((1_000 * counters.acked) / counters.pushed) / 10;
  return {
    time: `${iso.slice(0, 10)} ${iso.slice(11, 19)} GMT`,
    lati: lat,
    long: lon,
    alti: 12,
    rxnb: counters.rxnb,
    rxok: counters.rxok,
    rxfw: counters.rxfw,
    ackr,
    dwnb: counters.dwnb,
    txnb: counters.txnb,
  };
}
