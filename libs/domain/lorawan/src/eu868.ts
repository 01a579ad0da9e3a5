/** Frequency and LoRa settings of one transmission. */
export interface RadioSettings {
  /** Hz. */
  readonly frequency: number;
  readonly spreadingFactor: number;
  /** Hz. */
  readonly bandwidth: number;
}

export interface ReceiveWindow extends RadioSettings {
  /** Microseconds after the end of the uplink. */
  readonly delayUs: number;
  /** EIRP, dBm. */
  readonly power: number;
}

/** What the rest of the code needs to know of a region. */
export interface RegionPlan {
  /** As it begins ChirpStack's topics. */
  readonly name: 'eu868';
  /** RX1 with data-rate offset 0, then RX2. */
  receiveWindows(uplink: RadioSettings): readonly [ReceiveWindow, ReceiveWindow];
  /** Longest FRMPayload of a downlink without FOpts; 0 for settings outside of the plan. */
  maxPayload(settings: RadioSettings): number;
  /** Whether a frame can have been sent by the rules of the region. */
  inPlan(settings: RadioSettings): boolean;
  /** Uplinks per second that a mote can be allowed to send for long. */
  readonly framesPerSecond: number;
}

const KHZ_125 = 125_000;

/** Names such as `SF7BW125`, as Semtech's packet forwarder writes them. */
export function dataRateName(settings: RadioSettings): string {
  return `SF${settings.spreadingFactor}BW${settings.bandwidth / 1000}`;
}

/** Undefined for what is no LoRa data rate. */
export function parseDataRateName(
  name: string,
): Pick<RadioSettings, 'spreadingFactor' | 'bandwidth'> | undefined {
  const match = /^SF(5|6|7|8|9|10|11|12)BW(125|250|500)$/.exec(name);
  if (match === null) return undefined;
  return { spreadingFactor: Number(match[1]), bandwidth: Number(match[2]) * 1000 };
}

// Regional Parameters 1.0.3, EU863-870: DR0 (SF12) to DR5 (SF7), DR6 (SF7, 250 kHz); column N of the payload sizes
const MAX_PAYLOAD: Readonly<Record<string, number>> = {
  SF12BW125: 51,
  SF11BW125: 51,
  SF10BW125: 51,
  SF9BW125: 115,
  SF8BW125: 222,
  SF7BW125: 222,
  SF7BW250: 222,
};

export const eu868: RegionPlan = {
  name: 'eu868',
  receiveWindows: (uplink) => [
    {
      frequency: uplink.frequency,
      spreadingFactor: uplink.spreadingFactor,
      bandwidth: uplink.bandwidth,
      delayUs: 1_000_000,
      power: 16,
    },
    // the 10 % band, where 500 mW ERP are allowed
    { frequency: 869_525_000, spreadingFactor: 12, bandwidth: KHZ_125, delayUs: 2_000_000, power: 29 },
  ],
  maxPayload: (settings) => MAX_PAYLOAD[dataRateName(settings)] ?? 0,
  inPlan: (settings) =>
    settings.frequency >= 863_000_000 &&
    settings.frequency <= 870_000_000 &&
    dataRateName(settings) in MAX_PAYLOAD,
  framesPerSecond: 1,
};
