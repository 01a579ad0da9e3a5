import { AntirioError, createAes128, equalBytes, type Aes128 } from '@antirio/kernel';
import { devAddrOf, devAddrValue, type AppKey, type DevAddr } from '../ids.ts';

/** How the device listens after a join, in one byte of the JoinAccept. */
export interface DlSettings {
  readonly rx1DrOffset: number;
  /** Number of RX2's data rate. */
  readonly rx2DataRate: number;
}

/** The fields of a JoinAccept in the clear (LoRaWAN 1.0.4, 6.2.5). */
export interface JoinAcceptFields {
  /** 24 bits; never used twice with one AppKey. */
  readonly joinNonce: number;
  /** 24 bits. */
  readonly netId: number;
  readonly devAddr: DevAddr;
  readonly dlSettings: DlSettings;
  /** Seconds to RX1, 1 to 15. */
  readonly rxDelay: number;
  /** 16 bytes, see `RegionPlan.cfList`. */
  readonly cfList?: Uint8Array | undefined;
}

/** What the session keys depend on besides the AppKey. */
export interface JoinNonces {
  /** 24 bits. */
  readonly joinNonce: number;
  /** 24 bits. */
  readonly netId: number;
  /** 16 bits. */
  readonly devNonce: number;
}

const JOIN_ACCEPT = 0x20;
const CF_LIST_AT = 13;
const CF_LIST = 16;
const MIC = 4;

function check(value: number, least: number, most: number, what: string): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new AntirioError('invalidInput', `${what} is ${least} to ${most}, not ${value}`);
}

function putUint24(bytes: Uint8Array, at: number, value: number, what: string): void {
  check(value, 0, 0xff_ffff, what);
  bytes.set([value & 0xff, (value >>> 8) & 0xff, value >>> 16], at);
}

/** MHDR and fields, with room for the MIC. */
function layOut(fields: JoinAcceptFields): Uint8Array {
  const { cfList, dlSettings, rxDelay } = fields;
  if (cfList !== undefined && cfList.length !== CF_LIST)
    throw new AntirioError('invalidInput', 'a CFList has 16 bytes');
  check(dlSettings.rx1DrOffset, 0, 7, 'RX1DROffset');
  check(dlSettings.rx2DataRate, 0, 15, "RX2's data rate");
  check(rxDelay, 1, 15, 'RxDelay');
  const bytes = new Uint8Array(CF_LIST_AT + (cfList?.length ?? 0) + MIC);
  bytes[0] = JOIN_ACCEPT;
  putUint24(bytes, 1, fields.joinNonce, 'JoinNonce');
  putUint24(bytes, 4, fields.netId, 'NetID');
  new DataView(bytes.buffer).setUint32(7, devAddrValue(fields.devAddr), true);
  bytes[11] = (dlSettings.rx1DrOffset << 4) | dlSettings.rx2DataRate;
  bytes[12] = rxDelay;
  if (cfList !== undefined) bytes.set(cfList, CF_LIST_AT);
  return bytes;
}

/**
 * A whole JoinAccept, encrypted and with its MIC: 17 bytes, 33 with a CFList. It is encrypted with AES's decryption, so
 * that a device needs only AES's encryption.
 * @throws AntirioError invalidInput for fields that no JoinAccept can carry.
 */
export function buildJoinAccept(appKey: AppKey, fields: JoinAcceptFields): Uint8Array {
  const aes = createAes128(appKey);
  const bytes = layOut(fields);
  const micAt = bytes.length - MIC;
  bytes.set(aes.cmac(bytes.subarray(0, micAt)).subarray(0, MIC), micAt);
  bytes.set(aes.decryptBlocks(bytes.subarray(1)), 1);
  return bytes;
}

function uint24At(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
}

/** What a JoinAccept says; undefined where it is none, or not made with this key. Its MIC is compared in constant time. */
export function openJoinAccept(appKey: AppKey, phyPayload: Uint8Array): JoinAcceptFields | undefined {
  const plainLength = CF_LIST_AT + MIC;
  const hasList = phyPayload.length === plainLength + CF_LIST;
  if (phyPayload[0] !== JOIN_ACCEPT || (phyPayload.length !== plainLength && !hasList)) return undefined;
  const aes = createAes128(appKey);
  const bytes = Uint8Array.from(phyPayload);
  bytes.set(aes.encryptBlocks(phyPayload.subarray(1)), 1);
  const micAt = bytes.length - MIC;
  if (!equalBytes(aes.cmac(bytes.subarray(0, micAt)).subarray(0, MIC), bytes.subarray(micAt)))
    return undefined;
  const dlSettings = bytes[11] ?? 0;
  return {
    joinNonce: uint24At(bytes, 1),
    netId: uint24At(bytes, 4),
    devAddr: devAddrOf(new DataView(bytes.buffer).getUint32(7, true)),
    dlSettings: { rx1DrOffset: (dlSettings >> 4) & 7, rx2DataRate: dlSettings & 15 },
    rxDelay: bytes[12] ?? 0,
    ...(hasList ? { cfList: bytes.subarray(CF_LIST_AT, micAt) } : {}),
  };
}

function sessionKey(aes: Aes128, kind: number, nonces: JoinNonces): Uint8Array {
  check(nonces.devNonce, 0, 0xffff, 'DevNonce');
  const block = new Uint8Array(16);
  block[0] = kind;
  putUint24(block, 1, nonces.joinNonce, 'JoinNonce');
  putUint24(block, 4, nonces.netId, 'NetID');
  block.set([nonces.devNonce & 0xff, nonces.devNonce >>> 8], 7);
  return Uint8Array.from(aes.encryptBlocks(block));
}

/** The keys of the session that a join begins (LoRaWAN 1.0.4, 6.2.5). @throws AntirioError invalidInput */
export function deriveSessionKeys(
  appKey: AppKey,
  nonces: JoinNonces,
): { readonly nwkSKey: Uint8Array; readonly appSKey: Uint8Array } {
  const aes = createAes128(appKey);
  return { nwkSKey: sessionKey(aes, 0x01, nonces), appSKey: sessionKey(aes, 0x02, nonces) };
}
