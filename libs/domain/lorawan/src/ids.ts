import { AntirioError, fromHex } from '@antirio/kernel';

declare const devEuiBrand: unique symbol;
declare const devAddrBrand: unique symbol;
declare const joinEuiBrand: unique symbol;
declare const appKeyBrand: unique symbol;
declare const sessionBrand: unique symbol;

/** An end device's EUI-64: 16 lower-case hex digits, most significant byte first. */
export type DevEui = string & { readonly [devEuiBrand]: true };
/** A join server's EUI-64 (AppEUI before 1.0.4): 16 lower-case hex digits, most significant byte first. */
export type JoinEui = string & { readonly [joinEuiBrand]: true };
/** The root key of a LoRaWAN 1.0.x device that joins, 16 bytes: its session keys are derived from it. */
export type AppKey = Uint8Array & { readonly [appKeyBrand]: true };
/** A device address: 8 lower-case hex digits, most significant byte first. Neither unique nor authenticated. */
export type DevAddr = string & { readonly [devAddrBrand]: true };
/** Which session keys a counter belongs to: 16 lower-case hex digits, see `sessionFingerprint`. */
export type SessionId = string & { readonly [sessionBrand]: true };

const EUI = /^[0-9a-f]{16}$/;
const ADDR = /^[0-9a-f]{8}$/;

function checked(text: string, pattern: RegExp, what: string): string {
  const lower = text.toLowerCase();
  if (!pattern.test(lower)) throw new AntirioError('invalidInput', `not ${what}: ${text.slice(0, 32)}`);
  return lower;
}

/** @throws AntirioError invalidInput unless 16 hex digits. */
export function parseDevEui(text: string): DevEui {
  return checked(text, EUI, 'an EUI-64 (16 hex digits)') as DevEui;
}

/** @throws AntirioError invalidInput unless 16 hex digits. */
export function parseJoinEui(text: string): JoinEui {
  return checked(text, EUI, 'an EUI-64 (16 hex digits)') as JoinEui;
}

/** @throws AntirioError invalidInput unless 16 bytes. The message never has the key. */
export function appKeyOf(bytes: Uint8Array): AppKey {
  if (bytes.length !== 16) throw new AntirioError('invalidInput', 'an AppKey has 16 bytes');
  return bytes as AppKey;
}

/** @throws AntirioError invalidInput unless 32 hex digits. The message never has the key. */
export function parseAppKey(text: string): AppKey {
  if (!/^[0-9a-f]{32}$/i.test(text)) throw new AntirioError('invalidInput', 'an AppKey has 32 hex digits');
  return appKeyOf(fromHex(text, 16));
}

/** @throws AntirioError invalidInput unless 8 hex digits. */
export function parseDevAddr(text: string): DevAddr {
  return checked(text, ADDR, 'a DevAddr (8 hex digits)') as DevAddr;
}

/** @throws AntirioError invalidInput unless 16 hex digits. */
export function parseSessionId(text: string): SessionId {
  return checked(text, EUI, 'a session (16 hex digits)') as SessionId;
}

/** The address as it stands in a frame, read as a little-endian 32-bit number. */
export function devAddrOf(value: number): DevAddr {
  return (value >>> 0).toString(16).padStart(8, '0') as DevAddr;
}

/** The addresses of NetIDs of type 0: six bits of the NetID, 25 to give away (LoRaWAN Backend Interfaces 1.0, 6.1). */
const TYPE_0_ADDRESSES = 2 ** 25;

/** The first and last address of a NetID of type 0. */
export function devAddrsOf(netId: number): { readonly first: DevAddr; readonly last: DevAddr } {
  const first = (netId & 0x3f) * TYPE_0_ADDRESSES;
  return { first: devAddrOf(first), last: devAddrOf(first + TYPE_0_ADDRESSES - 1) };
}

export function devAddrValue(devAddr: DevAddr): number {
  return Number.parseInt(devAddr, 16);
}
