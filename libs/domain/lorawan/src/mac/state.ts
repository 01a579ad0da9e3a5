import { AntirioError } from '@antirio/kernel';
import type { Channel, ReceiveParameters, RegionPlan, Rx2Parameters } from '../region/plan.ts';
import type { DownlinkMacCommand, UplinkMacCommand } from './commands.ts';

export type MacVersion = '1.0.2' | '1.0.3' | '1.0.4';

/** What a network asks of a device on its own account. */
export type MacRequest = Extract<
  DownlinkMacCommand,
  {
    readonly type:
      | 'linkADRReq'
      | 'dutyCycleReq'
      | 'rxParamSetupReq'
      | 'devStatusReq'
      | 'newChannelReq'
      | 'rxTimingSetupReq'
      | 'dlChannelReq';
  }
>;

export interface PendingRequest {
  readonly command: MacRequest;
  /** Downlinks that carried it. */
  readonly attempts: number;
  /** Whether the last downlink did: only then can an answer be meant for it. */
  readonly inFlight: boolean;
  /** FCntUp of the uplink after which it was sent last; absent before that, and in states from before it was kept. */
  readonly sentAt?: number;
}

/** A request that the device said yes to. Its FCntUp is the clock that all who serve it have in common. */
export interface TakenRequest {
  readonly command: MacRequest;
  /** Of the uplink after which it was sent last. */
  readonly sentAt: number;
  /** Of the answer. */
  readonly fcnt: number;
  /** What had to be asked to have it as it was before, as far as was known: the answer may turn out to be to another's request. */
  readonly before?: MacRequest;
}

/** A request that the device may have taken, of which no answer can tell any more but one to the same asked again. */
export interface UnsureRequest {
  readonly command: MacRequest;
  /** FCntUp of the uplink after which it was sent last. */
  readonly sentAt: number;
}

/** A request that the device said no to, and how; of each kind (and channel) the last. */
export interface RejectedRequest {
  readonly command: MacRequest;
  readonly answer: UplinkMacCommand;
}

export interface AdrState {
  /** Whether this network adapts the device's data rate, where the device leaves it to the network. */
  readonly enabled: boolean;
  /** dB kept above what the demodulator needs. */
  readonly marginDb: number;
  /** The last uplinks since the last change, oldest first: FCnt, best SNR in dB, number of gateways. */
  readonly fcnts: readonly number[];
  readonly snrs: readonly number[];
  readonly gateways: readonly number[];
  /** What the device has not said no to. */
  readonly maxDataRate: number;
  readonly minTxPower: number;
  readonly maxTxPower: number;
  /** The device said no to all that is left. */
  readonly isBlocked: boolean;
  /** LinkADRReqs in a row that were given up, and the FCnt before which no further one is made. */
  readonly silences: number;
  readonly notBefore: number;
}

/** How a device listened when it was activated, before any MAC command: as in its JoinAccept, or as it was made. */
export interface FirstReception extends Omit<ReceiveParameters, 'channels'> {
  /** Hz; besides those that every device has. */
  readonly channels: readonly number[];
}

/** All that a network knows of a device's MAC layer; plain JSON. */
export interface MacState extends ReceiveParameters {
  readonly macVersion: MacVersion;
  readonly class: 'A' | 'C';
  /** Of the last uplink that was taken; null before the first. */
  readonly fcntUp: number | null;
  /** What the device sends with, as far as is known. */
  readonly dataRate: number;
  readonly txPower: number;
  readonly nbTrans: number;
  /** The device keeps to 1/2^maxDutyCycle of the time. */
  readonly maxDutyCycle: number;
  readonly adr: AdrState;
  /** See `devStatusAns`; null before the first. */
  readonly devStatus: { readonly battery: number; readonly margin: number; readonly fcnt: number } | null;
  readonly pending: readonly PendingRequest[];
  readonly rejected: readonly RejectedRequest[];
  /** Absent in states from before it was kept. */
  readonly madeWith?: FirstReception;
  /** When the network last decided to ask for the battery and margin, or began to wait for that; wall ms. */
  readonly devStatusAskedAt?: number;
  /** This network has asked the device something, or had an answer, also to what it never asked, since it took the state over from another. */
  readonly spokenTo?: true;
  /**
   * Rises with every change that the device's own edge makes of the state, and is durable before the state is told to anybody. Another
   * network's state has that of the state it began from. Absent in states from before it was kept.
   */
  readonly number?: number;
  /** How often the device has begun to count anew in this session, as far as is known. */
  readonly lives?: number;
  /** What decided how the device listens and sends: of each kind (and channel) the last one taken, in the order in which they were sent. */
  readonly taken?: readonly TakenRequest[];
  /** Outcomes that stay possible until the device answers. */
  readonly unsure?: readonly UnsureRequest[];
  /** Downlinks sent since there are such: which outcome each is aimed at goes by turns. */
  readonly tries?: number;
}

export interface NewMacState {
  readonly macVersion?: MacVersion;
  readonly class?: 'A' | 'C';
  /** As in the JoinAccept; the region's where they are left out. */
  readonly rx1DelayS?: number;
  readonly rx1DrOffset?: number;
  readonly rx2?: Rx2Parameters;
  /** Hz; the channels of the CFList. */
  readonly channels?: readonly number[];
  readonly adr?: boolean;
  /** dB, default 10. */
  readonly adrMarginDb?: number;
}

const DEFAULT_MARGIN_DB = 10;

function channelsOf(plan: RegionPlan, frequencies: readonly number[]): readonly (Channel | null)[] {
  if (frequencies.length === 0) return plan.defaultChannels;
  if (plan.defaultChannels.length + frequencies.length > plan.maxChannels)
    throw new AntirioError('invalidInput', `a device has at most ${plan.maxChannels} channels`);
  const maxDataRate = plan.maxAdrDataRate;
  const more = frequencies.map((frequency) => ({ frequency, minDataRate: 0, maxDataRate, enabled: true }));
  return [...plan.defaultChannels, ...more];
}

/** @throws AntirioError invalidInput for parameters outside of the plan. */
export function checkReception(plan: RegionPlan, { rx1DelayS, rx1DrOffset, rx2 }: ReceiveParameters): void {
  if (!Number.isInteger(rx1DelayS) || rx1DelayS < 1 || rx1DelayS > 15)
    throw new AntirioError('invalidInput', `RX1 is 1 to 15 s after the uplink, not ${rx1DelayS}`);
  plan.rx1DataRate(0, rx1DrOffset);
  if (plan.dataRate(rx2.dataRate) === undefined)
    throw new AntirioError('invalidInput', `no data rate ${rx2.dataRate} for RX2`);
}

/** A device that has just been activated. @throws AntirioError invalidInput for parameters outside of the plan. */
export function newMacState(plan: RegionPlan, options: NewMacState = {}): MacState {
  const { rx1DelayS, rx1DrOffset, rx2 } = { ...plan.receiveDefaults, ...options };
  const more = options.channels ?? [];
  const channels = channelsOf(plan, more);
  const reception: ReceiveParameters = { rx1DelayS, rx1DrOffset, rx2, channels };
  checkReception(plan, reception);
  return {
    ...reception,
    macVersion: options.macVersion ?? '1.0.3',
    class: options.class ?? 'A',
    fcntUp: null,
    dataRate: 0,
    txPower: 0,
    nbTrans: 1,
    maxDutyCycle: 0,
    adr: {
      enabled: options.adr ?? true,
      marginDb: options.adrMarginDb ?? DEFAULT_MARGIN_DB,
      fcnts: [],
      snrs: [],
      gateways: [],
      maxDataRate: plan.maxAdrDataRate,
      minTxPower: 0,
      maxTxPower: plan.txPowers.length - 1,
      isBlocked: false,
      silences: 0,
      notBefore: 0,
    },
    devStatus: null,
    pending: [],
    rejected: [],
    madeWith: { rx1DelayS, rx1DrOffset, rx2, channels: more },
  };
}
