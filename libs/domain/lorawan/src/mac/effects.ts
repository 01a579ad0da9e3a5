import type { Channel, RegionPlan } from '../region/plan.ts';
import type { DownlinkMacCommand, UplinkMacCommand } from './commands.ts';
import { ALL_CHANNELS, KEEP } from './requests.ts';
import type { AdrState, MacRequest, MacState, TakenRequest } from './state.ts';

type RequestOf<Type extends MacRequest['type']> = Extract<MacRequest, { readonly type: Type }>;

/** Which answer belongs to which request. */
export const ANSWER_OF = {
  linkADRReq: 'linkADRAns',
  dutyCycleReq: 'dutyCycleAns',
  rxParamSetupReq: 'rxParamSetupAns',
  devStatusReq: 'devStatusAns',
  newChannelReq: 'newChannelAns',
  rxTimingSetupReq: 'rxTimingSetupAns',
  dlChannelReq: 'dlChannelAns',
} as const satisfies Record<MacRequest['type'], UplinkMacCommand['type']>;

/** Whether a downlink command is one that a network asks on its own account. */
export const isMacRequest = (command: DownlinkMacCommand): command is MacRequest =>
  Object.hasOwn(ANSWER_OF, command.type);

/** Whether the device has taken all of a request: it is all or nothing (LoRaWAN 1.0.4, 5.3, 5.5, 5.7 and 5.10). */
export const isAccepted = (answer: UplinkMacCommand): boolean =>
  Object.values(answer).every((acknowledged) => acknowledged !== false);

/** The history begins anew: what was heard before a change says nothing about after it. */
export const withoutHistory = (adr: AdrState): AdrState => ({ ...adr, fcnts: [], snrs: [], gateways: [] });

/** Bit n for channel n. */
export const maskOf = (channels: readonly (Channel | null)[]): number =>
  channels.reduce((mask, channel, i) => (channel?.enabled === true ? mask | (1 << i) : mask), 0);

const withMask = (channels: readonly (Channel | null)[], mask: number): readonly (Channel | null)[] =>
  mask === maskOf(channels)
    ? channels
    : channels.map((channel, i) => channel && { ...channel, enabled: (mask & (1 << i)) !== 0 });

function linkAdr(state: MacState, command: RequestOf<'linkADRReq'>): MacState {
  const every = state.channels.reduce((mask, channel, i) => (channel === null ? mask : mask | (1 << i)), 0);
  return {
    ...state,
    dataRate: command.dataRate === KEEP ? state.dataRate : command.dataRate,
    txPower: command.txPower === KEEP ? state.txPower : command.txPower,
    nbTrans: Math.max(1, command.nbTrans),
    channels: withMask(state.channels, command.chMaskCntl === ALL_CHANNELS ? every : command.chMask),
    adr: withoutHistory(state.adr),
  };
}

function withChannel(state: MacState, index: number, channel: Channel | null): MacState {
  const length = Math.max(state.channels.length, index + 1);
  const channels = Array.from({ length }, (_, i) => (i === index ? channel : (state.channels[i] ?? null)));
  return { ...state, channels };
}

function newChannel(state: MacState, command: RequestOf<'newChannelReq'>): MacState {
  const { chIndex, frequency, minDataRate, maxDataRate } = command;
  if (frequency === 0) return withChannel(state, chIndex, null);
  return withChannel(state, chIndex, { frequency, minDataRate, maxDataRate, enabled: true });
}

function dlChannel(state: MacState, { chIndex, frequency }: RequestOf<'dlChannelReq'>): MacState {
  const channel = state.channels[chIndex] ?? null;
  return channel === null ? state : withChannel(state, chIndex, { ...channel, downlinkFrequency: frequency });
}

/** What is so once the device has taken the request. */
export function accepted(state: MacState, command: MacRequest): MacState {
  switch (command.type) {
    case 'linkADRReq':
      return linkAdr(state, command);
    case 'dutyCycleReq':
      return { ...state, maxDutyCycle: command.maxDutyCycle };
    case 'rxParamSetupReq':
      return {
        ...state,
        rx1DrOffset: command.rx1DrOffset,
        rx2: { frequency: command.frequency, dataRate: command.rx2DataRate },
      };
    case 'newChannelReq':
      return newChannel(state, command);
    case 'rxTimingSetupReq':
      return { ...state, rx1DelayS: Math.max(1, command.delay) };
    case 'dlChannelReq':
      return dlChannel(state, command);
    case 'devStatusReq':
      return state;
  }
}

const NO_CHANNEL = { frequency: 0, minDataRate: 0, maxDataRate: 5 };
type OfChannel = RequestOf<'newChannelReq' | 'dlChannelReq'>;

function formerChannel({ channels }: MacState, { type, chIndex }: OfChannel): MacRequest | undefined {
  const channel = channels[chIndex] ?? null;
  if (type === 'dlChannelReq')
    return channel === null
      ? undefined
      : { type, chIndex, frequency: channel.downlinkFrequency ?? channel.frequency };
  const { frequency, minDataRate, maxDataRate } = channel ?? NO_CHANNEL;
  return { type, chIndex, frequency, minDataRate, maxDataRate };
}

/** What would bring about what is so now of that which the request changes; undefined where it changes nothing of it. */
export function former(state: MacState, command: MacRequest): MacRequest | undefined {
  const { channels, rx1DrOffset, rx2, rx1DelayS, maxDutyCycle, dataRate, txPower, nbTrans } = state;
  switch (command.type) {
    case 'linkADRReq':
      return { type: command.type, dataRate, txPower, nbTrans, chMask: maskOf(channels), chMaskCntl: 0 };
    case 'dutyCycleReq':
      return { type: command.type, maxDutyCycle };
    case 'rxParamSetupReq':
      return { type: command.type, rx1DrOffset, rx2DataRate: rx2.dataRate, frequency: rx2.frequency };
    case 'rxTimingSetupReq':
      return { type: command.type, delay: rx1DelayS };
    case 'newChannelReq':
    case 'dlChannelReq':
      return formerChannel(state, command);
    case 'devStatusReq':
      return undefined;
  }
}

const isOfNoChannel = ({ command }: TakenRequest): boolean => !('chIndex' in command);

/** Channels that are believed in no more must not come back with a merge. */
function withChannels(state: MacState, channels: MacState['channels']): MacState {
  const taken = state.taken?.filter(isOfNoChannel);
  return { ...state, channels, ...(taken === undefined ? {} : { taken }) };
}

type AdrAnswer = Extract<UplinkMacCommand, { readonly type: 'linkADRAns' }>;

/** What may be asked next after a device has said no to a LinkADRReq: each no narrows it, so that they come to an end. */
export function narrowed(
  plan: RegionPlan,
  state: MacState,
  command: RequestOf<'linkADRReq'>,
  answer: AdrAnswer,
): MacState {
  const { dataRate, txPower, adr } = state;
  let { maxDataRate, minTxPower, maxTxPower, isBlocked } = adr;
  let { channels } = state;
  if (!answer.dataRateAck) {
    if (command.dataRate > dataRate && command.dataRate !== KEEP) maxDataRate = command.dataRate - 1;
    else isBlocked = true;
  }
  if (!answer.powerAck) {
    if (command.txPower > txPower) maxTxPower = Math.min(maxTxPower, command.txPower - 1);
    else minTxPower = Math.max(minTxPower, command.txPower + 1);
  }
  if (!answer.channelMaskAck) {
    if (channels.length > plan.defaultChannels.length) channels = plan.defaultChannels;
    else isBlocked = true;
  }
  isBlocked ||= minTxPower > maxTxPower;
  const next = { ...state, adr: { ...adr, maxDataRate, minTxPower, maxTxPower, isBlocked } };
  return channels === state.channels ? next : withChannels(next, channels);
}
