import loraPacketModule from 'lora-packet';
import type { Device } from './devices.ts';
import { SimulatorError } from './errors.ts';

const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;

/** What a network server wants to send. */
export interface DownlinkFields {
  readonly fcnt: number;
  readonly confirmed?: boolean;
  readonly ack?: boolean;
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
      FCtrl: { ACK: fields.ack ?? false },
      FCnt: low,
      FPort: 2,
      payload: fields.payload,
    },
    Buffer.from(device.appSKey, 'hex'),
    Buffer.from(device.nwkSKey, 'hex'),
    undefined,
    high,
  );
  const phyPayload = packet.getPHYPayload();
  if (!Buffer.isBuffer(phyPayload)) throw new SimulatorError('badFrame', 'no PHYPayload');
  return phyPayload;
}
