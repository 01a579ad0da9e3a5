import { canonicalBytes, fromHex, hmacSha256, sha256Hex, utf8, uuidV5, type EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { holdersOf, type EscrowOf } from './escrow.ts';
import { fullDrillTerms } from './full-drill-terms.ts';
import { edgeId } from './edge-id.ts';

/** A drill: a scheduled takeover without a failure, with keys of its own, measured and undone. */

/** What of drills a contract demands. */
export const drillTerms = z
  .strictObject({
    /** So many takeovers of 30 days are drilled; 0: none, and none before READY. */
    perMonth: z.int().min(0).max(31).default(0),
    /** So long may the provider take of its own, from the question to what was read; what holders take is theirs. */
    maxMs: z.int().min(10_000).max(3_600_000).default(60_000),
    /** What a failed drill costs the provider: out of Q, as far as Q goes, to the customer. */
    penalty: z.int().min(0).max(1_000_000_000_000).default(0),
    full: fullDrillTerms.optional(),
  })
  .prefault({});
export type DrillTerms = z.output<typeof drillTerms>;

/** Why these terms cannot be signed, undefined where they can. */
export function drillProblem(terms: {
  readonly drills: DrillTerms;
  readonly confidentiality: string;
  readonly exposed: string;
}): string | undefined {
  const { perMonth, full } = terms.drills;
  const none = terms.confidentiality !== 'relay' || (perMonth === 0 && full === undefined);
  if (!none) return 'a provider without keys has nothing to show in a drill';
  return full !== undefined && terms.exposed === 'refuse' ? EXPOSES : undefined;
}

const EXPOSES =
  'drills.full: each one exposes the keys, and with `exposed: refuse` the contract would not be READY again until all of them are others';

/** So many drills a month as there can be: a set without sensors has no session that a drill could read. */
export function drillsPerMonth(terms: {
  readonly drills: DrillTerms;
  readonly set: { readonly devices: readonly unknown[] };
}): number {
  return terms.set.devices.length === 0 ? 0 : terms.drills.perMonth;
}

export const DRILL_MONTH_MS = 30 * 86_400_000;
/** Drills of one month in all, those that cost nobody included. */
export const MOST_DRILLS_A_MONTH = 128;
/** Frames of one drill. */
export const MOST_DRILL_FRAMES = 16;

// The drill's names are the same at every edge, for all time: never change it.
const DRILL_NAMESPACE = '0f6d3c1e-54c0-5f0e-8f0a-7b2f4be0d911';

/** What stands for the contract wherever its drills need a name: package, shares, service, ring, readings. */
export function drillIdOf(contractId: string): string {
  return uuidV5(DRILL_NAMESPACE, utf8(contractId));
}

/** The DevEUI of the sensor that there is in drills only: locally administered, so no maker's. */
export function drillDevEuiOf(contractId: string): string {
  return `02${sha256Hex(utf8(`drill/${contractId}`)).slice(0, 14)}`;
}

/** The `kind` of the provider's signature under having drill keys of this version. */
export const DRILL_RECEIPT_KIND = 'antirio/drill-receipt/1';

export const signedDrillReceipt = z.strictObject({
  kind: z.literal(DRILL_RECEIPT_KIND),
  by: edgeId,
  body: z.strictObject({ contractId: z.uuid(), keyVersion: z.int().min(1) }),
  signature: z.string().max(128),
});
export type SignedDrillReceipt = z.output<typeof signedDrillReceipt>;

/** What a drill's service read: the session's id, which takes its NwkSKey, and the payloads in the order of their counters. */
export const drillAnswer = z.strictObject({
  session: z.string().regex(/^[0-9a-f]{16}$/),
  /** Hex; still encrypted where the contract gives the provider no AppSKey. */
  payloads: z.array(z.string().regex(/^(?:[0-9a-f]{2}){0,64}$/)).max(MOST_DRILL_FRAMES),
});
export type DrillAnswer = z.output<typeof drillAnswer>;

/** What the customer commits to before the drill: whoever gives the same answer has opened the keys and read. */
export function drillAnswerHash(answer: DrillAnswer): string {
  return sha256Hex(canonicalBytes(answer));
}

/** As the provider measured it, ms: until its service stood by, until the keys were open, from then until all was read. */
export const drillTimes = z.strictObject({
  standbyMs: z.int().min(0),
  keysMs: z.int().min(0),
  readMs: z.int().min(0),
});
export type DrillTimes = z.output<typeof drillTimes>;

/** `void`: it says nothing about the provider, and costs nobody. */
export type DrillState = 'asked' | 'opened' | 'passed' | 'failed' | 'void';
export type DrillReason =
  | 'read'
  /** The provider's own. */
  | 'notOpened'
  | 'notRead'
  /** A third party's, the customer's, or nobody's. */
  | 'holdersSilent'
  | 'takeover'
  | 'contractOver'
  /** The customer's keys do not open, or its frames say something else than it committed to. */
  | 'wrongFrames'
  | 'givenUp'
  /** Read only after the last call: the arbitrator may have been away, or its clock set. */
  | 'late';

/** A drill as the ledger keeps it: started by the customer's signature, opened and read by the provider's. Times are the ledger's. */
export interface Drill {
  readonly number: number;
  readonly state: DrillState;
  /** Of the drill keys. */
  readonly keyVersion: number;
  /** PHYPayloads in hex, one of them forged. */
  readonly frames: readonly string[];
  readonly answer: string;
  readonly askedAt: number;
  /** The set's epoch and the contract's openings as they were then. */
  readonly epoch: number;
  readonly openings: number;
  /** Whether it is one of those that the contract demands: a failed one costs the provider its penalty. */
  readonly counts: boolean;
  readonly openedAt?: number;
  /** When it was first told to be over: the provider has its time once more, for nothing but not to pay. */
  readonly lastCallAt?: number;
  /** Of the provider's ring when it asked for the keys. */
  readonly root?: string;
  /** Who gave its share, and when. */
  readonly releases: Readonly<Record<EdgeId, number>>;
  readonly times?: DrillTimes;
  readonly endedAt?: number;
  readonly reason?: DrillReason;
  /** What the provider paid. */
  readonly penalty?: number;
}

type DrillTermsOf = EscrowOf & { readonly drills: DrillTerms };

export function isDrillOver({ state }: Pick<Drill, 'state'>): boolean {
  return state !== 'asked' && state !== 'opened';
}

/** When the last share came that the keys take; undefined until then. */
export function keysOpenAt(terms: EscrowOf, drill: Pick<Drill, 'openedAt' | 'releases'>): number | undefined {
  const { openedAt, releases } = drill;
  const holders = holdersOf(terms);
  if (openedAt === undefined || holders.length === 0) return openedAt;
  const given = holders.flatMap((holder) => releases[holder] ?? []).sort((a, b) => a - b);
  return given[terms.escrow.threshold - 1];
}

/** What the ledger knows besides the drill when somebody asks how it stands. */
export interface DrillFacts {
  readonly epoch: number;
  readonly openings: number;
  /** The contract has ended. */
  readonly over: boolean;
  /** The ledger's time. */
  readonly now: number;
}

export type DrillVerdict = { readonly state: 'open' | 'failed' | 'void'; readonly reason?: DrillReason };

const OPEN: DrillVerdict = { state: 'open' };

/** How an unfinished drill stands. Only what the provider took of its own counts against it. */
export function drillVerdict(terms: DrillTermsOf, drill: Drill, facts: DrillFacts): DrillVerdict {
  const { now } = facts;
  const { maxMs } = terms.drills;
  const { askedAt, openedAt, lastCallAt = -Infinity } = drill;
  const taken = (from: number, to: number): number => Math.max(0, to - Math.max(from, lastCallAt));
  if (facts.over) return { state: 'void', reason: 'contractOver' };
  if (facts.openings !== drill.openings || facts.epoch !== drill.epoch)
    return { state: 'void', reason: 'takeover' };
  if (openedAt === undefined)
    return taken(askedAt, now) > maxMs ? { state: 'failed', reason: 'notOpened' } : OPEN;
  const keysAt = keysOpenAt(terms, drill);
  if (keysAt === undefined)
    return taken(openedAt, now) > maxMs ? { state: 'void', reason: 'holdersSilent' } : OPEN;
  return taken(askedAt, openedAt) + taken(keysAt, now) > maxMs
    ? { state: 'failed', reason: 'notRead' }
    : OPEN;
}

export type DrillReleaseRefusal =
  'notProvider' | 'notHolder' | 'noDrill' | 'olderDrill' | 'drillOver' | 'otherKeys';

/** Whether a holder may give its share of the drill keys away: to the provider, against the newest drill, while it is open. */
export function mayReleaseDrill(facts: {
  readonly terms: DrillTermsOf;
  readonly asker: EdgeId;
  readonly holder: EdgeId;
  readonly drill: Drill | undefined;
  /** Of the contract's drills. */
  readonly newest: number;
  readonly ledger: DrillFacts;
}): DrillReleaseRefusal | undefined {
  const { terms, asker, holder, drill, newest, ledger } = facts;
  if (asker !== terms.provider) return 'notProvider';
  if (!holdersOf(terms).includes(holder)) return 'notHolder';
  if (drill === undefined) return 'noDrill';
  if (drill.number !== newest) return 'olderDrill';
  const open = drill.state === 'opened' && drillVerdict(terms, drill, ledger).state === 'open';
  return open ? undefined : 'drillOver';
}

/** Which 30 days since the contract was validated these are. */
export function drillMonth(validatedAt: number, now: number): number {
  return Math.max(0, Math.floor((now - validatedAt) / DRILL_MONTH_MS));
}

/**
 * When the drill of a month with this number (from 0) is due, ledger time: somewhere within its part of the month. `secret` is the
 * customer's, so that the provider cannot know.
 */
export function drillDueAt(
  { perMonth }: DrillTerms,
  validatedAt: number,
  month: number,
  nth: number,
  secret: string,
): number {
  const drawn = hmacSha256(fromHex(secret, 16), utf8(`${month}/${nth}`));
  const jitter = new DataView(drawn.buffer, drawn.byteOffset).getUint32(0) / 2 ** 32;
  return validatedAt + DRILL_MONTH_MS * (month + (nth + jitter) / perMonth);
}
