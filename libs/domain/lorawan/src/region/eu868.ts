import { AntirioError } from '@antirio/kernel';
import { channelList } from './cf-list.ts';
import {
  dataRateName,
  type Band,
  type Channel,
  type LoraDataRate,
  type RadioSettings,
  type ReceiveParameters,
  type ReceiveWindow,
  type RegionPlan,
} from './plan.ts';

interface Rate extends LoraDataRate {
  readonly maxPayload: number;
  /** dB, Semtech SX1276 data sheet, LoRa demodulator SNR. */
  readonly requiredSnr: number;
}

const rate = (spreadingFactor: number, bandwidth: number, maxPayload: number, requiredSnr: number): Rate => ({
  spreadingFactor,
  bandwidth,
  maxPayload,
  requiredSnr,
});

// RP002-1.0.3, 2.4.3 and 2.4.6: DR0 to DR6, column N of the payloads that a repeater can pass. DR7 (FSK) and DR8 to
// DR11 (LR-FHSS) are optional, and neither heard nor given.
const RATES: readonly Rate[] = [
  rate(12, 125_000, 51, -20),
  rate(11, 125_000, 51, -17.5),
  rate(10, 125_000, 51, -15),
  rate(9, 125_000, 115, -12.5),
  rate(8, 125_000, 222, -10),
  rate(7, 125_000, 222, -7.5),
  rate(7, 250_000, 222, -7.5),
];
const INDEXES: ReadonlyMap<string, number> = new Map(RATES.map((each, index) => [dataRateName(each), index]));

const indexOf = (settings: LoraDataRate): number | undefined => INDEXES.get(dataRateName(settings));
const rateOf = (settings: LoraDataRate): Rate | undefined => RATES[indexOf(settings) ?? -1];

const band = (name: string, from: number, to: number, dutyCycle: number, maxEirp: number): Band => ({
  name,
  from: from * 100_000,
  to: to * 100_000,
  dutyCycle,
  maxEirp,
});

// ETSI EN 300 220-2, table B.1; ERP + 2.15 dB, whole dBm. 868.6-868.7, 869.2-869.4 and 869.65-869.7 MHz are for alarms.
const BANDS: readonly Band[] = [
  band('K', 8630, 8650, 0.001, 16),
  band('L', 8650, 8680, 0.01, 16),
  band('M', 8680, 8686, 0.01, 16),
  band('N', 8687, 8692, 0.001, 16),
  band('P', 8694, 8696.5, 0.1, 29),
  band('R', 8697, 8700, 0.01, 16),
];
const bandOf = (frequency: number): Band | undefined =>
  BANDS.find(({ from, to }) => frequency >= from && frequency < to);

const DEFAULT_CHANNELS: readonly Channel[] = [868_100_000, 868_300_000, 868_500_000].map((frequency) => ({
  frequency,
  minDataRate: 0,
  maxDataRate: 5,
  enabled: true,
}));

const RECEIVE_DEFAULTS: ReceiveParameters = {
  rx1DelayS: 1,
  rx1DrOffset: 0,
  rx2: { frequency: 869_525_000, dataRate: 0 },
  channels: DEFAULT_CHANNELS,
};

const JOIN_RX1_S = 5;
const MAX_OFFSET = 5;
const MAX_EIRP = 16;
// The highest entry of most gateways' TX gain tables (Semtech's for the SX1301): older packet forwarders refuse anything above.
const MAX_GATEWAY_POWER = 27;
const inBandPlan = (frequency: number): boolean => frequency >= 863_000_000 && frequency <= 870_000_000;

function rx1DataRate(uplinkDataRate: number, rx1DrOffset: number): number {
  if (RATES[uplinkDataRate] === undefined)
    throw new AntirioError('invalidInput', `EU868 has no data rate ${uplinkDataRate}`);
  if (!Number.isInteger(rx1DrOffset) || rx1DrOffset < 0 || rx1DrOffset > MAX_OFFSET)
    throw new AntirioError('invalidInput', `EU868 has RX1DROffset 0 to ${MAX_OFFSET}, not ${rx1DrOffset}`);
  return Math.max(0, uplinkDataRate - rx1DrOffset);
}

function windowOf(frequency: number, settings: LoraDataRate, delayS: number): ReceiveWindow {
  const { spreadingFactor, bandwidth } = settings;
  const power = Math.min(bandOf(frequency)?.maxEirp ?? MAX_EIRP, MAX_GATEWAY_POWER);
  return { frequency, spreadingFactor, bandwidth, delayUs: delayS * 1_000_000, power };
}

function receiveWindows(
  uplink: RadioSettings,
  parameters = RECEIVE_DEFAULTS,
): readonly [ReceiveWindow, ReceiveWindow] {
  const { rx1DelayS, rx1DrOffset, rx2, channels } = parameters;
  const channel = channels.find((each) => each?.frequency === uplink.frequency);
  const index = indexOf(uplink);
  // What is outside of the plan is answered as it came.
  const rx1 = (index === undefined ? undefined : RATES[rx1DataRate(index, rx1DrOffset)]) ?? uplink;
  const rx2Rate = RATES[rx2.dataRate];
  if (rx2Rate === undefined)
    throw new AntirioError('invalidInput', `EU868 has no data rate ${rx2.dataRate} for RX2`);
  return [
    windowOf(channel?.downlinkFrequency ?? uplink.frequency, rx1, rx1DelayS),
    windowOf(rx2.frequency, rx2Rate, rx1DelayS + 1),
  ];
}

/** EU863-870: RP002-1.0.3, 2.4, for LoRaWAN 1.0.2 to 1.0.4. */
export const eu868: RegionPlan = {
  name: 'eu868',
  receiveDefaults: RECEIVE_DEFAULTS,
  joinRx1DelayS: JOIN_RX1_S,
  receiveWindows,
  joinWindows: (joinRequest) => receiveWindows(joinRequest, { ...RECEIVE_DEFAULTS, rx1DelayS: JOIN_RX1_S }),
  dataRate(index) {
    const found = RATES[index];
    return found && { spreadingFactor: found.spreadingFactor, bandwidth: found.bandwidth };
  },
  dataRateIndex: indexOf,
  maxAdrDataRate: 5,
  maxRx1DrOffset: MAX_OFFSET,
  rx1DataRate,
  txPowers: Array.from({ length: 8 }, (_, index) => MAX_EIRP - 2 * index),
  requiredSnr: (settings) => rateOf(settings)?.requiredSnr ?? 0,
  defaultChannels: DEFAULT_CHANNELS,
  maxChannels: 16,
  cfList: (frequencies) => channelList(frequencies, inBandPlan),
  band: bandOf,
  bands: BANDS,
  maxPayload: (settings) => rateOf(settings)?.maxPayload ?? 0,
  inPlan: (settings) => inBandPlan(settings.frequency) && indexOf(settings) !== undefined,
  framesPerSecond: 1,
};
