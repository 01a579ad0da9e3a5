import loraPacketModule from 'lora-packet';
import type { Device } from './devices.ts';
import { ownBytes } from './frames.ts';

const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;

/** What a network server wants to send. */
export interface DownlinkFields {
  readonly fcnt: number;
  readonly confirmed?: boolean;
  readonly ack?: boolean;
  readonly fPending?: boolean;
  /** MAC commands, hex. */
  readonly fOpts?: string;
  /** 2 where absent. */
  readonly fPort?: number;
  readonly payload: Buffer;
}

/** A data downlink as a network server makes it. */
export function buildDownlink(device: Device, fields: DownlinkFields): Buffer {
  const low = Buffer.alloc(2);
  low.writeUInt16BE(fields.fcnt & 0xffff);
  const high = Buffer.alloc(2);
  high.writeUInt16LE(fields.fcnt >>> 16);
  const packet = loraPacket.fromFields(
    {
      MType: fields.confirmed === true ? 5 : 3,
      DevAddr: Buffer.from(device.devAddr, 'hex'),
      FCtrl: { ACK: fields.ack ?? false, FPending: fields.fPending ?? false },
      FOpts: fields.fOpts ?? '',
      FCnt: low,
      FPort: fields.fPort ?? 2,
      payload: fields.payload,
    },
    Buffer.from(device.appSKey, 'hex'),
    Buffer.from(device.nwkSKey, 'hex'),
    undefined,
    high,
  );
  return ownBytes(packet.getPHYPayload());
}

/** What a join server answers. */
export interface JoinAcceptFields {
  readonly joinNonce: number;
  readonly netId?: string;
  readonly devAddr: string;
  readonly rx1DrOffset?: number;
  readonly rx2DataRate?: number;
  readonly rxDelayS?: number;
  readonly cfListMhz?: readonly number[];
}

function cfListBytes(cfListMhz: readonly number[]): Buffer {
  const bytes = Buffer.alloc(16);
  for (const [index, freqMhz] of cfListMhz.entries())
    bytes.writeUIntLE(Math.round(freqMhz * 10_000), 3 * index, 3);
  return bytes;
}

/** A JoinAccept as a join server makes it. */
export function buildJoinAccept(appKey: string, fields: JoinAcceptFields): Buffer {
  const { rx1DrOffset = 0, rx2DataRate = 0, rxDelayS = 1, netId = '000013', cfListMhz } = fields;
  const joinNonce = Buffer.alloc(3);
  joinNonce.writeUIntBE(fields.joinNonce, 0, 3);
  const key = Buffer.from(appKey, 'hex');
  const packet = loraPacket.fromFields(
    {
      MType: 1,
      AppNonce: joinNonce,
      NetID: Buffer.from(netId, 'hex'),
      DevAddr: Buffer.from(fields.devAddr, 'hex'),
      DLSettings: Buffer.from([(rx1DrOffset << 4) | rx2DataRate]),
      RxDelay: Buffer.from([rxDelayS]),
      CFList: cfListMhz === undefined ? Buffer.alloc(0) : cfListBytes(cfListMhz),
    },
    undefined,
    undefined,
    key,
  );
  return Buffer.concat([packet.MHDR ?? Buffer.alloc(0), packet.MACPayloadWithMIC ?? Buffer.alloc(0)]);
}

/** What a JoinRequest says; throws where it is none. */
export function readJoinRequest(phyPayload: Buffer): { joinEui: string; devEui: string; devNonce: number } {
  const packet = loraPacket.fromWire(phyPayload);
  const { AppEUI, DevEUI, DevNonce } = packet;
  if (AppEUI === undefined || DevEUI === undefined || DevNonce === undefined)
    throw new TypeError('no JoinRequest');
  return {
    joinEui: AppEUI.toString('hex'),
    devEui: DevEUI.toString('hex'),
    devNonce: DevNonce.readUInt16BE(0),
  };
}
