import type { ObservedService } from './service-plan.ts';
import type { ServiceRecord } from './service-record.ts';

/** A version as far as a change of versions goes by it. */
export interface SeenVersion {
  readonly record: Pick<ServiceRecord, 'serviceId' | 'desired' | 'begunAt' | 'data' | 'haltedAt' | 'inVain'>;
  readonly observed: ObservedService;
  readonly detail: string;
  /** It does not run, and will not before this plan says so. */
  readonly stopped: boolean;
  readonly setback?: { readonly reason: string; readonly passes: boolean };
}

export interface SeenVersions {
  readonly current: SeenVersion;
  readonly next?: SeenVersion;
  /** The version that the customer sent last, of those that are loaded; its serviceId. */
  readonly newest: string | undefined;
  readonly nowMs: number;
  /** For a new version to be ready, and of that for the old one to be stopped. */
  readonly limitMs: number;
  readonly haltedLimitMs: number;
}

export type VersionStep =
  | { readonly do: 'begin'; readonly serviceId: string }
  /** Stops both: the data of the current one go to the next one. */
  | { readonly do: 'halt' }
  /** The next one gets the data, and runs with them in shadow. */
  | { readonly do: 'give' }
  /** The next one, which alone runs, is to act. */
  | { readonly do: 'takeOver' }
  /** The next one goes back to shadow: nobody wants the service active any more. */
  | { readonly do: 'stepBack' }
  /** The next one is the current one from here on. */
  | { readonly do: 'swap' }
  /** The next one is stopped: with the data it does not come to act. */
  | { readonly do: 'takeBack'; readonly reason: string }
  /** The current one goes on where it was stopped. */
  | { readonly do: 'resume' }
  | { readonly do: 'giveUp'; readonly outcome: 'failed' | 'superseded'; readonly reason: string };

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

const troubleOf = ({ setback, record, detail }: SeenVersion): string =>
  setback?.reason ?? record.inVain?.reason ?? detail;

/** Why the next version is given up, while the current one goes on. */
function whyNot(next: SeenVersion, { current, nowMs, limitMs }: SeenVersions): string | undefined {
  const { observed, setback, record } = next;
  // An engine that is started again, or a disk that is full for a moment, costs no version: it is tried again until the limit
  if (observed === 'failed' && setback?.passes === false) return setback.reason;
  // Keys that the arbitrator has yet to give again are no fault of the new version
  if (current.observed === 'needsSecrets' || nowMs - (record.begunAt ?? nowMs) <= limitMs) return undefined;
  return `not ready after ${seconds(limitMs)}: ${troubleOf(next)}`;
}

/** Why the current version is stopped no longer. */
function whyBack(next: SeenVersion, { current, nowMs, haltedLimitMs }: SeenVersions): string | undefined {
  const { observed, record } = next;
  if (observed === 'failed') return troubleOf(next);
  if (current.observed === 'needsSecrets' || nowMs - (record.haltedAt ?? nowMs) <= haltedLimitMs)
    return undefined;
  return `does not act ${seconds(haltedLimitMs)} after the one before was stopped: ${troubleOf(next)}`;
}

/** The current one acts, or stands by; the next one runs in shadow, and then both are stopped. */
function beside(next: SeenVersion, seen: SeenVersions): VersionStep | undefined {
  const { newest, nowMs } = seen;
  if (newest !== next.record.serviceId)
    return { do: 'giveUp', outcome: 'superseded', reason: 'another version came' };
  const reason = whyNot(next, seen);
  if (reason !== undefined) return { do: 'giveUp', outcome: 'failed', reason };
  if (nowMs < (next.record.inVain?.notBefore ?? 0)) return undefined;
  return next.observed === 'standby' ? { do: 'halt' } : undefined;
}

function given(next: SeenVersion, { current }: SeenVersions): VersionStep | undefined {
  const wanted = current.record.desired;
  const { record, observed } = next;
  if (record.desired === wanted) return observed === wanted ? { do: 'swap' } : undefined;
  if (wanted === 'standby') return { do: 'stepBack' };
  return observed === 'standby' ? { do: 'takeOver' } : undefined;
}

/** The current one is stopped: either the next one has its data and place soon, or it goes on itself. */
function handingOver(next: SeenVersion, seen: SeenVersions): VersionStep | undefined {
  const { data } = next.record;
  if (data === 'back') return next.stopped ? { do: 'resume' } : undefined;
  const step = data === 'given' ? given(next, seen) : undefined;
  if (step?.do === 'swap') return step;
  const reason = whyBack(next, seen);
  if (reason !== undefined) return { do: 'takeBack', reason };
  if (data === 'given') return step;
  return seen.current.stopped && next.stopped ? { do: 'give' } : undefined;
}

/**
 * The next step of a change from one version of a service to another: the new one is brought up in shadow beside the old one, both are
 * stopped, the new one goes on from a copy of the old one's data, and only once it does what is wanted that one ends. At no moment
 * may more than one of them act. Pure; undefined when there is nothing to do for now.
 */
export function planVersions(seen: SeenVersions): VersionStep | undefined {
  const { current, next, newest } = seen;
  if (current.record.desired === 'absent') return undefined;
  if (next !== undefined)
    return next.record.data === undefined ? beside(next, seen) : handingOver(next, seen);
  const isNew = newest !== undefined && newest !== current.record.serviceId;
  return isNew ? { do: 'begin', serviceId: newest } : undefined;
}
