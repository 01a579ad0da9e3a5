import { AntirioError } from '@antirio/kernel';
import { devAddrOf, devAddrValue, type DevAddr } from './ids.ts';

/** Message types by the upper three bits of MHDR (LoRaWAN 1.0.x, 4.2.1). */
const MTYPES = [
  'joinRequest',
  'joinAccept',
  'unconfirmedDataUp',
  'unconfirmedDataDown',
  'confirmedDataUp',
  'confirmedDataDown',
  'rejoinRequest',
  'proprietary',
] as const;

export type MType = (typeof MTYPES)[number];
export type Direction = 'up' | 'down';

/** A data frame as it stands on air: FRMPayload still encrypted, FCnt with its lower 16 bits. */
export interface DataFrame {
  /** The whole PHYPayload, MIC included. */
  readonly phyPayload: Uint8Array;
  readonly direction: Direction;
  readonly confirmed: boolean;
  readonly devAddr: DevAddr;
  readonly adr: boolean;
  /** Uplinks only. */
  readonly adrAckReq: boolean;
  readonly ack: boolean;
  /** Downlinks only. */
  readonly fPending: boolean;
  readonly fcnt16: number;
  readonly fOpts: Uint8Array;
  /** Absent where the frame has no FRMPayload either. */
  readonly fPort: number | undefined;
  readonly frmPayload: Uint8Array;
  readonly mic: Uint8Array;
}

const SHORTEST = 12;
const LONGEST = 255;
const MIC = 4;
const FHDR_END = 8;

const ADR = 0x80;
const ADR_ACK_REQ = 0x40;
const ACK = 0x20;
const F_PENDING = 0x10;

/** @throws AntirioError invalidInput for no bytes or another major version than LoRaWAN R1. */
export function messageType(phyPayload: Uint8Array): MType {
  const mhdr = phyPayload[0];
  const mtype = mhdr === undefined ? undefined : MTYPES[mhdr >>> 5];
  if (mhdr === undefined || mtype === undefined)
    throw new AntirioError('invalidInput', 'an empty PHYPayload');
  if ((mhdr & 0x03) !== 0)
    throw new AntirioError('invalidInput', `unknown LoRaWAN major version ${mhdr & 0x03}`);
  return mtype;
}

type DataType = Extract<MType, `${string}Data${string}`>;

const DATA_TYPES: Readonly<Record<DataType, Pick<DataFrame, 'direction' | 'confirmed'>>> = {
  unconfirmedDataUp: { direction: 'up', confirmed: false },
  unconfirmedDataDown: { direction: 'down', confirmed: false },
  confirmedDataUp: { direction: 'up', confirmed: true },
  confirmedDataDown: { direction: 'down', confirmed: true },
};

function dataTypeOf(phyPayload: Uint8Array): Pick<DataFrame, 'direction' | 'confirmed'> {
  const type = messageType(phyPayload);
  if (!(type in DATA_TYPES)) throw new AntirioError('invalidInput', `not a data frame: ${type}`);
  return DATA_TYPES[type as DataType];
}

/** Length of FOpts, once the frame is known to hold them. */
function checkLength(phyPayload: Uint8Array): number {
  const { length } = phyPayload;
  const fOptsLength = (phyPayload[5] ?? 0) & 0x0f;
  if (length < SHORTEST + fOptsLength || length > LONGEST)
    throw new AntirioError('invalidInput', `a data frame of ${length} bytes with ${fOptsLength} of FOpts`, {
      length,
    });
  return fOptsLength;
}

/**
 * Reads a data frame without keys. The slices share the given bytes.
 * @throws AntirioError invalidInput for other message types and for fewer than 12 + FOptsLen bytes.
 */
export function parseDataFrame(phyPayload: Uint8Array): DataFrame {
  const { direction, confirmed } = dataTypeOf(phyPayload);
  const portAt = FHDR_END + checkLength(phyPayload);
  const view = new DataView(phyPayload.buffer, phyPayload.byteOffset, phyPayload.length);
  const fCtrl = view.getUint8(5);
  const up = direction === 'up';
  const micAt = phyPayload.length - MIC;
  const hasPort = micAt > portAt;
  return {
    phyPayload,
    direction,
    confirmed,
    devAddr: devAddrOf(view.getUint32(1, true)),
    adr: (fCtrl & ADR) !== 0,
    adrAckReq: up && (fCtrl & ADR_ACK_REQ) !== 0,
    ack: (fCtrl & ACK) !== 0,
    fPending: !up && (fCtrl & F_PENDING) !== 0,
    fcnt16: view.getUint16(6, true),
    fOpts: phyPayload.subarray(FHDR_END, portAt),
    fPort: hasPort ? view.getUint8(portAt) : undefined,
    frmPayload: phyPayload.subarray(hasPort ? portAt + 1 : micAt, micAt),
    mic: phyPayload.subarray(micAt),
  };
}

/** The fields of a data frame before encryption and MIC. */
export interface DataFrameFields {
  readonly direction: Direction;
  readonly confirmed: boolean;
  readonly devAddr: DevAddr;
  /** 32 bits, of which the lower 16 go on air. */
  readonly fcnt: number;
  readonly adr?: boolean;
  readonly adrAckReq?: boolean;
  readonly ack?: boolean;
  readonly fPending?: boolean;
  /** MAC commands in the clear, at most 15 bytes; none with fPort 0. */
  readonly fOpts?: Uint8Array;
  readonly fPort?: number;
}

const mhdrOf = (fields: DataFrameFields): number => {
  const down = fields.direction === 'down' ? 1 : 0;
  return ((fields.confirmed ? 4 : 2) + down) << 5;
};

function controlOf(fields: DataFrameFields, fOptsLength: number): number {
  const up = fields.direction === 'up';
  const flag = (set: boolean | undefined, bit: number): number => (set === true ? bit : 0);
  return (
    flag(fields.adr, ADR) |
    flag(up && fields.adrAckReq, ADR_ACK_REQ) |
    flag(fields.ack, ACK) |
    flag(!up && fields.fPending, F_PENDING) |
    fOptsLength
  );
}

const fits = (value: number, bits: number): boolean =>
  Number.isInteger(value) && value >= 0 && value < 2 ** bits;

function checkFields(fields: DataFrameFields, fOptsLength: number, payloadLength: number): void {
  const { fcnt, fPort } = fields;
  if (!fits(fcnt, 32)) throw new AntirioError('invalidInput', 'FCnt has 32 bits', { fcnt });
  if (fPort === undefined && payloadLength > 0)
    throw new AntirioError('invalidInput', 'a payload needs an FPort');
  if (fPort !== undefined && !fits(fPort, 8))
    throw new AntirioError('invalidInput', 'FPort has 8 bits', { fPort });
  if (fOptsLength > 15 || (fOptsLength > 0 && fPort === 0))
    throw new AntirioError('invalidInput', 'FOpts are at most 15 bytes, and none with FPort 0');
}

/**
 * Lays out a data frame with room for its MIC, which is left zero.
 * @throws AntirioError invalidInput for fields that no frame can carry.
 */
export function layOutDataFrame(fields: DataFrameFields, encryptedPayload: Uint8Array): Uint8Array {
  const fOpts = fields.fOpts ?? new Uint8Array();
  checkFields(fields, fOpts.length, encryptedPayload.length);
  const portAt = FHDR_END + fOpts.length;
  const payloadAt = portAt + (fields.fPort === undefined ? 0 : 1);
  const length = payloadAt + encryptedPayload.length + MIC;
  if (length > LONGEST) throw new AntirioError('tooLarge', `a data frame of ${length} bytes`, { length });
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, mhdrOf(fields));
  view.setUint32(1, devAddrValue(fields.devAddr), true);
  view.setUint8(5, controlOf(fields, fOpts.length));
  view.setUint16(6, fields.fcnt & 0xffff, true);
  bytes.set(fOpts, FHDR_END);
  if (fields.fPort !== undefined) view.setUint8(portAt, fields.fPort);
  bytes.set(encryptedPayload, payloadAt);
  return bytes;
}
