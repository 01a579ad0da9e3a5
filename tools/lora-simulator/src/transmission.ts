import type { Channel } from './eu868.ts';

/** What a transmission is: the truth against which an edge's judgement is measured. */
export type TransmissionKind = 'uplink' | 'retransmission' | 'replay' | 'bitflip' | 'foreign';

/** One data frame as a mote made it. */
export interface Frame {
  /** Id of the transmission that first carried it. */
  readonly firstTxId: number;
  /** Traffic time of that transmission, ms. */
  readonly firstAt: number;
  /** 32 bits. */
  readonly fcnt: number;
  readonly fPort: number;
  /** FRMPayload in the clear. */
  readonly payload: Buffer;
  readonly phyPayload: Buffer;
  readonly confirmed: boolean;
  readonly adr: boolean;
  /** The frame acknowledges a confirmed downlink. */
  readonly ack: boolean;
}

/** One frame on air, once. */
export interface Transmission {
  /** 1, 2, 3 ... in the order on air. */
  readonly id: number;
  readonly kind: TransmissionKind;
  /** Whose frame it is: the foreign mote's for `foreign`, else the device's. */
  readonly devEui: string;
  readonly devAddr: string;
  /** What the mote put into it; of a bit flip, the frame before the flip. */
  readonly frame: Frame;
  /** The bytes on air. */
  readonly phyPayload: Buffer;
  readonly channel: Channel;
  readonly spreadingFactor: number;
  /** The changed bit of a bit flip: 8 x byte + bit, bit 0 being the lowest. */
  readonly flippedBit?: number;
}
