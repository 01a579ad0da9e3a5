/** One of the gateway's receive channels. */
export interface Channel {
  /** Concentrator IF channel. */
  readonly chan: number;
  /** Concentrator RF chain. */
  readonly rfch: number;
  readonly freqMhz: number;
}

/** The eight EU868 channels, numbered as in the usual `global_conf.json`. */
export const CHANNELS: readonly [Channel, ...Channel[]] = [
  { chan: 0, rfch: 1, freqMhz: 868.1 },
  { chan: 1, rfch: 1, freqMhz: 868.3 },
  { chan: 2, rfch: 1, freqMhz: 868.5 },
  { chan: 3, rfch: 0, freqMhz: 867.1 },
  { chan: 4, rfch: 0, freqMhz: 867.3 },
  { chan: 5, rfch: 0, freqMhz: 867.5 },
  { chan: 6, rfch: 0, freqMhz: 867.7 },
  { chan: 7, rfch: 0, freqMhz: 867.9 },
];

/** Second receive window (Regional Parameters, EU863-870): one frequency and data rate for all. */
export const RX2 = { freqMhz: 869.525, datr: 'SF12BW125' } as const;
/** RECEIVE_DELAY1 and RECEIVE_DELAY2, ms after the end of the uplink. */
export const RX1_DELAY_MS = 1_000;
export const RX2_DELAY_MS = 2_000;
/** MAX_FCNT_GAP: a mote ignores downlinks that jump this far. */
export const MAX_FCNT_GAP = 16_384;
/** ADR_ACK_LIMIT: uplinks without any downlink after which an ADR mote asks for one. */
export const ADR_ACK_LIMIT = 64;

/** JOIN_ACCEPT_DELAY1 and JOIN_ACCEPT_DELAY2, ms after the end of a JoinRequest. */
export const JOIN_RX1_DELAY_MS = 5_000;
export const JOIN_RX2_DELAY_MS = 6_000;
/** The channels that every EU868 mote has, and the only ones for a JoinRequest. */
export const DEFAULT_CHANNELS = 3;
/** DR0 to DR5 are SF12 to SF7 at 125 kHz; a simulated mote has no others. */
export const FASTEST_DATA_RATE = 5;

/** Highest EIRP of a mote, dBm; each step of TXPower takes 2 dB off. */
const MAX_EIRP_DBM = 16;
export const eirpAt = (txPower: number): number => MAX_EIRP_DBM - 2 * txPower;

const PREAMBLE_SYMBOLS = 8;

/** EU868 data rate (0..5) of a spreading factor at 125 kHz, and back. */
export const dataRateOf = (spreadingFactor: number): number => 12 - spreadingFactor;
export const spreadingFactorAt = (dataRate: number): number => 12 - dataRate;

/** As in `rxpk.datr`. */
export const datrOf = (spreadingFactor: number): string => `SF${spreadingFactor}BW125`;

/** The gateway's channel at a frequency; a channel numbered -1 is one that no gateway listens to. */
export function channelAt(freqMhz: number): Channel {
  const known = CHANNELS.find((channel) => Math.abs(channel.freqMhz - freqMhz) < 1e-6);
  return known ?? { chan: -1, rfch: 0, freqMhz };
}

/** Spreading factor of a data rate like `SF7BW125`; undefined for anything else. */
export function spreadingFactorOf(datr: string): number | undefined {
  const match = /^SF(7|8|9|10|11|12)BW125$/.exec(datr);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** Time on air in ms of `size` bytes at 125 kHz, coding rate 4/5, explicit header (Semtech SX1276 datasheet 4.1.1.7). */
export function airtimeMs(spreadingFactor: number, size: number, crc: boolean): number {
  const symbolMs = 2 ** spreadingFactor / 125;
  const lowDataRate = spreadingFactor >= 11 ? 1 : 0;
  const bits = 8 * size - 4 * spreadingFactor + 28 + (crc ? 16 : 0);
  const payloadSymbols = 8 + Math.max(0, Math.ceil(bits / (4 * (spreadingFactor - 2 * lowDataRate))) * 5);
  return (PREAMBLE_SYMBOLS + 4.25 + payloadSymbols) * symbolMs;
}
