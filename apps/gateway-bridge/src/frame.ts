/** How and where a gateway heard a frame. */
export interface Rx {
  /** The concentrator's microsecond counter at the end of reception; wraps at 2^32. */
  readonly tmst: number;
  /** Hz. */
  readonly frequency: number;
  readonly spreadingFactor: number;
  /** Hz. */
  readonly bandwidth: number;
  /** Such as `4/5`. */
  readonly codeRate: string;
  /** dBm. */
  readonly rssi: number;
  /** dB. */
  readonly snr: number;
  readonly channel: number;
  readonly rfChain: number;
  readonly crcOk: boolean;
  /** The gateway's own wall time in RFC 3339 (UTC), where it has one. */
  readonly time?: string | undefined;
  /** GPS time at the end of reception: ms since 1980-01-06 without leap seconds. Only of gateways with a GPS fix. */
  readonly gpsTimeMs?: number | undefined;
  /** Fine timestamp: nanoseconds within the GPS second. */
  readonly fineTimeNs?: number | undefined;
  readonly board?: number | undefined;
  /** The antenna that heard it best. */
  readonly antenna?: number | undefined;
}

/** A frame as one gateway heard it. */
export interface Reception {
  /** Gateway EUI, 16 lower-case hex digits. */
  readonly gatewayId: string;
  readonly phyPayload: Uint8Array;
  readonly rx: Rx;
  /** Wall time of the reception by radio, ms since the epoch. */
  readonly receivedAt: number;
}

/** `radio`, or the id of the edge that the frame was fetched from. */
export type Via = string;
export const RADIO: Via = 'radio';

/** A frame in a ring. */
export interface RingFrame extends Reception {
  readonly seq: number;
  readonly via: Via;
}
