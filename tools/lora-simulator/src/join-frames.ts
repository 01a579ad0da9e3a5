import loraPacketModule from 'lora-packet';
import type { SessionKeys } from './frames.ts';
import { ownBytes } from './frames.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;

/** Who wants to join, and its nonce for this attempt (16 bits). EUIs in hex as printed, most significant byte first. */
export interface JoinRequestFields {
  readonly joinEui: string;
  readonly devEui: string;
  readonly devNonce: number;
}

/** A JoinAccept in the clear. */
export interface JoinAccept {
  /** 24 bits. */
  readonly joinNonce: number;
  readonly netId: string;
  readonly devAddr: string;
  readonly rx1DrOffset: number;
  readonly rx2DataRate: number;
  /** Seconds before RX1, 1..15. */
  readonly rxDelayS: number;
  /** Frequencies of channels 3 to 7 in MHz, 0 for a channel that is not given; empty without CFList. */
  readonly cfListMhz: readonly number[];
}

const JOIN_REQUEST = 0;
const JOIN_ACCEPT = 1;
const ACCEPT_BYTES = 17;
const ACCEPT_BYTES_WITH_CFLIST = 33;
const CFLIST_CHANNELS = 5;
const CFLIST_OF_FREQUENCIES = 0;

function nonceBytes(devNonce: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(devNonce);
  return bytes;
}

/** PHYPayload of a JoinRequest with its MIC (LoRaWAN 1.0.x, section 6.2.4). */
export function buildJoinRequest(appKey: Buffer, fields: JoinRequestFields): Buffer {
  const packet = loraPacket.fromFields(
    {
      MType: JOIN_REQUEST,
      AppEUI: Buffer.from(fields.joinEui, 'hex'),
      DevEUI: Buffer.from(fields.devEui, 'hex'),
      DevNonce: nonceBytes(fields.devNonce),
    },
    undefined,
    undefined,
    appKey,
  );
  return ownBytes(packet.getPHYPayload());
}

/** Whether these bytes have the form of a JoinAccept. */
export function isJoinAccept(phyPayload: Buffer): boolean {
  const isWhole = phyPayload.length === ACCEPT_BYTES || phyPayload.length === ACCEPT_BYTES_WITH_CFLIST;
  return isWhole && (phyPayload[0] ?? 0) >>> 5 === JOIN_ACCEPT;
}

const reversedHex = (bytes: Buffer): string => Buffer.from(bytes).reverse().toString('hex');

function cfListOf(bytes: Buffer): number[] {
  if (bytes.length === 0 || bytes[15] !== CFLIST_OF_FREQUENCIES) return [];
  return Array.from({ length: CFLIST_CHANNELS }, (_, index) => bytes.readUIntLE(3 * index, 3) / 10_000);
}

/** Decrypts a JoinAccept (section 6.2.5); undefined where its MIC does not verify under this key. */
export function readJoinAccept(appKey: Buffer, phyPayload: Buffer): JoinAccept | undefined {
  if (!isJoinAccept(phyPayload)) return undefined;
  const clear = loraPacket.decryptJoinAccept(loraPacket.fromWire(phyPayload), appKey);
  const packet = loraPacket.fromWire(clear);
  // The MIC of LoRaWAN 1.1 needs keys that a 1.0.x mote does not have.
  if (packet.getDLSettingsOptNeg() === true || !loraPacket.verifyMIC(packet, undefined, appKey))
    return undefined;
  const [dlSettings, rxDelay] = clear.subarray(11, 13);
  return {
    joinNonce: clear.readUIntLE(1, 3),
    netId: reversedHex(clear.subarray(4, 7)),
    devAddr: reversedHex(clear.subarray(7, 11)),
    rx1DrOffset: ((dlSettings ?? 0) >>> 4) & 0x07,
    rx2DataRate: (dlSettings ?? 0) & 0x0f,
    rxDelayS: Math.max(1, (rxDelay ?? 0) & 0x0f),
    cfListMhz: cfListOf(packet.CFList ?? Buffer.alloc(0)),
  };
}

/** The session keys that both sides derive from a join (section 6.2.5). */
export function deriveSessionKeys(appKey: Buffer, accept: JoinAccept, devNonce: number): SessionKeys {
  const joinNonce = Buffer.alloc(3);
  joinNonce.writeUIntBE(accept.joinNonce, 0, 3);
  const netId = Buffer.from(accept.netId, 'hex');
  const { NwkSKey, AppSKey } = loraPacket.generateSessionKeys10(
    appKey,
    netId,
    joinNonce,
    nonceBytes(devNonce),
  );
  return { nwkSKey: ownBytes(NwkSKey), appSKey: ownBytes(AppSKey) };
}
