import type { LinkAdrReq, LinkAdrStatus, MacAnswer, MacRequest } from './mac-commands.ts';
import type { ChannelList, MacParameters, MoteChannel } from './mac-parameters.ts';
import { DEFAULT_CHANNELS, FASTEST_DATA_RATE } from './eu868.ts';
import {
  devStatusAns,
  dlChannelAns,
  dutyCycleAns,
  linkAdrAns,
  newChannelAns,
  rxParamSetupAns,
  rxTimingSetupAns,
} from './mac-commands.ts';
import { datrAt, usableChannels } from './mac-parameters.ts';

/** Versions of LoRaWAN whose motes differ here. */
export type MacVersion = '1.0.3' | '1.0.4';

/** What a mote knows besides its parameters when it answers. */
export interface MoteState {
  readonly version: MacVersion;
  /** 1..254. */
  readonly battery: number;
  /** SNR of the downlink that asks, dB. */
  readonly snr: number;
}

/** What a mote makes of the commands of one downlink. */
export interface Answered {
  readonly parameters: MacParameters;
  readonly answers: readonly MacAnswer[];
}

const CHANNEL_SLOTS = 16;
const ALL_CHANNELS_ON = 6;
const KEEP = 15;
const WEAKEST_TX_POWER = 7;
const LARGEST_DR_OFFSET = 5;

const inBand = (freqMhz: number): boolean => freqMhz >= 863 && freqMhz <= 870;

// The mask after this command; undefined where it asks for what is not there. Channels of a block add up in order.
function masked(channels: ChannelList, { chMask, chMaskCntl }: LinkAdrReq): ChannelList | undefined {
  const isOn = (index: number): boolean => ((chMask >>> index) & 1) === 1;
  if (chMaskCntl === ALL_CHANNELS_ON) {
    return channels.map((channel) => channel && { ...channel, enabled: true });
  }
  const wantsUndefined = Array.from({ length: CHANNEL_SLOTS }, (_, index) => index).some(
    (index) => isOn(index) && channels[index] === undefined,
  );
  if (chMaskCntl !== 0 || wantsUndefined || chMask === 0) return undefined;
  return channels.map((channel, index) => channel && { ...channel, enabled: isOn(index) });
}

function nbTransOf({ nbTrans }: LinkAdrReq, current: number, version: MacVersion): number {
  if (nbTrans > 0) return nbTrans;
  return version === '1.0.3' ? 1 : current;
}

/** A block of LinkADRReq: accepted as a whole or not at all; data rate, power and NbTrans are those of the last. */
function linkAdr(block: readonly LinkAdrReq[], parameters: MacParameters, version: MacVersion): Answered {
  const last = block.at(-1);
  if (last === undefined) return { parameters, answers: [] };
  const channels = block.reduce<ChannelList | undefined>(
    (list, request) => list && masked(list, request),
    parameters.channels,
  );
  const dataRate = last.dataRate === KEEP ? parameters.dataRate : last.dataRate;
  const txPower = last.txPower === KEEP ? parameters.txPower : last.txPower;
  const status: LinkAdrStatus = {
    channelMaskOk: channels !== undefined,
    dataRateOk:
      dataRate <= FASTEST_DATA_RATE &&
      usableChannels({ channels: channels ?? parameters.channels, dataRate }).length > 0,
    powerOk: txPower <= WEAKEST_TX_POWER,
  };
  const answers = block.map(() => linkAdrAns(status));
  if (channels === undefined || !status.dataRateOk || !status.powerOk) return { parameters, answers };
  const nbTrans = nbTransOf(last, parameters.nbTrans, version);
  return { parameters: { ...parameters, channels, dataRate, txPower, nbTrans }, answers };
}

type Request<Name extends MacRequest['command']> = Extract<MacRequest, { command: Name }>;

function rxParamSetup(request: Request<'RXParamSetupReq'>, parameters: MacParameters): Answered {
  const { freqMhz, rx1DrOffset, rx2DataRate } = request;
  const checks = [
    inBand(freqMhz),
    rx2DataRate <= FASTEST_DATA_RATE,
    rx1DrOffset <= LARGEST_DR_OFFSET,
  ] as const;
  const answers = [rxParamSetupAns(...checks)];
  if (checks.includes(false)) return { parameters, answers };
  const rx2 = { freqMhz, datr: datrAt(rx2DataRate) };
  return { parameters: { ...parameters, reception: { ...parameters.reception, rx1DrOffset, rx2 } }, answers };
}

function withChannel(channels: ChannelList, index: number, channel: MoteChannel | undefined): ChannelList {
  const length = Math.max(channels.length, index + 1);
  return Array.from({ length }, (_, slot) => (slot === index ? channel : channels[slot]));
}

function newChannel(request: Request<'NewChannelReq'>, parameters: MacParameters): Answered {
  const { index, freqMhz, slowest, fastest } = request;
  // The default channels are everybody's: nobody may change them.
  const mayChange = index >= DEFAULT_CHANNELS && index < CHANNEL_SLOTS;
  const frequencyOk = mayChange && (freqMhz === 0 || inBand(freqMhz));
  const dataRatesOk = mayChange && slowest <= fastest && fastest <= FASTEST_DATA_RATE;
  const answers = [newChannelAns(frequencyOk, dataRatesOk)];
  if (!frequencyOk || !dataRatesOk) return { parameters, answers };
  const channel = freqMhz === 0 ? undefined : { freqMhz, slowest, fastest, enabled: true };
  return {
    parameters: { ...parameters, channels: withChannel(parameters.channels, index, channel) },
    answers,
  };
}

function dlChannel({ index, freqMhz }: Request<'DlChannelReq'>, parameters: MacParameters): Answered {
  const channel = parameters.channels[index];
  const answers = [dlChannelAns(inBand(freqMhz), channel !== undefined)];
  if (channel === undefined || !inBand(freqMhz)) return { parameters, answers };
  const channels = withChannel(parameters.channels, index, { ...channel, downlinkMhz: freqMhz });
  return { parameters: { ...parameters, channels }, answers };
}

function rxTiming({ delayS }: Request<'RXTimingSetupReq'>, parameters: MacParameters): Answered {
  const delays = { rx1DelayMs: 1_000 * delayS, rx2DelayMs: 1_000 * (delayS + 1) };
  const reception = { ...parameters.reception, ...delays };
  return { parameters: { ...parameters, reception }, answers: [rxTimingSetupAns()] };
}

function single(
  request: Exclude<MacRequest, LinkAdrReq>,
  parameters: MacParameters,
  state: MoteState,
): Answered {
  switch (request.command) {
    case 'DutyCycleReq':
      return { parameters: { ...parameters, maxDutyCycle: request.maxDutyCycle }, answers: [dutyCycleAns()] };
    case 'RXParamSetupReq':
      return rxParamSetup(request, parameters);
    case 'DevStatusReq':
      return { parameters, answers: [devStatusAns(state.battery, state.snr)] };
    case 'NewChannelReq':
      return newChannel(request, parameters);
    case 'RXTimingSetupReq':
      return rxTiming(request, parameters);
    case 'DlChannelReq':
      return dlChannel(request, parameters);
    // The region has no TXParamSetupReq: a mote drops it without an answer. The others are answers themselves.
    case 'TXParamSetupReq':
    case 'LinkCheckAns':
    case 'DeviceTimeAns':
      return { parameters, answers: [] };
  }
}

/** Obeys the commands of one downlink in their order; what is wrong with one is said in its answer, and changes nothing. */
export function answerRequests(
  requests: readonly MacRequest[],
  parameters: MacParameters,
  state: MoteState,
): Answered {
  let result: Answered = { parameters, answers: [] };
  const add = (next: Answered): void => {
    result = { parameters: next.parameters, answers: [...result.answers, ...next.answers] };
  };
  let block: LinkAdrReq[] = [];
  const closeBlock = (): void => {
    add(linkAdr(block, result.parameters, state.version));
    block = [];
  };
  for (const request of requests) {
    if (request.command === 'LinkADRReq') block.push(request);
    else {
      closeBlock();
      add(single(request, result.parameters, state));
    }
  }
  closeBlock();
  return result;
}
