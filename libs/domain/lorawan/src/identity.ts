import { AntirioError, concatBytes, fromHex, hmacSha256, sha256, toHex, utf8, uuidV5 } from '@antirio/kernel';
import type { DevAddr, DevEui, SessionId } from './ids.ts';

/** What makes a reading one reading, on every edge. `mic` only for devices that may reset their counters. */
export interface ReadingIdentity {
  readonly devEui: DevEui;
  readonly session: SessionId;
  /** 32-bit FCntUp. */
  readonly fcnt: number;
  readonly mic?: Uint8Array;
}

// Every edge must derive the same event ids for all time: never change it.
const EVENT_NAMESPACE = '6f1b2b52-4a3d-5c86-9f0e-a7d1c45be02f';

/**
 * First 8 bytes of HMAC-SHA-256(NwkSKey, DevAddr), DevAddr most significant byte first: both edges derive it alone,
 * and it tells nothing about the key.
 */
export function sessionFingerprint(nwkSKey: Uint8Array, devAddr: DevAddr): SessionId {
  return toHex(hmacSha256(nwkSKey, fromHex(devAddr, 4)).subarray(0, 8)) as SessionId;
}

const NETWORK_SERVER = utf8('antirio/network-server-session');

/** What stands for a session whose keys only a network server has: the same wherever that tells of it. */
export function sessionOfNetworkServer(devEui: DevEui, devAddr: DevAddr): SessionId {
  const named = concatBytes(NETWORK_SERVER, fromHex(devEui, 8), fromHex(devAddr, 4));
  return toHex(sha256(named).subarray(0, 8)) as SessionId;
}

/** The EdgeX event id of a reading: UUIDv5 over DevEUI, session and FCnt (big-endian), with the MIC where it belongs. */
export function eventIdOf(identity: ReadingIdentity): string {
  const { devEui, session, fcnt, mic = new Uint8Array() } = identity;
  if (!Number.isInteger(fcnt) || fcnt < 0 || fcnt > 0xffff_ffff)
    throw new AntirioError('invalidInput', 'FCnt has 32 bits', { fcnt });
  const counter = new Uint8Array(4);
  new DataView(counter.buffer).setUint32(0, fcnt);
  return uuidV5(EVENT_NAMESPACE, concatBytes(fromHex(devEui, 8), fromHex(session, 8), counter, mic));
}
