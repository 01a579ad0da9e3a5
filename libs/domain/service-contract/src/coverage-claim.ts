import { z } from 'zod';
import { BASELINE_UPLINKS } from './baseline.ts';
import { judgeCoverage, type CoverageJudgement, type JudgedDevice } from './coverage-breach.ts';
import { baselineOf, haveChanged, isMarkSigned, signedMark, type CoverageMark } from './coverage-mark.ts';
import type { DeviceStatement, HandbackStatement } from './statement.ts';
import type { ContractTerms } from './terms.ts';

/**
 * A customer's claim that its provider handed back less of an outage than it hears, judged by what both have signed: marks of before the
 * outage, the provider's statement, and the first uplink of each device after the return. Wherever those leave a doubt it is the
 * provider's: a provider that hears as its baselines say is found in breach with less than one in a million.
 */

/** Devices that a claim is about: of a set with more baselines the first of them in the set's order. */
export const MOST_CLAIMED = 100;
const fcnt = z.int().min(0);
const devEui = z.string().regex(/^[0-9a-f]{16}$/);

/** The first uplink after the return that a party holds, of the provider's ring. */
export const closingMark = z.strictObject({ devEui, first: fcnt });
export const closingMarks = z.array(closingMark).max(MOST_CLAIMED);
export type ClosingMark = z.output<typeof closingMark>;

export const coverageClaim = z.strictObject({
  /** The newest of each device from before the outage. */
  marks: z.array(signedMark).min(1).max(MOST_CLAIMED),
  /** Those that sent otherwise than before: they count as fully heard. */
  changed: z.array(devEui).max(MOST_CLAIMED),
  closings: closingMarks,
});
export type CoverageClaim = z.output<typeof coverageClaim>;

/** What a provider says to it, by its own ring, and marks that the claim leaves out or that show a change. */
export const coverageAnswer = z.strictObject({
  closings: closingMarks,
  marks: z.array(signedMark).max(MOST_CLAIMED).default([]),
});
export type CoverageAnswer = z.output<typeof coverageAnswer>;

/** Half of one in a million is for the outage itself, the other half for what is not known of its end. */
const CLAIM_LOG10 = Math.log10(5e-7);
const END_CHANCE = 5e-7;
/** Uplinks of one device in one outage. */
const LONGEST = 16_384;
/** A mark may be so many frames of the ring, for each device of the claim, before the first frame handed back. */
const STALE_FRAMES = 40;

export type ClaimFinding =
  | { readonly ok: true; readonly judgement: CoverageJudgement }
  | { readonly ok: false; readonly reason: string };

interface Facts {
  readonly terms: Pick<ContractTerms, 'contractId' | 'customer' | 'provider' | 'set'>;
  readonly claim: CoverageClaim;
  /** The provider's own, of the epoch. */
  readonly statement: HandbackStatement;
  /** Undefined where it did not answer in time. */
  readonly answer: CoverageAnswer | undefined;
}

/** The device's part of what was handed back; `other` where it sent under another session. */
function statedOf({ devices }: HandbackStatement, mark: CoverageMark): DeviceStatement | 'other' | undefined {
  const own = devices.filter((one) => one.devEui === mark.devEui);
  return own.find(({ session }) => session === mark.session) ?? (own.length > 0 ? 'other' : undefined);
}

/** Why a claim with these marks is none. @returns undefined where it is one */
export function refuseMarks({ terms, claim, statement }: Omit<Facts, 'answer'>): string | undefined {
  const seen = new Set<string>();
  for (const mark of claim.marks) {
    const { body } = mark;
    if (body.contractId !== terms.contractId || !terms.set.devices.some((one) => one.devEui === body.devEui))
      return `device ${body.devEui} is not of the contract`;
    if (seen.has(body.devEui)) return `device ${body.devEui} is named twice`;
    seen.add(body.devEui);
    if (baselineOf(body).atLeast === undefined)
      return `device ${body.devEui} has fewer than ${BASELINE_UPLINKS} uplinks in its baseline`;
    if (body.seq >= statement.from) return `the mark of ${body.devEui} is not of before the outage`;
    if (!isMarkSigned(mark, terms)) return `the mark of ${body.devEui} is not signed by both`;
  }
  return undefined;
}

/** Of more devices than a claim may name, it names the first. */
function isAmongFirst({ set }: Facts['terms'], { marks }: CoverageClaim, devEui: string): boolean {
  if (marks.length < MOST_CLAIMED) return true;
  const claimed = new Set(marks.map(({ body }) => body.devEui));
  const last = set.devices.findLastIndex((one) => claimed.has(one.devEui));
  return set.devices.findIndex((one) => one.devEui === devEui) < last;
}

/** A mark of before the outage, by what was handed back, that the claim should have gone by. */
export function isLeftOut(
  { claim, statement, terms }: Omit<Facts, 'answer'>,
  { body, signatures }: CoverageClaim['marks'][number],
): boolean {
  const stated = statedOf(statement, body);
  const claimed = claim.marks.find((one) => one.body.devEui === body.devEui)?.body;
  const isBefore = typeof stated === 'object' && body.last < stated.last;
  const isNewer =
    claimed === undefined
      ? isAmongFirst(terms, claim, body.devEui)
      : body.session === claimed.session && body.last > claimed.last;
  const isOfContract = body.contractId === terms.contractId && baselineOf(body).atLeast !== undefined;
  return isBefore && isNewer && isOfContract && isMarkSigned({ body, signatures }, terms);
}

function hasChangedSince({ claim, answer, terms }: Facts, mark: CoverageMark): boolean {
  if (claim.changed.includes(mark.devEui)) return true;
  return (answer?.marks ?? []).some(
    (later) =>
      later.body.devEui === mark.devEui &&
      later.body.contractId === terms.contractId &&
      later.body.last > mark.last &&
      haveChanged(mark.settings, later.body.settings) &&
      isMarkSigned(later, terms),
  );
}

/** The lower of both parties': the provider's own word counts against the customer's where it is given. */
function firstAfter({ claim, answer }: Facts, { devEui: of }: CoverageMark): number | undefined {
  const by = (closings: readonly ClosingMark[]): number | undefined =>
    closings.find((one) => one.devEui === of)?.first;
  const theirs = by(claim.closings);
  if (answer === undefined || theirs === undefined) return theirs;
  const own = by(answer.closings);
  return own === undefined ? undefined : Math.min(own, theirs);
}

/**
 * How many uplinks between the return and the first that was heard after it may have been missed: more of them, for any of so many
 * devices, are less likely than `END_CHANCE`.
 */
export function missesAfterReturn(atLeast: number, devices: number): number {
  return Math.ceil(Math.log(END_CHANCE / devices) / Math.log1p(-atLeast));
}

interface Window extends JudgedDevice {
  readonly mark: CoverageMark;
}

/**
 * How many uplinks of the device are judged, by FCnt: from its mark to the newest that was handed back, or to the first after the
 * return where that is further by more than chance explains.
 */
function expectedOf(
  facts: Facts,
  mark: CoverageMark,
  atLeast: number,
  last: number,
  devices: number,
): number {
  const first = firstAfter(facts, mark);
  const closed = first === undefined ? -1 : first - 1 - missesAfterReturn(atLeast, devices);
  return Math.min(Math.max(last, closed) - mark.last, LONGEST);
}

/** Undefined where there is no end, or nothing in between. */
function windowOf(facts: Facts, mark: CoverageMark, devices: number): Window | undefined {
  const stated = statedOf(facts.statement, mark);
  const { atLeast } = baselineOf(mark);
  if (stated === 'other' || atLeast === undefined || atLeast <= 0) return undefined;
  const expected = expectedOf(facts, mark, atLeast, stated?.last ?? -1, devices);
  if (expected <= 0) return undefined;
  const isWhole = hasChangedSince(facts, mark);
  return { mark, atLeast, expected, heard: isWhole ? expected : (stated?.count ?? 0) };
}

/**
 * Frames of the provider's ring that may be of these uplinks and are older than what was handed back: all numbers since the oldest
 * mark's first frame but those that the marks themselves count.
 */
function heardBefore(windows: readonly Window[], { from }: HandbackStatement): number {
  const oldest = windows.reduce((seq, { mark }) => Math.min(seq, mark.seq), from);
  return Math.max(0, from - oldest - windows.reduce((sum, { mark }) => sum + mark.shown, 0));
}

/** So many more uplinks were heard, and those beyond a device's own, of whichever devices have room for them. */
function withMore(windows: readonly Window[], more: number): JudgedDevice[] {
  let left = windows.reduce((sum, { expected, heard }) => sum + Math.max(0, heard - expected), more);
  return windows.map(({ expected, heard, atLeast }) => {
    const added = Math.min(left, Math.max(0, expected - heard));
    left -= added;
    return { expected, heard: Math.min(expected, heard + added), atLeast };
  });
}

/** Both the arbitrator's and the ledger's judgement of a claim: the same for the same documents. */
export function judgeClaim(facts: Facts): ClaimFinding {
  const { claim, statement, answer } = facts;
  const refused = refuseMarks(facts);
  if (refused !== undefined) return { ok: false, reason: refused };
  const leftOut = answer?.marks.find((mark) => isLeftOut(facts, mark));
  if (leftOut !== undefined)
    return { ok: false, reason: `the claim leaves a mark of ${leftOut.body.devEui} out` };
  const bodies = claim.marks.map(({ body }) => body);
  const fresh = bodies.filter(({ seq }) => statement.from - seq <= STALE_FRAMES * bodies.length);
  const windows = fresh.flatMap((mark) => windowOf(facts, mark, fresh.length) ?? []);
  const judgement = judgeCoverage(withMore(windows, heardBefore(windows, statement)), CLAIM_LOG10);
  return { ok: true, judgement };
}
