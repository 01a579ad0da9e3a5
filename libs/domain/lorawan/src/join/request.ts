import { AntirioError, createAes128, equalBytes, toHex } from '@antirio/kernel';
import type { AppKey, DevEui, JoinEui } from '../ids.ts';
import { messageType } from '../phy-payload.ts';

/** A JoinRequest as it stands on air: in the clear, and only its MIC says whether it is true. */
export interface JoinRequest {
  /** The whole PHYPayload, MIC included. */
  readonly phyPayload: Uint8Array;
  readonly joinEui: JoinEui;
  readonly devEui: DevEui;
  /** 16 bits. */
  readonly devNonce: number;
  readonly mic: Uint8Array;
}

const LENGTH = 23;
const MIC_AT = 19;

/** Bytes as they stand in a frame, least significant first, as hex with the most significant first. */
const reversedHex = (bytes: Uint8Array): string => toHex(Uint8Array.from(bytes).reverse());

/**
 * Reads a JoinRequest without keys (LoRaWAN 1.0.4, 6.2.4). The slices share the given bytes.
 * @throws AntirioError invalidInput for other message types and for anything but 23 bytes.
 */
export function parseJoinRequest(phyPayload: Uint8Array): JoinRequest {
  const type = messageType(phyPayload);
  if (type !== 'joinRequest') throw new AntirioError('invalidInput', `not a JoinRequest: ${type}`);
  if (phyPayload.length !== LENGTH)
    throw new AntirioError('invalidInput', `a JoinRequest has ${LENGTH} bytes, not ${phyPayload.length}`);
  return {
    phyPayload,
    joinEui: reversedHex(phyPayload.subarray(1, 9)) as JoinEui,
    devEui: reversedHex(phyPayload.subarray(9, 17)) as DevEui,
    devNonce: (phyPayload[17] ?? 0) | ((phyPayload[18] ?? 0) << 8),
    mic: phyPayload.subarray(MIC_AT),
  };
}

/** Whether the JoinRequest's MIC is right for this key; in constant time. */
export function verifyJoinRequest(appKey: AppKey, request: JoinRequest): boolean {
  const mic = createAes128(appKey).cmac(request.phyPayload.subarray(0, MIC_AT)).subarray(0, 4);
  return equalBytes(mic, request.mic);
}
