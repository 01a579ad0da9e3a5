import { createAes128, toHex } from '@antirio/kernel';
import {
  createSessionCipher,
  deriveSessionKeys,
  eventIdOf,
  parseAppKey,
  parseDevAddr,
  parseDevEui,
  parseJoinEui,
  sessionFingerprint,
  type DevAddr,
  type DevEui,
  type JoinEui,
  type SessionCipher,
  type SessionId,
} from '@antirio/lorawan';

/** What a device knows after its join. */
export interface MoteSession {
  readonly devAddr: DevAddr;
  readonly joinNonce: number;
  readonly rxDelay: number;
  readonly dlSettings: number;
  readonly session: SessionId;
  readonly cipher: SessionCipher;
  uplink(fcnt: number, more?: { confirmed?: boolean; ack?: boolean; fOpts?: Uint8Array }): Uint8Array;
  idOf(fcnt: number): string;
}

/** The end device's part of a join (LoRaWAN 1.0.3, 6.2), for tests. */
export interface TestMote {
  readonly devEui: DevEui;
  readonly joinEui: JoinEui;
  readonly appKey: string;
  joinRequest(devNonce: number): Uint8Array;
  /** Undefined where the MIC is not that of this device's AppKey. */
  accept(joinAccept: Uint8Array, devNonce: number): MoteSession | undefined;
}

const LPP = Uint8Array.of(1, 103, 0, 250);
const reversed = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex').reverse());

export function createTestMote(n: number): TestMote {
  const devEui = parseDevEui(n.toString(16).padStart(16, '0'));
  const joinEui = parseJoinEui('00000000000000aa');
  const appKey = (n & 0xff).toString(16).padStart(2, '0').repeat(16);
  const key = parseAppKey(appKey);
  const aes = createAes128(key);
  const sessionOf = (plain: Uint8Array, devNonce: number): MoteSession => {
    const joinNonce = (plain[1] ?? 0) | ((plain[2] ?? 0) << 8) | ((plain[3] ?? 0) << 16);
    const netId = (plain[4] ?? 0) | ((plain[5] ?? 0) << 8) | ((plain[6] ?? 0) << 16);
    const devAddr = parseDevAddr(toHex(Uint8Array.from(plain.subarray(7, 11)).reverse()));
    const keys = deriveSessionKeys(key, { joinNonce, netId, devNonce });
    const session = sessionFingerprint(keys.nwkSKey, devAddr);
    const cipher = createSessionCipher(keys);
    return {
      ...{ devAddr, joinNonce, session, cipher, dlSettings: plain[11] ?? 0, rxDelay: plain[12] ?? 0 },
      uplink: (fcnt, { confirmed = false, ...more } = {}) =>
        cipher.build({ direction: 'up', confirmed, devAddr, fcnt, fPort: 2, ...more }, LPP),
      idOf: (fcnt) => eventIdOf({ devEui, session, fcnt }),
    };
  };
  return {
    devEui,
    joinEui,
    appKey,
    joinRequest(devNonce) {
      const bytes = new Uint8Array(23);
      bytes.set(reversed(joinEui), 1);
      bytes.set(reversed(devEui), 9);
      bytes.set([devNonce & 0xff, devNonce >> 8], 17);
      bytes.set(aes.cmac(bytes.subarray(0, 19)).subarray(0, 4), 19);
      return bytes;
    },
    accept(joinAccept, devNonce) {
      const plain = Uint8Array.from(joinAccept);
      plain.set(aes.encryptBlocks(joinAccept.subarray(1)), 1);
      const micAt = plain.length - 4;
      const mic = aes.cmac(plain.subarray(0, micAt)).subarray(0, 4);
      if (joinAccept[0] !== 0x20 || toHex(mic) !== toHex(plain.subarray(micAt))) return undefined;
      return sessionOf(plain, devNonce);
    },
  };
}
