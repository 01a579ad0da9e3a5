import { z } from 'zod';
import { lowerBound } from './baseline.ts';

/** Drill downlinks: whether the sensors hear the provider's gateway, by what they answer to downlinks that it was lent. */

export const downlinkDrillTerms = z
  .strictObject({
    /** So many sensors are sampled each time; 0: none. */
    motes: z.int().min(0).max(64).default(0),
    /** Seconds from one sample to the next. While READY waits for answers one follows the other. */
    everyS: z.int().min(10).max(2_592_000).default(86_400),
    /** So many sensors must have answered before the contract is READY; of a smaller set all. */
    forReady: z.int().min(0).max(64).default(0),
    /** A provider of whose downlinks surely fewer than so many thousandths are heard is DEGRADED; 0: it is only reported. */
    degradedBelow: z.int().min(0).max(1000).default(0),
  })
  .prefault({});
export type DownlinkDrillTerms = z.output<typeof downlinkDrillTerms>;

interface TermsOf {
  readonly downlinkDrills: DownlinkDrillTerms;
  readonly confidentiality: string;
  readonly set: { readonly devices: readonly { readonly devEui: string }[] };
}

/** Why these terms cannot be signed, undefined where they can. */
export function downlinkDrillProblem({ downlinkDrills, confidentiality }: TermsOf): string | undefined {
  const { motes, forReady, degradedBelow } = downlinkDrills;
  if (motes === 0)
    return forReady + degradedBelow === 0
      ? undefined
      : 'what is asked of drill downlinks takes sensors that are sampled';
  return confidentiality === 'relay' ? 'a provider that never acts has no downlinks to show' : undefined;
}

/** So many sensors as must have answered before READY. */
export function answersForReady({ downlinkDrills, set }: TermsOf): number {
  return downlinkDrills.motes === 0 ? 0 : Math.min(downlinkDrills.forReady, set.devices.length);
}

/** Drill downlinks of one sensor that are remembered. */
const REMEMBERED = 64;
/** Of each sensor so many count for what the provider is now. */
const NEWEST = 4;
/** Samples follow one another so soon while the contract waits for them. */
const AGAIN_BEFORE_READY_MS = 10_000;

/** What a sensor made of the drill downlinks that the provider's gateway sent it. */
export const downlinkShare = z.strictObject({
  devEui: z.string().regex(/^[0-9a-f]{16}$/),
  /** Oldest first: 1 answered, 0 not. */
  results: z.string().regex(new RegExp(`^[01]{0,${REMEMBERED}}$`)),
  /** Wall ms of the customer's, of the newest. */
  at: z.int().min(0),
  /** Demodulation margin that the sensor told last, dB. */
  margin: z.int().min(-32).max(31).optional(),
});
export type DownlinkShare = z.output<typeof downlinkShare>;

/** One more that was surely sent, and whose answer would have been heard. */
export function noteDownlink(
  known: DownlinkShare | undefined,
  { devEui, at, ...one }: { devEui: string; at: number; answered: boolean; margin?: number | undefined },
): DownlinkShare {
  const results = `${known?.results ?? ''}${one.answered ? '1' : '0'}`.slice(-REMEMBERED);
  const margin = one.margin ?? known?.margin;
  return { devEui, results, at, ...(margin === undefined ? {} : { margin }) };
}

const answeredIn = (results: string): number => results.replaceAll('0', '').length;

/** For operators; `atLeast`: the lower 99.9 % confidence bound of the share that the sensor hears. */
export function downlinkView({ results, at, margin }: DownlinkShare) {
  const [sent, answered] = [results.length, answeredIn(results)];
  return { sent, answered, atLeast: lowerBound(answered, sent), at, margin };
}

/** Sensors that have answered at all. */
export function motesThatAnswered(shares: readonly DownlinkShare[]): number {
  return shares.filter(({ results }) => results.includes('1')).length;
}

/** Whether the sensors surely hear less of the provider than the terms ask for: by the newest of each. */
export function areMotesDeaf({ downlinkDrills }: TermsOf, shares: readonly DownlinkShare[]): boolean {
  const newest = shares.map(({ results }) => results.slice(-NEWEST)).join('');
  const missed = newest.length - answeredIn(newest);
  // no more than this share is heard
  const atMost = 1 - lowerBound(missed, newest.length);
  return atMost * 1000 < downlinkDrills.degradedBelow;
}

/** When the next sample begins, in the time of the last one; at once where there was none. */
export function nextSampleAt(terms: TermsOf, state: string, sampledAt: number | undefined): number {
  if (sampledAt === undefined) return -Infinity;
  const isAwaited = state === 'VALIDATED' && answersForReady(terms) > 0;
  return sampledAt + (isAwaited ? AGAIN_BEFORE_READY_MS : terms.downlinkDrills.everyS * 1000);
}

/** The sensors of the next sample: those whose turn is longest ago. `triedAt`: undefined for one that never had one. */
export function nextSample(
  { downlinkDrills, set }: TermsOf,
  triedAt: (devEui: string) => number | undefined,
): string[] {
  const turn = (devEui: string): number => triedAt(devEui) ?? -1;
  const inTurn = set.devices.map(({ devEui }) => devEui).sort((a, b) => turn(a) - turn(b));
  return inTurn.slice(0, downlinkDrills.motes);
}
