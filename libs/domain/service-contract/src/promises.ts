import type { EdgeId } from '@antirio/kernel';
import { holdEpoch, leaseDue, leaseGranted, leaseRequested, mayAct, type LeaseHolder } from './lease.ts';
import type { Datagram, LeaseGrant, LeaseRefused } from './messages.ts';
import type { Acting, PartyEffect } from './party.ts';

/**
 * A lease without the grantor: where it does not answer, the holder of the set's epoch acts on while *all* other parties that could be
 * given the next one have promised not to act. What each has promised is counted as a grantor's lease is.
 */
export interface PeerLease {
  readonly lease: LeaseHolder;
  /** Its own, as its last answer to us gave it. */
  readonly challenge: string;
  /** The grantor's, as this party has it. */
  readonly heard: string;
  readonly sequence: number;
  /** Asked again at once already: not a second time before the next request is due. */
  readonly hasty?: boolean;
  /** Who else could be given the next epoch, as its newest promise says. */
  readonly parties?: readonly EdgeId[];
}

/** The grantor has had half a lease to answer before anybody else is asked. */
const GRANTOR_SHARE = 0.5;
/** A set has four slots of counters: where more are told of, somebody is wrong, and nobody's promise is worth anything. */
const OTHERS_MAX = 8;

export type LeaseBy = 'grantor' | 'promises';

/** On whose word we may act now; undefined where we may not. */
export function leaseBy({ lease, grantorUntil }: Acting, now: number): LeaseBy | undefined {
  if (!mayAct(lease, now)) return undefined;
  return now < grantorUntil ? 'grantor' : 'promises';
}

/** Tells when that changes. */
export function tellLeaseBy(acting: Acting, now: number): [Acting, PartyEffect[]] {
  const by = leaseBy(acting, now) ?? acting.said;
  if (by === acting.said) return [acting, []];
  const detail = { by, epoch: acting.lease.epoch, ...(by === 'promises' ? { of: acting.told } : {}) };
  return [{ ...acting, said: by }, [{ type: 'note', milestone: 'leaseBy', detail }]];
}

export function unionOf(self: EdgeId, ...lists: readonly (readonly EdgeId[] | undefined)[]): EdgeId[] {
  const all: EdgeId[] = [];
  for (const list of lists)
    for (const one of list ?? []) if (one !== self && !all.includes(one)) all.push(one);
  return all;
}

/** Since when the grantor has not answered, by what it granted last; it may not have been asked yet. */
function silentSince({ askedFrom, grantorUntil, lease }: Acting, now: number): number {
  return Math.max(askedFrom ?? now, grantorUntil - lease.leaseMs);
}

/** It may still answer in time: until then nobody else is asked, nor needs anybody to know who they are. */
function grantorHasTime(acting: Acting, now: number): boolean {
  return now - silentSince(acting, now) < acting.lease.leaseMs * GRANTOR_SHARE;
}

/** Neither is anybody of the others to be asked, nor has what we act by changed. */
export function areOthersQuiet(acting: Acting, now: number): boolean {
  const by = leaseBy(acting, now);
  return (
    acting.askedFrom !== undefined && grantorHasTime(acting, now) && (by === undefined || by === acting.said)
  );
}

function peerOf(acting: Acting, other: EdgeId): PeerLease {
  const known = acting.peers[other];
  if (known?.lease.epoch === acting.lease.epoch) return known;
  const lease = holdEpoch(acting.lease, acting.lease.epoch, acting.lease.actFrom);
  return { lease, challenge: '', heard: '', sequence: 0, ...known };
}

/** Asks those of `others` whose promise is due, once the grantor is silent. */
export function askOthers(
  acting: Acting,
  setId: string,
  others: () => readonly EdgeId[],
  now: number,
): [Acting, PartyEffect[]] {
  const { lease, bootId } = acting;
  const began = acting.askedFrom === undefined ? { ...acting, askedFrom: now } : acting;
  if (grantorHasTime(acting, now)) return [began, []];
  const known = others();
  if (known.length === 0) return [began, []];
  const effects: PartyEffect[] = [];
  const peers = { ...acting.peers };
  for (const to of new Set([...known, ...acting.told])) {
    const peer = peerOf(acting, to);
    if (!leaseDue(peer.lease, now)) continue;
    const { sequence, challenge, heard } = peer;
    const body = { setId, epoch: lease.epoch, bootId, sequence, challenge, reserve: [], heard };
    const hasty = peer.hasty === true && peer.lease.lastRequestAt === -Infinity;
    peers[to] = { ...peer, hasty, sequence: sequence + 1, lease: leaseRequested(peer.lease, sequence, now) };
    effects.push({ type: 'send', to, datagram: { kind: 'leaseRequest', body } });
  }
  return [{ ...began, peers }, effects];
}

/** What one of the others says of its promise; undefined where the datagram is about something else. */
export function othersNews(
  acting: Acting,
  setId: string,
  from: EdgeId,
  others: () => readonly EdgeId[],
  datagram: Datagram,
): Acting | undefined {
  if (datagram.kind !== 'leaseGrant' && datagram.kind !== 'leaseRefused') return undefined;
  const { body } = datagram;
  const peer = acting.peers[from];
  if (body.setId !== setId || peer === undefined || !isAsked(acting, peer, body)) return undefined;
  const { challenge, heard = '' } = body;
  const known = { ...peer, challenge, heard };
  if (datagram.kind === 'leaseRefused') return withPeer(acting, from, askedAgain(known, body.sequence));
  const { epoch, sequence, leaseMs, parties = [] } = datagram.body;
  const lease = leaseGranted(known.lease, epoch, sequence, leaseMs);
  return reckon(withPeer(acting, from, { ...known, lease, parties }), others());
}

/** It cannot tell our request from a recorded one: it is asked again at once, where this was the newest. */
function askedAgain(peer: PeerLease, answered: number): PeerLease {
  if (peer.hasty === true || answered !== peer.sequence - 1) return peer;
  return { ...peer, hasty: true, lease: { ...peer.lease, lastRequestAt: -Infinity } };
}

function isAsked(acting: Acting, { lease }: PeerLease, answer: LeaseGrant | LeaseRefused): boolean {
  const ours = answer.bootId === acting.bootId && answer.epoch === acting.lease.epoch;
  return ours && lease.outstanding.some((one) => one.sequence === answer.sequence);
}

function withPeer(acting: Acting, from: EdgeId, peer: PeerLease): Acting {
  return { ...acting, peers: { ...acting.peers, [from]: peer } };
}

/**
 * Those that we know of ourselves, and whomever their newest promises name: who was named once and is no longer, by anybody whose promise
 * counts, cannot be given the epoch. A promise that is over counts for nothing, so that nobody is left out by an old word.
 */
function allOf(others: readonly EdgeId[], peers: Acting['peers']): EdgeId[] {
  const all = new Set(others);
  // what is added meanwhile is gone through as well
  for (const one of all) for (const named of peers[one]?.parties ?? []) all.add(named);
  return [...all];
}

/** The lease is the shortest of all their promises: without the answer of one there is none. */
function reckon(acting: Acting, others: readonly EdgeId[]): Acting {
  const { lease, peers } = acting;
  const told = allOf(others, peers);
  if (told.length === 0 || told.length > OTHERS_MAX) return { ...acting, told };
  const ends = told.map((other) => {
    const peer = peers[other];
    return peer?.lease.epoch === lease.epoch ? peer.lease.until : 0;
  });
  const until = Math.max(lease.until, Math.min(...ends));
  return { ...acting, told, lease: { ...lease, until } };
}
