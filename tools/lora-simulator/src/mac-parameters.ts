import type { JoinAccept } from './join-frames.ts';
import type { ReceiveSettings } from './receive-windows.ts';
import {
  CHANNELS,
  dataRateOf,
  datrOf,
  DEFAULT_CHANNELS,
  FASTEST_DATA_RATE,
  RX2,
  spreadingFactorAt,
} from './eu868.ts';
import { DEFAULT_RECEPTION } from './receive-windows.ts';

/** One of the 16 uplink channels that a mote may have. */
export interface MoteChannel {
  readonly freqMhz: number;
  readonly slowest: number;
  readonly fastest: number;
  readonly enabled: boolean;
  /** RX1 listens here instead (DlChannelReq). */
  readonly downlinkMhz?: number;
}

/** A mote's channels by index; undefined where it has none. */
export type ChannelList = readonly (MoteChannel | undefined)[];

/** All that a network may change of a mote's radio. */
export interface MacParameters {
  /** DR0 to DR5. */
  readonly dataRate: number;
  /** TXPower index: 16 dBm less 2 dB each. */
  readonly txPower: number;
  /** How often each uplink goes on air, 1..15. */
  readonly nbTrans: number;
  readonly channels: ChannelList;
  readonly reception: ReceiveSettings;
  /** All uplinks together stay below 1 / 2^maxDutyCycle of the time. */
  readonly maxDutyCycle: number;
}

const channel = (freqMhz: number): MoteChannel => ({
  freqMhz,
  slowest: 0,
  fastest: FASTEST_DATA_RATE,
  enabled: true,
});
const ALL_CHANNELS: ChannelList = CHANNELS.map(({ freqMhz }) => channel(freqMhz));

/** The three channels that no network can take away. */
export const JOIN_CHANNELS: ChannelList = ALL_CHANNELS.slice(0, DEFAULT_CHANNELS);

/** What a mote of this spreading factor has from its maker. */
export function factoryParameters(spreadingFactor: number, channels = ALL_CHANNELS): MacParameters {
  return {
    dataRate: dataRateOf(spreadingFactor),
    txPower: 0,
    nbTrans: 1,
    channels,
    reception: DEFAULT_RECEPTION,
    maxDutyCycle: 0,
  };
}

const DATR_OF_6 = 'SF7BW250';

/** `datr` of an EU868 data rate; one that is no LoRa data rate is never on air. */
export function datrAt(dataRate: number): string {
  if (dataRate <= FASTEST_DATA_RATE) return datrOf(spreadingFactorAt(dataRate));
  return dataRate === 6 ? DATR_OF_6 : 'none';
}

/** What a mote has after a join: its maker's settings, and what the JoinAccept says. */
export function joinedParameters(spreadingFactor: number, accept: JoinAccept): MacParameters {
  const given = accept.cfListMhz.map((freqMhz) => (freqMhz === 0 ? undefined : channel(freqMhz)));
  return {
    ...factoryParameters(spreadingFactor, [...JOIN_CHANNELS, ...given]),
    reception: {
      rx1DelayMs: 1_000 * accept.rxDelayS,
      rx2DelayMs: 1_000 * (accept.rxDelayS + 1),
      rx1DrOffset: accept.rx1DrOffset,
      rx2: { freqMhz: RX2.freqMhz, datr: datrAt(accept.rx2DataRate) },
    },
  };
}

/** The channels on which a mote may send at its data rate. */
export function usableChannels({
  channels,
  dataRate,
}: Pick<MacParameters, 'channels' | 'dataRate'>): MoteChannel[] {
  return channels.filter(
    (candidate): candidate is MoteChannel =>
      candidate?.enabled === true && candidate.slowest <= dataRate && dataRate <= candidate.fastest,
  );
}
