import { AntirioError } from '@antirio/kernel';

declare const devEuiBrand: unique symbol;
declare const devAddrBrand: unique symbol;
declare const sessionBrand: unique symbol;

/** An end device's EUI-64: 16 lower-case hex digits, most significant byte first. */
export type DevEui = string & { readonly [devEuiBrand]: true };
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

export function devAddrValue(devAddr: DevAddr): number {
  return Number.parseInt(devAddr, 16);
}
