import type { Channel } from './eu868.ts';

/** What a data transmission is: the truth against which an edge's judgement is measured. */
export type TransmissionKind = 'uplink' | 'retransmission' | 'replay' | 'bitflip' | 'foreign';

/** A JoinRequest of a mote, or an attacker's copy of one. */
export type JoinTransmissionKind = 'joinRequest' | 'joinReplay';

/** One data frame as a mote made it. */
export interface Frame {
  /** Id of the transmission that first carried it. */
  readonly firstTxId: number;
  /** Traffic time of that transmission, ms. */
  readonly firstAt: number;
  readonly devAddr: string;
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
  /** MAC commands in FOpts. */
  readonly fOpts?: Buffer;
  /** Joins of its mote up to then; only of a mote that joins. */
  readonly session?: number;
}

/** One JoinRequest as a mote made it. */
export interface JoinRequestFrame {
  readonly firstTxId: number;
  readonly joinEui: string;
  /** 16 bits. */
  readonly devNonce: number;
  /** 1, 2, 3 ... since the mote began to join. */
  readonly attempt: number;
  readonly phyPayload: Buffer;
}

interface OnAir {
  /** 1, 2, 3 ... in the order on air. */
  readonly id: number;
  /** Whose frame it is: the foreign mote's for `foreign`, else the device's. */
  readonly devEui: string;
  /** The bytes on air. */
  readonly phyPayload: Buffer;
  readonly channel: Channel;
  readonly spreadingFactor: number;
  /** EIRP, dBm. */
  readonly powerDbm: number;
  /** DevEUI of the mote from whose place it is sent: an attacker stands beside its victim. */
  readonly from: string;
}

/** One data frame on air, once. */
export interface DataTransmission extends OnAir {
  readonly kind: TransmissionKind;
  readonly devAddr: string;
  /** What the mote put into it; of a bit flip, the frame before the flip. */
  readonly frame: Frame;
  /** The changed bit of a bit flip: 8 x byte + bit, bit 0 being the lowest. */
  readonly flippedBit?: number;
}

/** One JoinRequest on air, once. */
export interface JoinTransmission extends OnAir {
  readonly kind: JoinTransmissionKind;
  readonly request: JoinRequestFrame;
}

/** One frame on air, once. */
export type Transmission = DataTransmission | JoinTransmission;
