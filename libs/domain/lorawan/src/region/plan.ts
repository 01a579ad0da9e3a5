/** A LoRa data rate: what a region's table gives a number to. */
export interface LoraDataRate {
  readonly spreadingFactor: number;
  /** Hz. */
  readonly bandwidth: number;
}

/** Frequency and LoRa settings of one transmission. */
export interface RadioSettings extends LoraDataRate {
  /** Hz. */
  readonly frequency: number;
}

export interface ReceiveWindow extends RadioSettings {
  /** Microseconds after the end of the uplink. */
  readonly delayUs: number;
  /** EIRP, dBm. */
  readonly power: number;
}

/** A sub-band of the region and what its regulator allows in it. */
export interface Band {
  /** As in the regulation's table. */
  readonly name: string;
  /** Hz, included. */
  readonly from: number;
  /** Hz, not included. */
  readonly to: number;
  /** Largest part of any hour that one transmitter may be on air in all of the band, 0.01 for 1 %. */
  readonly dutyCycle: number;
  /** dBm. */
  readonly maxEirp: number;
}

/** An uplink channel; RX1 is heard on `downlinkFrequency` where a DlChannelReq has moved it. */
export interface Channel {
  /** Hz. */
  readonly frequency: number;
  readonly minDataRate: number;
  readonly maxDataRate: number;
  readonly enabled: boolean;
  /** Hz. */
  readonly downlinkFrequency?: number;
}

export interface Rx2Parameters {
  /** Hz. */
  readonly frequency: number;
  /** Number of the data rate. */
  readonly dataRate: number;
}

/** What says when and how a device listens after an uplink; a `MacState` is one. */
export interface ReceiveParameters {
  /** Seconds, 1 to 15; RX2 is one later. */
  readonly rx1DelayS: number;
  readonly rx1DrOffset: number;
  readonly rx2: Rx2Parameters;
  /** By their index; null where none is defined. */
  readonly channels: readonly (Channel | null)[];
}

/** What the rest of the code needs to know of a region. */
export interface RegionPlan {
  /** As it begins ChirpStack's topics. */
  readonly name: 'eu868';
  /** What a device that has heard no MAC command listens with. */
  readonly receiveDefaults: ReceiveParameters;
  /** Seconds after a JoinRequest; RX2 is one later. Joins use `receiveDefaults` otherwise. */
  readonly joinRx1DelayS: number;
  /** RX1, then RX2. `parameters` are `receiveDefaults` when left out. */
  receiveWindows(
    uplink: RadioSettings,
    parameters?: ReceiveParameters,
  ): readonly [ReceiveWindow, ReceiveWindow];
  /** Windows of the JoinAccept: RX1 5 s, RX2 6 s after the JoinRequest. */
  joinWindows(joinRequest: RadioSettings): readonly [ReceiveWindow, ReceiveWindow];
  /** Settings of a data rate; undefined where the plan has none of that number. */
  dataRate(index: number): LoraDataRate | undefined;
  /** Number of a data rate; undefined for settings outside of the plan. */
  dataRateIndex(settings: LoraDataRate): number | undefined;
  /** Highest data rate that ADR may give a device, on the channels that all devices have. */
  readonly maxAdrDataRate: number;
  /** Highest RX1DROffset. */
  readonly maxRx1DrOffset: number;
  /** Data rate of RX1 by the data rate of its uplink. @throws AntirioError invalidInput for numbers outside of the plan. */
  rx1DataRate(uplinkDataRate: number, rx1DrOffset: number): number;
  /** EIRP in dBm by TXPower; its length is the number of powers. */
  readonly txPowers: readonly number[];
  /** SNR in dB that a demodulator needs at a data rate. */
  requiredSnr(settings: LoraDataRate): number;
  /** Channels that every device has and that cannot be changed. */
  readonly defaultChannels: readonly Channel[];
  /** Most channels that a device can have. */
  readonly maxChannels: number;
  /**
   * The CFList of a JoinAccept: up to 5 channels after the default ones; undefined for none.
   * @throws AntirioError invalidInput for more of them, or frequencies outside of the plan.
   */
  cfList(frequencies: readonly number[]): Uint8Array | undefined;
  /** The sub-band of a frequency; undefined where nothing may be sent. */
  band(frequency: number): Band | undefined;
  readonly bands: readonly Band[];
  /** Longest FRMPayload without FOpts, also through a repeater; 0 for settings outside of the plan. */
  maxPayload(settings: LoraDataRate): number;
  /** Whether a frame can have been sent by the rules of the region. */
  inPlan(settings: RadioSettings): boolean;
  /** Uplinks per second that a mote can be allowed to send for long. */
  readonly framesPerSecond: number;
}

/** Names such as `SF7BW125`, as Semtech's packet forwarder writes them. */
export function dataRateName(settings: LoraDataRate): string {
  return `SF${settings.spreadingFactor}BW${settings.bandwidth / 1000}`;
}

/** Undefined for what is no LoRa data rate. */
export function parseDataRateName(name: string): LoraDataRate | undefined {
  const match = /^SF(5|6|7|8|9|10|11|12)BW(125|250|500)$/.exec(name);
  if (match === null) return undefined;
  return { spreadingFactor: Number(match[1]), bandwidth: Number(match[2]) * 1000 };
}
