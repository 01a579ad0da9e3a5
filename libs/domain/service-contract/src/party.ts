import type { EdgeId } from '@antirio/kernel';
import type { BlockBook, BlockMark, BlockRefusal } from './block-marks.ts';
import type { CounterBlock } from './fcnt-down.ts';
import {
  createLeaseHolder,
  holdEpoch,
  leaseDue,
  leaseGranted,
  leaseRequested,
  type LeaseHolder,
} from './lease.ts';
import type { Sibling } from './promiser.ts';
import { areOthersQuiet, askOthers, tellLeaseBy, type LeaseBy, type PeerLease } from './promises.ts';
import { reservingFrom, type Holder, type Reserving } from './reserving-state.ts';
import { areBlocksQuiet, isHeldBack, onGranted, tendBlocks } from './reserving.ts';
import { callBegun, callKey, mayCall, type CallBook } from './calls.ts';
import type { HeldShare } from './escrow.ts';
import type {
  CallArgs,
  CallMethod,
  Datagram,
  DatagramProof,
  DownCounters,
  LeaseGrant,
  LeaseRefused,
  Reservation,
} from './messages.ts';
import type { GatewayAge } from './deaf.ts';
import type { Load } from './overload.ts';
import type { RekeyCount } from './rekey-terms.ts';
import type { RoomStates } from './room-senses.ts';
import type { HandbackStatement } from './statement.ts';
import type { ContractTerms } from './terms.ts';
import type { SignedWord, YieldCause } from './yield-word.ts';

/** What customer and provider machines have in common: events in, effects out, the acting half under epoch and lease. */

export type PartyEvent =
  | { readonly type: 'tick' }
  /** `proof`: how it was signed, where that is known. */
  | {
      readonly type: 'datagram';
      readonly from: EdgeId;
      readonly datagram: Datagram;
      readonly proof?: DatagramProof;
    }
  | {
      readonly type: 'answer';
      readonly method: CallMethod;
      /** Whom it was asked, where a method goes to several. */
      readonly holder?: EdgeId;
      readonly ok: true;
      readonly value: unknown;
    }
  | {
      readonly type: 'answer';
      readonly method: CallMethod;
      readonly holder?: EdgeId;
      readonly ok: false;
      readonly code: string;
      readonly retryInMs?: number;
    }
  /** What the edge's other rooms are seen to do. */
  | { readonly type: 'observed'; readonly observed: Observed }
  | { readonly type: 'returnAsked'; readonly epoch: number }
  /** The disk took none of that one's blocks (`keepBlocks`), so that nothing of the step with it has happened. */
  | { readonly type: 'unkept'; readonly by: EdgeId }
  /** To the customer: give your service away, with this signed word. */
  | { readonly type: 'yieldAsked'; readonly word: SignedWord }
  /** To the provider: the customer's word. */
  | { readonly type: 'takeOverAsked'; readonly word: SignedWord }
  /** To the customer: the fence is shut, and these counters are used. */
  | { readonly type: 'givenUp'; readonly counters: DownCounters }
  /** An operator wants nothing to happen by itself, or no longer so. */
  | { readonly type: 'held'; readonly held: boolean }
  /** An operator wants the sensors back. */
  | { readonly type: 'returnTold'; readonly forced: boolean }
  /** An operator is sure that the customer is dead, or has its operator's word. */
  | { readonly type: 'takeoverTold'; readonly by: string }
  /** With these shares the keys do not open. */
  | { readonly type: 'keysRefused' }
  | {
      readonly type: 'sealedOff';
      readonly counters: DownCounters;
      readonly statement: HandbackStatement;
    }
  | { readonly type: 'stated'; readonly statement: HandbackStatement; readonly counters: DownCounters }
  | {
      readonly type: 'counterAsked';
      readonly requestId: string;
      readonly devAddr: string;
      readonly above: number;
      /** The highest counter that the device surely heard. */
      readonly proven?: number | undefined;
    };

export interface Observed {
  readonly service?: 'absent' | 'loading' | 'standby' | 'active' | 'failed' | 'needsSecrets';
  readonly keysHeld?: boolean;
  /** The customer has not told yet how its devices listen, and may still do so: READY waits for it. */
  readonly awaitsListening?: boolean;
  /** Of the provider's ring: the first record that the customer has not acknowledged, and the next to come. */
  readonly ring?: { readonly from: number; readonly next: number };
  /** Gap filling: whether everything the other side offered is here, and through which of its records. */
  readonly source?: { readonly pulledThrough: number; readonly caughtUp: boolean };
  readonly storeOk?: boolean;
  /** Of the customer's edge, those that it cannot serve without. */
  readonly rooms?: RoomStates;
  readonly gateways?: readonly GatewayAge[];
  /** Of the provider's downlinks surely too few are heard, by what the terms ask for. */
  readonly motesDeaf?: boolean;
  /** Of the customer's machine. */
  readonly load?: Load;
  /** Of the customer's devices, where new keys are waited for. */
  readonly rekeyed?: RekeyCount;
  /** The version of the keys in the customer's files; of the package that the provider holds. */
  readonly keyVersion?: number;
}

export type Milestone =
  | 'ready'
  | 'degraded'
  | 'suspected'
  | 'cleared'
  | 'confirmed'
  | 'opened'
  | 'activated'
  | 'fenced'
  | 'released'
  | 'retaken'
  | 'yielding'
  | 'yielded'
  | 'yieldFailed'
  | 'returnTold'
  | 'takeoverTold'
  /** Another provider of the set has the epoch: the keys are closed again, and exposed. */
  | 'stoodDown'
  /** The customer acts again, under an epoch that another of its contracts brought back. */
  | 'followed'
  /** From here on we act on another word than before: the grantor's, or the promises of the others. */
  | 'leaseBy'
  | 'stated'
  | 'rekeyed'
  | 'keysRefused'
  | 'badShare'
  | 'ended';

export type PartyEffect =
  | { readonly type: 'send'; readonly to: EdgeId; readonly datagram: Datagram }
  | ({ readonly type: 'call'; readonly to: EdgeId } & CallArgs)
  /** Combine the holders' shares with our part (null: we hold the whole) and give the keys to the service. Never written to disk. */
  | { readonly type: 'openKeys'; readonly shares: readonly HeldShare[] | null }
  /** Shut the fence, note what the ring holds, compute the statement from `from` on; answered by `sealedOff`. */
  | { readonly type: 'sealOff'; readonly from: number; readonly epoch: number }
  /** Shut the fence and tell which counters are used; answered by `givenUp`. */
  | { readonly type: 'giveUp'; readonly epoch: number }
  /** Sign our word that the provider shall take over: answered by `yieldAsked`. */
  | { readonly type: 'lastGasp'; readonly cause: YieldCause }
  /** Compute our statement over the provider's ring range, the provider's own where the two differ; answered by `stated`. */
  | { readonly type: 'state'; readonly from: number; readonly through: number; readonly epoch: number }
  | {
      readonly type: 'grantBlock';
      readonly requestId: string;
      readonly devAddr: string;
      readonly block: CounterBlock;
      /** As far as anybody of the set knows. */
      readonly proven?: number | undefined;
    }
  /** These blocks of that party are to be on our disk before anything that follows is done. */
  | { readonly type: 'keepBlocks'; readonly by: EdgeId; readonly marks: readonly BlockMark[] }
  /** What another party said of blocks is not believed, or not kept; it is counted. */
  | { readonly type: 'blocksRefused'; readonly reason: BlockRefusal }
  /** The customer has failed so many times in a row: to be known at the next start. */
  | { readonly type: 'failures'; readonly count: number }
  | {
      readonly type: 'note';
      readonly milestone: Milestone;
      readonly detail: Readonly<Record<string, unknown>>;
    };

/** One deed of whoever runs a machine. */
export type Deed<Phase> = { readonly type: 'persist'; readonly phase: Phase } | PartyEffect;

/**
 * What a turn of a machine asks for, in this order: nothing is done before what it follows from is on the disk. Blocks come first: where
 * they cannot be kept nothing of the turn has happened, and where they are kept in vain no more than some counters are lost.
 */
export function deedsOf<Phase>(before: Phase, after: Phase, effects: readonly PartyEffect[]): Deed<Phase>[] {
  const isFirst = ({ type }: PartyEffect): boolean => type === 'keepBlocks';
  const rest = effects.filter((effect) => !isFirst(effect));
  const phase = after === before ? [] : [{ type: 'persist', phase: after } as const];
  return [...effects.filter(isFirst), ...phase, ...rest];
}

/** The state that a machine wants of its edge; brought about by whoever runs it, as often as needed. */
export interface Desired {
  readonly fence:
    | { readonly state: 'shut' }
    | {
        readonly state: 'open';
        readonly epoch: number;
        readonly slot: number;
        readonly actFrom: number;
        readonly actUntil: number;
      };
  readonly service: 'absent' | 'standby' | 'active';
  readonly gapFilling: boolean;
}

export interface Context {
  /** This host's monotonic milliseconds. */
  readonly now: number;
  /** Wall milliseconds, only to be shown. */
  readonly wall: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether this edge can begin another takeover now; asked only where one is due. */
  readonly mayBegin?: (() => boolean) | undefined;
  /** Of a customer: its providers by all of its contracts over this set that are not over. */
  readonly providers?: (() => readonly EdgeId[]) | undefined;
  /** Of those the ones that cannot be given the epoch: all that they do is to keep frames. */
  readonly keepers?: (() => readonly EdgeId[]) | undefined;
  /** The other machines of this edge over this set and in this role, as they are now. */
  readonly siblings?: (() => readonly Sibling[]) | undefined;
  /** What this edge has on its disk of the blocks of FCntDown in this set; without it none stands on promises. */
  readonly blocks?: BlockBook | undefined;
}

/** The acting half of a party: its epoch, lease and counter blocks. Lost at a restart, on purpose. */
export interface Acting {
  readonly lease: LeaseHolder;
  readonly wanted: readonly WantedBlock[];
  readonly bootId: string;
  readonly sequence: number;
  /** The grantor's, as its last answer to us gave it. */
  readonly challenge: string;
  /** The end of what the grantor itself has promised. */
  readonly grantorUntil: number;
  /** Since when a lease of this epoch is asked for. */
  readonly askedFrom: number | undefined;
  /** What the other parties of the set promised, by edge. */
  readonly peers: Readonly<Record<string, PeerLease>>;
  /** Whose promises were counted last. */
  readonly told: readonly EdgeId[];
  /** On whose word we acted last, as it was told. */
  readonly said: LeaseBy;
  readonly reserving: Reserving;
}

export interface WantedBlock extends Reservation {
  readonly requestId: string;
  readonly askedAt: number;
  /** It was asked for a second time already, above all that others may have used. */
  readonly settled?: boolean;
}

const unpromised = { grantorUntil: 0, askedFrom: undefined, peers: {}, told: [] } as const;

const WANTED_KEPT = 64;
const RESERVED_AT_ONCE = 8;
/** Every request that names a block burns one, so an answer is waited for. */
const RESERVE_AGAIN_MS = 300;

export function createActing(leaseMs: number, bootId: string, now: number): Acting {
  const lease = createLeaseHolder(leaseMs, now);
  const reserving = reservingFrom(now);
  return { lease, wanted: [], bootId, sequence: 0, challenge: '', said: 'grantor', reserving, ...unpromised };
}

/** The newest request for a device is the one to be answered: who asks again has given the older one up. */
export function wantBlock(
  acting: Acting,
  slot: number,
  event: Extract<PartyEvent, { type: 'counterAsked' }>,
): Acting {
  const { requestId, devAddr, proven } = event;
  const there = acting.wanted.find((one) => one.devAddr === devAddr);
  const others = acting.wanted.filter((one) => one !== there);
  if (others.length >= WANTED_KEPT) return acting;
  const { askedAt = -Infinity, settled = false } = there ?? {};
  const above = Math.max(event.above, there?.above ?? -1);
  return { ...acting, wanted: [...others, { requestId, devAddr, slot, above, proven, askedAt, settled }] };
}

/** Asks for the lease when it is due or a block is wanted, and those who could be given the next epoch where nobody answers. */
export function renew(
  acting: Acting,
  terms: ContractTerms,
  others: () => readonly EdgeId[],
  now: number,
  holder?: Holder,
): [Acting, PartyEffect[]] {
  if (acting.lease.epoch === 0) return [acting, []];
  // most ticks find nothing to do: those go no further
  const quiet = acting.wanted.length === 0 && !leaseDue(acting.lease, now) && areOthersQuiet(acting, now);
  if (quiet && (holder === undefined || areBlocksQuiet(acting, now))) return [acting, []];
  const [asked, effects] = askGrantor(acting, terms, now, holder);
  const [next, more] = askOthers(asked, terms.set.setId, others, now);
  const [told, notes] = tellLeaseBy(next, now);
  const [tended, blocks] = holder === undefined ? [told, []] : tendBlocks(told, holder);
  return [tended, [...effects, ...more, ...notes, ...blocks]];
}

function askGrantor(
  acting: Acting,
  terms: ContractTerms,
  now: number,
  holder: Holder | undefined,
): [Acting, PartyEffect[]] {
  const { lease, bootId, sequence, challenge } = acting;
  const pressing = acting.wanted
    .filter((one) => now - one.askedAt >= RESERVE_AGAIN_MS && !isHeldBack(acting, one, holder))
    .slice(0, RESERVED_AT_ONCE);
  if (pressing.length === 0 && !leaseDue(lease, now)) return [acting, []];
  const reserve = pressing.map(({ devAddr, slot, above, proven }) => ({ devAddr, slot, above, proven }));
  const body = { setId: terms.set.setId, epoch: lease.epoch, bootId, sequence, challenge, reserve };
  const wanted = acting.wanted.map((one) => (pressing.includes(one) ? { ...one, askedAt: now } : one));
  return [
    { ...acting, sequence: sequence + 1, wanted, lease: leaseRequested(lease, sequence, now) },
    [{ type: 'send', to: terms.central, datagram: { kind: 'leaseRequest', body } }],
  ];
}

function isAsked(acting: Acting, answer: LeaseGrant | LeaseRefused): boolean {
  const ours = answer.bootId === acting.bootId && answer.epoch === acting.lease.epoch;
  return ours && acting.lease.outstanding.some((one) => one.sequence === answer.sequence);
}

function leaseAnswered(
  acting: Acting,
  grant: LeaseGrant,
  holder: Holder | undefined,
): [Acting, PartyEffect[]] {
  if (!isAsked(acting, grant)) return [acting, []];
  const { epoch, sequence, challenge } = grant;
  const lease = leaseGranted(acting.lease, epoch, sequence, grant.leaseMs);
  const ours = leaseGranted({ ...acting.lease, until: acting.grantorUntil }, epoch, sequence, grant.leaseMs);
  const [given, effects] = onGranted(acting, grant.blocks, holder);
  return [{ ...given, lease, challenge, grantorUntil: ours.until }, effects];
}

/**
 * The grantor cannot tell our request from a recorded one: it is asked again at once, with its challenge. Only for the newest
 * request: where many are under way, a slow grantor must not be asked as often again.
 */
function askAfresh(acting: Acting, refused: LeaseRefused): Acting {
  if (refused.reason !== 'stale' || !isAsked(acting, refused)) return acting;
  const { challenge, sequence } = refused;
  if (sequence !== acting.sequence - 1) return { ...acting, challenge };
  const wanted = acting.wanted.map((one) => ({ ...one, askedAt: -Infinity }));
  return { ...acting, wanted, challenge, lease: { ...acting.lease, lastRequestAt: -Infinity } };
}

export function actUnder(acting: Acting, epoch: number, actFrom: number): Acting {
  // who acted until now may have left blocks unrecorded
  const reserving = { ...acting.reserving, unrecorded: true };
  const lease = holdEpoch(acting.lease, epoch, actFrom);
  return { ...acting, ...unpromised, lease, reserving, wanted: [] };
}

/** How long its holder still waits before it may act under its epoch, ms of its own clock. */
export function waitOf({ lease }: Acting, now: number): number {
  return Math.ceil(Math.max(0, lease.actFrom - now));
}

export function fenceOf(acting: Acting, slot: number, now: number): Desired['fence'] {
  const { epoch, until, actFrom } = acting.lease;
  // A lease that ends before its holder may act opens nothing.
  if (epoch === 0 || until <= Math.max(now, actFrom)) return { state: 'shut' };
  return { state: 'open', epoch, slot, actFrom, actUntil: until };
}

/** What central says of our lease, taken into account; undefined when the datagram is about something else. */
export function leaseNews(
  acting: Acting,
  setId: string,
  datagram: Datagram,
  holder?: Holder,
): { readonly acting: Acting; readonly effects: PartyEffect[]; readonly refused?: LeaseRefused } | undefined {
  if (datagram.kind === 'leaseGrant' && datagram.body.setId === setId) {
    const [granted, effects] = leaseAnswered(acting, datagram.body, holder);
    return { acting: granted, effects };
  }
  if (datagram.kind === 'leaseRefused' && datagram.body.setId === setId)
    return { acting: askAfresh(acting, datagram.body), effects: [], refused: datagram.body };
  return undefined;
}

/** One call, if none of its kind is under way or waits for its back-off. */
export function callOnce(book: CallBook, to: EdgeId, call: CallArgs, now: number): [CallBook, PartyEffect[]] {
  const key = callKey(call.method, 'holder' in call.args ? call.args.holder : undefined);
  if (!mayCall(book, key, now)) return [book, []];
  return [callBegun(book, key, now), [{ type: 'call', to, ...call }]];
}
