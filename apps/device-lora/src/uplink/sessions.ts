import {
  fcntCandidates,
  type DataFrame,
  type DevAddr,
  type FcntSet,
  type MacState,
  type SessionCipher,
  type SessionId,
} from '@antirio/lorawan';
import type { JoinedState } from '../join/store.ts';
import type { DeviceOptions } from '../options.ts';
import type { Grouped } from './grouped.ts';
import type { Mark, Marks } from './marks.ts';

/** A device under one set of session keys. */
export interface Session {
  readonly id: SessionId;
  readonly device: DeviceOptions;
  readonly devAddr: DevAddr;
  readonly cipher: SessionCipher;
  /** Counters that are stored. */
  seen: FcntSet;
  /** What it had counted to at least, as the edge said that it came from. */
  readonly floor?: number | undefined;
  /** Of a device that may reset its counters: the newest frames that are stored, by their digests. */
  readonly digests: Set<string> | undefined;
  /** What was stored under the newest counters, of all sessions. */
  readonly remembered: Marks;
  /** Counters on their way to core-data; undefined where there are none, as for nearly all sessions at any time. */
  underWay: Map<number, Mark> | undefined;
  /** `given`: its keys came with the secrets; others were made by a join. */
  standing: 'given' | JoinedState;
  /** Read when it is first asked for. */
  mac: MacState | undefined;
  /** It is to be written with the next commit. */
  macUnsaved: boolean;
}

export type Sessions = Grouped<DevAddr, Session>;

/** Whose frame it is, by its MIC; DevAddrs are not unique. */
export type Verdict =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'badMic' }
  | { readonly kind: 'genuine'; readonly session: Session; readonly fcnt: number };

/** The highest counter that is stored or on its way. */
export function highestOf(session: Session): number | undefined {
  const { highest } = session.seen;
  let best = highest;
  for (const fcnt of session.underWay?.keys() ?? []) best = Math.max(best ?? 0, fcnt);
  return best;
}

/** A frame with this counter is on its way to core-data. */
export function noteUnderWay(session: Session, fcnt: number, mark: Mark): void {
  session.underWay ??= new Map();
  session.underWay.set(fcnt, mark);
}

/** It is so no more. */
export function noteDone(session: Session, fcnt: number): void {
  session.underWay?.delete(fcnt);
  if (session.underWay?.size === 0) session.underWay = undefined;
}

/** The highest counter of a device before it began to count anew, where that is known. */
type FormerOf = (session: Session) => number | undefined;

function candidatesOf(session: Session, fcnt16: number, formerOf: FormerOf | undefined): Iterable<number> {
  const highest = highestOf(session);
  const { floor } = session;
  const known = floor === undefined || highest === undefined ? (floor ?? highest) : Math.max(floor, highest);
  const candidates = fcntCandidates(fcnt16, known);
  if (!session.device.mayReset) return candidates;
  const former = formerOf?.(session);
  const late = former === undefined ? [] : fcntCandidates(fcnt16, former);
  // however far it had counted before it began again, and what is late from then
  return new Set([...candidates, fcnt16, ...late]);
}

export function judge(sessions: Sessions, frame: DataFrame, formerOf?: FormerOf): Verdict {
  const candidates = sessions.get(frame.devAddr);
  if (candidates === undefined || frame.direction !== 'up') return { kind: 'unknown' };
  for (const session of candidates) {
    for (const fcnt of candidatesOf(session, frame.fcnt16, formerOf))
      if (session.cipher.verifies(frame, fcnt)) return { kind: 'genuine', session, fcnt };
  }
  return { kind: 'badMic' };
}

/** `otherGateway`: one transmission, heard by several gateways. */
export type Novelty = 'new' | 'otherGateway' | 'retransmission' | 'replay' | 'conflict';

/** No device sends the same bytes twice within this time, the shortest RX1 delay: a gateway's backhaul may be as slow. */
const ONE_TRANSMISSION_MS = 1000;
/** A device whose confirmed uplink is not acknowledged repeats it as late as its duty cycle asks for: at SF12 after minutes. */
const NEWEST_REPEATED_MS = 900_000;

const markOf = ({ id, underWay, remembered }: Session, fcnt: number, isSeen: boolean): Mark | undefined =>
  underWay?.get(fcnt) ?? (isSeen ? remembered.get(id, fcnt) : undefined);

/** What a genuine frame is, compared with what is known under its counter. */
export function noveltyOf(
  session: Session,
  fcnt: number,
  heard: Required<Mark>,
  retransmissionMs: number,
): Novelty {
  const isSeen = session.seen.has(fcnt);
  const known = markOf(session, fcnt, isSeen);
  const { digests } = session;
  // a counter may stand for several frames
  if (digests !== undefined && known?.digest !== heard.digest)
    return digests.has(heard.digest) ? 'replay' : 'new';
  if (known === undefined) return isSeen ? 'replay' : 'new';
  const isNewest = fcnt === highestOf(session);
  const repeatedMs = isNewest ? Math.max(retransmissionMs, NEWEST_REPEATED_MS) : retransmissionMs;
  return known.digest === heard.digest ? sameBytes(known, heard, repeatedMs) : 'conflict';
}

function sameBytes(known: Mark, heard: Required<Mark>, repeatedMs: number): Novelty {
  const apart = Math.abs(heard.receivedAt - known.receivedAt);
  const elsewhere = known.gatewayId !== undefined && known.gatewayId !== heard.gatewayId;
  if (elsewhere && apart <= ONE_TRANSMISSION_MS) return 'otherGateway';
  return apart <= repeatedMs ? 'retransmission' : 'replay';
}
