import loraPacketModule from 'lora-packet';
import { SimulatorError } from './errors.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;

/** The two session keys of LoRaWAN 1.0.x, 16 bytes each. */
export interface SessionKeys {
  readonly nwkSKey: Buffer;
  readonly appSKey: Buffer;
}

/** What goes into a data uplink. `fcnt` has 32 bits, of which the frame carries the lower 16. */
export interface UplinkFields {
  readonly devAddr: Buffer;
  readonly fcnt: number;
  readonly fPort: number;
  readonly payload: Buffer;
  readonly confirmed: boolean;
  readonly adr: boolean;
  readonly adrAckReq: boolean;
  readonly ack: boolean;
  /** MAC commands, at most 15 bytes. */
  readonly fOpts?: Buffer;
}

/** What can be read of a data downlink without keys. */
export interface DownlinkHeader {
  readonly devAddr: string;
  /** The 16 bits of FCntDown that the frame carries. */
  readonly fcnt16: number;
  readonly confirmed: boolean;
  readonly ack: boolean;
  /** The server has more for this mote. */
  readonly fPending: boolean;
  readonly fOpts: string;
  readonly fPort: number | null;
}

const DATA_UP = { unconfirmed: 2, confirmed: 4 } as const;
const DATA_DOWN = { unconfirmed: 3, confirmed: 5 } as const;
const SHORTEST_DATA_FRAME = 12;

// lora-packet wants the upper half of a frame counter as it stands in block B0: little-endian.
function upperHalf(fcnt: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(fcnt >>> 16);
  return bytes;
}

/** Bytes outside Node's pool: a key or frame that is kept must not keep the 8 KB of intermediate results around it. */
export function ownBytes(bytes: unknown): Buffer {
  if (!Buffer.isBuffer(bytes)) throw new SimulatorError('badFrame', 'the frame has no bytes');
  const own = Buffer.alloc(bytes.length);
  bytes.copy(own);
  return own;
}

/** PHYPayload of a data uplink, encrypted and with its MIC (LoRaWAN 1.0.x, sections 4.3 and 4.4). */
export function buildUplink(keys: SessionKeys, fields: UplinkFields): Buffer {
  const fcnt = Buffer.alloc(2);
  fcnt.writeUInt16BE(fields.fcnt & 0xffff);
  const packet = loraPacket.fromFields(
    {
      MType: fields.confirmed ? DATA_UP.confirmed : DATA_UP.unconfirmed,
      DevAddr: fields.devAddr,
      FCtrl: { ADR: fields.adr, ADRACKReq: fields.adrAckReq, ACK: fields.ack },
      FCnt: fcnt,
      ...(fields.fOpts !== undefined && { FOpts: fields.fOpts }),
      FPort: fields.fPort,
      payload: fields.payload,
    },
    keys.appSKey,
    keys.nwkSKey,
    undefined,
    upperHalf(fields.fcnt),
  );
  return ownBytes(packet.getPHYPayload());
}

/** Header of a data downlink; undefined for anything that is not a whole one. */
export function readDownlinkHeader(phyPayload: Buffer): DownlinkHeader | undefined {
  const mtype = (phyPayload[0] ?? 0) >>> 5;
  if (mtype !== DATA_DOWN.unconfirmed && mtype !== DATA_DOWN.confirmed) return undefined;
  const fOptsLength = (phyPayload[5] ?? 0) & 0x0f;
  if (phyPayload.length < SHORTEST_DATA_FRAME + fOptsLength) return undefined;
  const hasPort = phyPayload.length > SHORTEST_DATA_FRAME + fOptsLength;
  return {
    devAddr: Buffer.from(phyPayload.subarray(1, 5)).reverse().toString('hex'),
    fcnt16: phyPayload.readUInt16LE(6),
    confirmed: mtype === DATA_DOWN.confirmed,
    ack: ((phyPayload[5] ?? 0) & 0x20) !== 0,
    fPending: ((phyPayload[5] ?? 0) & 0x10) !== 0,
    fOpts: phyPayload.subarray(8, 8 + fOptsLength).toString('hex'),
    fPort: hasPort ? (phyPayload[8 + fOptsLength] ?? null) : null,
  };
}

/** Whether the MIC of a whole data frame verifies under this key and 32-bit counter. */
export function micVerifies(phyPayload: Buffer, nwkSKey: Buffer, fcnt: number): boolean {
  return loraPacket.verifyMIC(loraPacket.fromWire(phyPayload), nwkSKey, undefined, upperHalf(fcnt));
}

/** FRMPayload of a whole data frame in the clear; empty where it has none. */
export function decryptFrame(phyPayload: Buffer, keys: SessionKeys, fcnt: number): Buffer {
  const packet = loraPacket.fromWire(phyPayload);
  if (packet.getFPort() === null || packet.FRMPayload === undefined || packet.FRMPayload.length === 0) {
    return Buffer.alloc(0);
  }
  return loraPacket.decrypt(packet, keys.appSKey, keys.nwkSKey, upperHalf(fcnt));
}
