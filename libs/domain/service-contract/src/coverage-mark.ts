import { z } from 'zod';
import { canonicalJson, verifyDocument, type EdgeId } from '@antirio/kernel';
import { BASELINE_CONFIDENCE, BASELINE_UPLINKS, lowerBound } from './baseline.ts';
import type { CoverageDelta } from './coverage-tally.ts';
import { protectedDevice, type ContractTerms } from './terms.ts';

/** What customer and provider both sign about how well the provider hears a device. */
export const COVERAGE_KIND = 'antirio/coverage-mark/1';
/** Marks that go to a provider at once. */
export const MARKS_AT_ONCE = 200;

const count = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const signature = z.string().max(128);

/** How a device sends, as far as it is known: what was heard under one setting says nothing about another. */
export const coverageSettings = z.strictObject({
  dataRate: z.string().max(32).optional(),
  txPower: z.int().optional(),
  nbTrans: z.int().optional(),
  /** Hz, in order. */
  channels: z.array(z.int()).max(96).optional(),
});
export type CoverageSettings = z.output<typeof coverageSettings>;

const heardOf = z.strictObject({ sent: count, shown: count }).refine((of) => of.shown <= of.sent);
type HeardOf = z.output<typeof heardOf>;

export const coverageMark = z.strictObject({
  contractId: z.uuid(),
  ...protectedDevice.shape,
  session: z.string().regex(/^[0-9a-f]{16}$/),
  keyVersion: z.int().min(1),
  /** Wall ms of the customer's, for operators' eyes only. */
  at: z.number(),
  /** The uplinks that this mark adds, by FCnt, and how many of them the provider showed in time. */
  from: count,
  last: count,
  shown: count,
  /** The first frame of the provider's ring among them; 0 where it showed none. */
  seq: count,
  settings: coverageSettings,
  /** The newest uplinks in two parts, of which the older one is let go when the newer one is long enough. */
  before: heardOf,
  since: heardOf,
  /** The newest commitment that was looked at: through its chain it fixes all those before. */
  receipts: z.strictObject({ chain: z.string().max(16), batch: count, hash }),
});
export type CoverageMark = z.output<typeof coverageMark>;

export const signedMark = z.strictObject({
  body: coverageMark,
  signatures: z.strictObject({ customer: signature, provider: signature.optional() }),
});
export type SignedMark = z.output<typeof signedMark>;

const NOTHING: HeardOf = { sent: 0, shown: 0 };

/** What is known on one side only has not changed. */
export function haveChanged(known: CoverageSettings, now: CoverageSettings): boolean {
  return (['dataRate', 'txPower', 'nbTrans', 'channels'] as const).some(
    (key) =>
      known[key] !== undefined &&
      now[key] !== undefined &&
      canonicalJson(known[key]) !== canonicalJson(now[key]),
  );
}

type Stretch = Pick<CoverageMark, 'session' | 'last' | 'settings' | 'before' | 'since'>;
type Added = Pick<CoverageMark, 'session' | 'from' | 'last' | 'shown' | 'settings'>;

/** The stretch of uplinks that a mark speaks of, after the one before it. Both parties come to the same. */
export function nextStretch(
  known: Stretch | undefined,
  added: Added,
): Pick<Stretch, 'settings' | 'before' | 'since'> {
  const { settings } = added;
  if (settings.dataRate === 'several') return { settings, before: NOTHING, since: NOTHING };
  const sent = added.last - added.from + 1;
  const anew =
    known === undefined ||
    known.session !== added.session ||
    added.from <= known.last ||
    haveChanged(known.settings, settings);
  if (anew) return { settings, before: NOTHING, since: { sent, shown: added.shown } };
  const turns = known.since.sent >= BASELINE_UPLINKS;
  const { before, since } = turns ? { before: known.since, since: NOTHING } : known;
  return {
    settings: { ...known.settings, ...settings },
    before,
    since: { sent: since.sent + sent, shown: since.shown + added.shown },
  };
}

export interface MarkParts {
  readonly contractId: string;
  readonly keyVersion: number;
  readonly at: number;
  readonly receipts: CoverageMark['receipts'];
}

export function markOf(
  known: CoverageMark | undefined,
  { dataRate, ...delta }: CoverageDelta,
  settings: CoverageSettings,
  parts: MarkParts,
): CoverageMark {
  const added = { ...delta, settings: { ...settings, dataRate } };
  return { ...parts, ...delta, ...nextStretch(known, added) };
}

/** How many different FCnts from `from` to `last` are among these, which have 16 bits only. */
export function heardAmong(fcnts16: Iterable<number>, from: number, last: number): number {
  const span = Math.min(last - from, 0xffff);
  const heard = new Set<number>();
  for (const fcnt of fcnts16) if (((fcnt - from) & 0xffff) <= span) heard.add(fcnt & 0xffff);
  return heard.size;
}

/**
 * Why a provider does not sign a mark, or undefined. `known`: the newest one of the device that it has signed; `heard`: how many
 * of these uplinks its own ring has.
 */
export function refuseMark(
  terms: Pick<ContractTerms, 'contractId' | 'set'>,
  mark: CoverageMark,
  known: CoverageMark | undefined,
  heard: number,
): string | undefined {
  const { contractId, devEui } = mark;
  // a device that joins has another address than the terms name
  const isOurs = terms.set.devices.some((one) => one.devEui === devEui);
  if (contractId !== terms.contractId || !isOurs) return 'the device is not of this contract';
  if (mark.last < mark.from) return 'there are no uplinks in it';
  if (mark.shown > heard) return 'our ring does not hold so many of these uplinks';
  const said = canonicalJson({ settings: mark.settings, before: mark.before, since: mark.since });
  const follows = [known, undefined].some((one) => canonicalJson(nextStretch(one, mark)) === said);
  return follows ? undefined : 'it does not follow from the mark before it';
}

/** Whether an edge has signed it. */
export function verifiesMark(body: CoverageMark, by: EdgeId, signed: string | undefined): boolean {
  return (
    signed !== undefined &&
    verifyDocument({ kind: COVERAGE_KIND, by, body, signature: signed }, COVERAGE_KIND)
  );
}

/** Whether both parties have signed it. */
export function isMarkSigned(
  { body, signatures }: SignedMark,
  { customer, provider }: Pick<ContractTerms, 'customer' | 'provider'>,
): boolean {
  return (
    verifiesMark(body, customer, signatures.customer) && verifiesMark(body, provider, signatures.provider)
  );
}

/** How well a provider hears a device, by a mark that both signed. */
export interface Baseline {
  readonly uplinks: number;
  readonly heard: number;
  /** The lower confidence bound; undefined where there are too few to judge by. */
  readonly atLeast: number | undefined;
}

export function baselineOf({ before, since }: Pick<CoverageMark, 'before' | 'since'>): Baseline {
  const uplinks = before.sent + since.sent;
  const heard = before.shown + since.shown;
  const atLeast = uplinks < BASELINE_UPLINKS ? undefined : lowerBound(heard, uplinks, BASELINE_CONFIDENCE);
  return { uplinks, heard, atLeast };
}

/** What a customer sends its provider to sign. */
export const markRequest = z.strictObject({
  marks: z.array(signedMark).min(1).max(MARKS_AT_ONCE),
});

/** What it answers to each of them. */
export const markAnswers = z.object({
  answers: z
    .array(
      z.union([z.object({ signature: z.string().max(128) }), z.object({ refused: z.string().max(256) })]),
    )
    .max(MARKS_AT_ONCE),
});
