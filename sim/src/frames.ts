import { fcntCandidates } from '@antirio/lorawan';
import { mix } from './random.ts';

/** A data frame as it is on air. Its MIC is a cheap keyed hash in place of AES-CMAC; everything else about it is LoRaWAN's. */
export interface Frame {
  readonly direction: 'up' | 'down';
  readonly devAddr: string;
  readonly fcnt16: number;
  readonly payload: number;
  readonly mic: number;
  /** Stands for the whole PHYPayload: two frames are the same bytes where this is the same. */
  readonly bytes: string;
  /** Of an uplink: the highest FCntDown that its mote acknowledges, in what the MIC covers. */
  readonly heard?: number;
}

/** A session as both ends know it. */
export interface Session {
  readonly devEui: string;
  readonly devAddr: string;
  /** Stands for NwkSKey and AppSKey. */
  readonly key: number;
  /** What a statement calls it. */
  readonly fingerprint: string;
}

function micOf(key: number, direction: Frame['direction'], fcnt: number, payload: number): number {
  return mix(mix(key ^ (direction === 'up' ? 0x55 : 0xaa)) ^ mix(fcnt) ^ Math.imul(payload, 0x9e3779b1));
}

export function frameOf(
  direction: Frame['direction'],
  devAddr: string,
  fcnt16: number,
  payload: number,
  mic: number,
): Frame {
  return {
    direction,
    devAddr,
    fcnt16,
    payload,
    mic,
    bytes: `${direction}${devAddr}.${fcnt16}.${payload}.${mic}`,
  };
}

export function seal(session: Session, direction: Frame['direction'], fcnt: number, payload: number): Frame {
  return frameOf(
    direction,
    session.devAddr,
    fcnt & 0xffff,
    payload,
    micOf(session.key, direction, fcnt, payload),
  );
}

export type Verifies = (frame: Frame, key: number, fcnt: number) => boolean;

export const verifies: Verifies = (frame, key, fcnt) =>
  (fcnt & 0xffff) === frame.fcnt16 && micOf(key, frame.direction, fcnt, frame.payload) === frame.mic;

/** The 32-bit counter under which the session's key verifies the frame. */
export function counterOf(
  frame: Frame,
  session: Session,
  highest: number | undefined,
  isRight: Verifies,
): number | undefined {
  return fcntCandidates(frame.fcnt16, highest).find((fcnt) => isRight(frame, session.key, fcnt));
}
