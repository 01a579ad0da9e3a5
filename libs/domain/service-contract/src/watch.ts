import {
  answersProbe,
  drawProbes,
  heardOtherwise,
  isDoubtful,
  suspicionAt,
  type Detector,
} from './detector.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';
import type { Evidence } from './messages.ts';
import type { ContractTerms } from './terms.ts';

/**
 * A provider's eye on its customer: from missed beats, or beats of a customer that has long lost its lease, over probes and
 * the witness's word to a verdict. Forgotten at a restart.
 */
export interface Watch {
  readonly detector: Detector;
  /** Since when the customer's beats say that it has no lease. */
  readonly fencedSince: number | undefined;
  readonly suspicion: Suspicion | undefined;
  /** When it looked last. */
  readonly lookedAt: number;
}

interface Suspicion {
  /** `fenced`: it lives, but can neither reach the grantor nor act. */
  readonly cause: 'silent' | 'fenced';
  readonly since: number;
  readonly probesSent: number;
  readonly probedAt: number;
  /** When the last one of the burst was sent. */
  readonly burstAt: number | undefined;
  readonly witness: 'asked' | 'dead';
  /** Whether it was told of: the doubt before it is nobody's news. */
  readonly told: boolean;
}

/** What of a contract a watch goes by. */
export type WatchTerms = Pick<ContractTerms, 'opening' | 'leaseMs'>;

/** What is to be done about what was seen. */
export interface Seen {
  readonly suspected?: { readonly cause: string; readonly silentMs: number };
  /** The nonces of probes to the customer. */
  readonly probes?: readonly string[];
  readonly askWitness?: boolean;
  readonly dead?: Evidence;
}

/**
 * Datagrams that are each lost with a chance of one in five leave a probe unanswered with 0.36. Three beats, eight probes of ours and
 * as many of the witness are all lost with less than one in a thousand million; whoever decides alone sends as many alone.
 * docs/handover.md has what was measured.
 */
const VOLLEY = 4;
const VOLLEY_EVERY_MS = 20;
const PROBES = { witnessed: 8, alone: 16 } as const;
const PROBE_WAIT_MS = 140;
const PROBE_WAIT_MAX_MS = 2000;
/** Who did not look for so long was asleep, and cannot tell silence from answers that lie unread. */
const ASLEEP_MS = 600;
/** A suspicion that lasts is probed further, now and then. */
const PROBE_SELDOM_MS = 1000;

export function createWatch(detector: Detector): Watch {
  return { detector, fencedSince: undefined, suspicion: undefined, lookedAt: -Infinity };
}

export function cleared(watch: Watch): Watch {
  return watch.suspicion === undefined ? watch : { ...watch, suspicion: undefined };
}

/** Longer than any silence after a restart, of the customer or of the grantor. */
function fencedPatienceMs({ leaseMs }: WatchTerms): number {
  return 2 * Math.max(leaseMs, MAX_DOWNLINK_LEAD_MS) + 1000;
}

function causeOf(watch: Watch, terms: WatchTerms, now: number): Suspicion['cause'] | undefined {
  if (isDoubtful(watch.detector, now)) return 'silent';
  const fenced = watch.fencedSince !== undefined && now - watch.fencedSince >= fencedPatienceMs(terms);
  return fenced ? 'fenced' : undefined;
}

/** Without keys to share nobody needs to be asked; but that a living customer is cut off only the witness knows. */
function asksWitness({ cause }: Suspicion, { opening }: WatchTerms): boolean {
  return opening === 'witnessed' || cause === 'fenced';
}

function probesWanted(suspicion: Suspicion, terms: WatchTerms): number {
  if (suspicion.cause === 'fenced') return 0;
  return asksWitness(suspicion, terms) ? PROBES.witnessed : PROBES.alone;
}

function probesDue(suspicion: Suspicion, terms: WatchTerms, now: number): number {
  const { cause, probesSent, probedAt } = suspicion;
  if (cause === 'fenced') return 0;
  const missing = probesWanted(suspicion, terms) - probesSent;
  if (missing <= 0) return now - probedAt >= PROBE_SELDOM_MS ? 1 : 0;
  return now - probedAt >= VOLLEY_EVERY_MS ? Math.min(missing, VOLLEY) : 0;
}

/** The next look at the customer, as often as the clock ticks. */
export function watch(known: Watch, terms: WatchTerms, now: number): readonly [Watch, Seen] {
  const cause = causeOf(known, terms, now);
  if (cause === undefined) return [{ ...cleared(known), lookedAt: now }, {}];
  const suspicion = standing(known, cause, now) ?? doubt(cause, now);
  const due = probesDue(suspicion, terms, now);
  const [detector, probes] = drawProbes(known.detector, due);
  const suspect = cause === 'fenced' || now >= suspicionAt(detector);
  const next = { ...probed(suspicion, due, terms, now), told: suspicion.told || suspect };
  const news: Seen =
    suspect && !suspicion.told
      ? { suspected: { cause, silentMs: Math.round(now - detector.lastHeardAt) } }
      : {};
  return [
    { detector, fencedSince: known.fencedSince, suspicion: next, lookedAt: now },
    { ...news, ...(due > 0 && { probes }), ...judge(next, detector, terms, now) },
  ];
}

function standing(known: Watch, cause: Suspicion['cause'], now: number): Suspicion | undefined {
  const awake = now - known.lookedAt <= ASLEEP_MS;
  return awake && known.suspicion?.cause === cause ? known.suspicion : undefined;
}

function doubt(cause: Suspicion['cause'], now: number): Suspicion {
  const unprobed = { probesSent: 0, probedAt: -Infinity, burstAt: undefined };
  return { cause, since: now, ...unprobed, witness: 'asked', told: false };
}

function probed(suspicion: Suspicion, due: number, terms: WatchTerms, now: number): Suspicion {
  const probesSent = suspicion.probesSent + due;
  const isWhole = probesSent >= probesWanted(suspicion, terms);
  const burstAt = suspicion.burstAt ?? (isWhole ? now : undefined);
  return { ...suspicion, probesSent, burstAt, probedAt: due === 0 ? suspicion.probedAt : now };
}

function judge(suspicion: Suspicion, detector: Detector, terms: WatchTerms, now: number): Seen {
  const asks = asksWitness(suspicion, terms);
  if (asks && suspicion.witness !== 'dead') return { askWitness: true };
  if (isOpen(suspicion, detector, now)) return {};
  const dead: Evidence = {
    lastBeatMsAgo: Math.round(now - detector.lastHeardAt),
    lastSequence: detector.sequence,
    probesUnanswered: suspicion.probesSent,
    witness: asks ? 'dead' : 'unasked',
  };
  return { dead };
}

/** Whether beats may still come, or answers to probes. */
function isOpen(suspicion: Suspicion, detector: Detector, now: number): boolean {
  if (suspicion.cause === 'silent' && now < suspicionAt(detector)) return true;
  const waitMs = Math.min(Math.max(PROBE_WAIT_MS, 2 * detector.roundTripMs), PROBE_WAIT_MAX_MS);
  return suspicion.burstAt === undefined || now - suspicion.burstAt < waitMs;
}

/** What a provider saw that takes over by somebody's word, or by what the ledger says: nobody was asked whether the customer lives. */
export function unasked({ detector }: Watch, now: number): Evidence {
  return {
    lastBeatMsAgo: Math.max(0, Math.round(now - detector.lastHeardAt)),
    lastSequence: detector.sequence,
    probesUnanswered: 0,
    witness: 'unasked',
  };
}

/** The witness's word on a suspicion. */
export function witnessed(known: Watch, heard: boolean, now: number): Watch {
  const { suspicion } = known;
  if (suspicion === undefined) return known;
  if (!heard) return { ...known, suspicion: { ...suspicion, witness: 'dead' } };
  return createWatch(heardOtherwise(known.detector, now));
}

/** An answer to a probe of this suspicion; undefined where it answers none. */
export function probeReplied(known: Watch, nonce: string, now: number): Watch | undefined {
  const among = known.suspicion?.probesSent ?? 0;
  if (!answersProbe(known.detector, nonce, among)) return undefined;
  return { ...known, detector: heardOtherwise(known.detector, now) };
}
