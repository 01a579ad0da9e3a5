import { z } from 'zod';
import { BASELINE_CONFIDENCE, lowerBound } from './baseline.ts';

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
/** Of all sensors so many: a provider that has mended its antenna is judged by what was sent since. */
const NEWEST_OF_ALL = 64;
/** Samples follow one another so soon while the contract waits for them. */
const AGAIN_BEFORE_READY_MS = 10_000;
/** So many an hour show whether a provider that is not heard is heard again: it sends no more for one customer. */
const AN_HOUR_WHILE_DEAF = 64;
const HOUR_MS = 3_600_000;

/** What a sensor made of the drill downlinks that the provider's gateway sent it. */
export const downlinkShare = z.strictObject({
  devEui: z.string().regex(/^[0-9a-f]{16}$/),
  /** Oldest first: 1 answered, 0 not. */
  results: z.string().regex(new RegExp(`^[01]{0,${REMEMBERED}}$`)),
  /** Wall ms of the customer's, of the newest. */
  at: z.int().min(0),
  /** The same of the newest four, oldest first; shares from before these were kept have none. */
  times: z.array(z.int().min(0)).max(NEWEST).optional(),
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
  const times = [...(known === undefined ? [] : timesOf(known)), at].slice(-NEWEST);
  return { devEui, results, at, times, ...(margin === undefined ? {} : { margin }) };
}

function timesOf({ at, times }: DownlinkShare): readonly number[] {
  return times ?? [at];
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

/** The newest results of all sensors together, by their time; of a time that nobody knows come last. */
function newestOf(shares: readonly DownlinkShare[], count: number): string {
  const single = shares.flatMap((share) => {
    const times = timesOf(share);
    const results = Array.from(share.results.slice(-NEWEST));
    const untimed = results.length - times.length;
    return results.map((result, i) => ({ result, at: times[i - untimed] ?? 0 }));
  });
  return single
    .sort((a, b) => b.at - a.at)
    .slice(0, count)
    .map(({ result }) => result)
    .join('');
}

/** Of fewer than so many not even where all were missed it is sure that less than this share is heard. */
function fewestFor(share: number): number {
  return Math.ceil(Math.log(1 - BASELINE_CONFIDENCE) / Math.log1p(-share));
}

/** Whether the sensors surely hear less of the provider than the terms ask for: by the newest in all, at most four of each. */
export function areMotesDeaf({ downlinkDrills }: TermsOf, shares: readonly DownlinkShare[]): boolean {
  const { degradedBelow } = downlinkDrills;
  if (degradedBelow === 0) return false;
  const newest = newestOf(shares, Math.max(NEWEST_OF_ALL, 2 * fewestFor(degradedBelow / 1000)));
  const missed = newest.length - answeredIn(newest);
  // no more than this share is heard
  const atMost = 1 - lowerBound(missed, newest.length);
  return atMost * 1000 < degradedBelow;
}

/** What the pace of samples hangs on. */
export interface Pace {
  /** Of the contract. */
  readonly state: string;
  /** Whether the sensors surely hear too little of the provider. */
  readonly areDeaf: boolean;
}

/** When the next sample begins, in the time of the last one; at once where there was none. */
export function nextSampleAt(
  terms: TermsOf,
  { state, areDeaf }: Pace,
  sampledAt: number | undefined,
): number {
  if (sampledAt === undefined) return -Infinity;
  if (state === 'VALIDATED' && answersForReady(terms) > 0) return sampledAt + AGAIN_BEFORE_READY_MS;
  const { motes, everyS } = terms.downlinkDrills;
  const soon = Math.max(AGAIN_BEFORE_READY_MS, (motes * HOUR_MS) / AN_HOUR_WHILE_DEAF);
  return sampledAt + (areDeaf ? Math.min(soon, everyS * 1000) : everyS * 1000);
}

/**
 * The sensors of the next sample: those whose turn is longest ago. `triedAt`: undefined for one that never had one; `isFree`: false
 * for one that another provider samples now.
 */
export function nextSample(
  { downlinkDrills, set }: TermsOf,
  triedAt: (devEui: string) => number | undefined,
  isFree: (devEui: string) => boolean,
): string[] {
  const turn = (devEui: string): number => triedAt(devEui) ?? -1;
  const free = set.devices.map(({ devEui }) => devEui).filter(isFree);
  return free.sort((a, b) => turn(a) - turn(b)).slice(0, downlinkDrills.motes);
}
