import { currentNonce, heardOtherwise, isSuspect, type Detector } from './detector.ts';
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
}

interface Suspicion {
  /** `fenced`: it lives, but can neither reach the grantor nor act. */
  readonly cause: 'silent' | 'fenced';
  readonly since: number;
  readonly probesSent: number;
  readonly witness: 'asked' | 'dead';
}

/** What is to be done about what was seen. */
export interface Seen {
  readonly suspected?: { readonly cause: string; readonly silentMs: number };
  /** The nonce of a probe to the customer. */
  readonly probe?: string;
  readonly askWitness?: boolean;
  readonly dead?: Evidence;
}

const PROBES = 3;
const PROBE_EVERY_MS = 40;
const PROBE_WAIT_MS = 150;
/** A suspicion that lasts is probed further, at this many times the interval. */
const PROBE_SELDOM = 25;

export function createWatch(detector: Detector): Watch {
  return { detector, fencedSince: undefined, suspicion: undefined };
}

export function cleared(watch: Watch): Watch {
  return { ...watch, suspicion: undefined };
}

/** Longer than any silence after a restart, of the customer or of the grantor. */
function fencedPatienceMs({ leaseMs }: ContractTerms): number {
  return 2 * Math.max(leaseMs, MAX_DOWNLINK_LEAD_MS) + 1000;
}

function causeOf(watch: Watch, terms: ContractTerms, now: number): Suspicion['cause'] | undefined {
  if (isSuspect(watch.detector, now)) return 'silent';
  const fenced = watch.fencedSince !== undefined && now - watch.fencedSince >= fencedPatienceMs(terms);
  return fenced ? 'fenced' : undefined;
}

function probeDue({ cause, since, probesSent }: Suspicion, now: number): boolean {
  if (cause === 'fenced') return false;
  const due = Math.floor((now - since) / PROBE_EVERY_MS) + 1;
  return probesSent < PROBES ? probesSent < due : due > PROBES + (probesSent - PROBES + 1) * PROBE_SELDOM;
}

/** The next look at the customer, as often as the clock ticks. */
export function watch(known: Watch, terms: ContractTerms, now: number): readonly [Watch, Seen] {
  const cause = causeOf(known, terms, now);
  if (cause === undefined) return [cleared(known), {}];
  const before = known.suspicion?.cause === cause ? known.suspicion : undefined;
  const suspicion = before ?? { cause, since: now, probesSent: 0, witness: 'asked' as const };
  const probe = probeDue(suspicion, now);
  const probed = { ...suspicion, probesSent: suspicion.probesSent + (probe ? 1 : 0) };
  const silentMs = Math.round(now - known.detector.lastHeardAt);
  const seen: Seen = {
    ...(before === undefined ? { suspected: { cause, silentMs } } : {}),
    ...(probe ? { probe: currentNonce(known.detector) } : {}),
  };
  return [
    { ...known, suspicion: probed },
    { ...seen, ...judge(probed, known.detector, terms, now) },
  ];
}

function judge(suspicion: Suspicion, detector: Detector, terms: ContractTerms, now: number): Seen {
  // Without keys to share nobody needs to be asked; but that a living customer is cut off only the witness knows.
  const asks = terms.opening === 'witnessed' || suspicion.cause === 'fenced';
  if (asks && suspicion.witness !== 'dead') return { askWitness: true };
  if (now - suspicion.since < PROBE_WAIT_MS) return {};
  const dead: Evidence = {
    lastBeatMsAgo: Math.round(now - detector.lastHeardAt),
    lastSequence: detector.sequence,
    probesUnanswered: suspicion.probesSent,
    witness: asks ? 'dead' : 'unasked',
  };
  return { dead };
}

/** The witness's word on a suspicion. */
export function witnessed(known: Watch, heard: boolean, now: number): Watch {
  const { suspicion } = known;
  if (suspicion === undefined) return known;
  if (!heard) return { ...known, suspicion: { ...suspicion, witness: 'dead' } };
  return createWatch(heardOtherwise(known.detector, now));
}
