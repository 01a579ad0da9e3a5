import { isAntirioError } from '@antirio/kernel';
import { sessionFingerprint } from '../identity.ts';
import type { AppKey, DevAddr, DevEui, JoinEui, SessionId } from '../ids.ts';
import { deriveSessionKeys, openJoinAccept, type JoinAcceptFields } from './accept.ts';
import { parseJoinRequest, verifyJoinRequest, type JoinRequest } from './request.ts';

/** A join as it was on air: whoever has the root key needs no more to have its session, and nobody else gets anything of it. */
export interface JoinOnAir {
  readonly joinRequest: Uint8Array;
  readonly joinAccept: Uint8Array;
}

/** The session that a join began. */
export interface EvidentJoin {
  readonly devEui: DevEui;
  readonly joinEui: JoinEui;
  readonly devNonce: number;
  readonly joinNonce: number;
  readonly devAddr: DevAddr;
  readonly session: SessionId;
  readonly nwkSKey: Uint8Array;
  readonly appSKey: Uint8Array;
  readonly accept: JoinAcceptFields;
}

/** Why a join is none: not a JoinRequest of its device, or not an answer to it by who has its root key. */
export type JoinFault = 'malformed' | 'unknown' | 'badMic' | 'badAccept';

function requestOf(bytes: Uint8Array): JoinRequest | undefined {
  try {
    return parseJoinRequest(bytes);
  } catch (error) {
    if (isAntirioError(error, 'invalidInput')) return undefined;
    throw error;
  }
}

/** The session of a join that another edge answered, by nothing but its bytes and our own root key. */
export function sessionOfJoin(
  { joinRequest, joinAccept }: JoinOnAir,
  rootKeyOf: (devEui: DevEui) => AppKey | undefined,
): EvidentJoin | JoinFault {
  const request = requestOf(joinRequest);
  if (request === undefined) return 'malformed';
  const { devEui, joinEui, devNonce } = request;
  const key = rootKeyOf(devEui);
  if (key === undefined) return 'unknown';
  if (!verifyJoinRequest(key, request)) return 'badMic';
  const accept = openJoinAccept(key, joinAccept);
  if (accept === undefined) return 'badAccept';
  const { joinNonce, netId, devAddr } = accept;
  const keys = deriveSessionKeys(key, { joinNonce, netId, devNonce });
  const session = sessionFingerprint(keys.nwkSKey, devAddr);
  return { devEui, joinEui, devNonce, joinNonce, devAddr, session, ...keys, accept };
}
