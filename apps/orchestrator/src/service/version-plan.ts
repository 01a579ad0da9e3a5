import type { ObservedService } from './service-plan.ts';
import type { ServiceRecord } from './service-record.ts';

/** A version as far as a change of versions goes by it. */
export interface SeenVersion {
  readonly record: Pick<ServiceRecord, 'serviceId' | 'desired' | 'begunAt'>;
  readonly observed: ObservedService;
  readonly detail: string;
  readonly setback?: { readonly reason: string; readonly passes: boolean };
}

export interface SeenVersions {
  readonly current: SeenVersion;
  readonly next?: SeenVersion;
  /** The version that the customer sent last, of those that are loaded; its serviceId. */
  readonly newest: string | undefined;
  readonly nowMs: number;
  readonly limitMs: number;
}

export type VersionStep =
  | { readonly do: 'begin'; readonly serviceId: string }
  /** Has the next one read besides the current one. */
  | { readonly do: 'takeOver' }
  /** The next one goes back to shadow: nobody wants the service active any more. */
  | { readonly do: 'stepBack' }
  /** The next one is the current one from here on. */
  | { readonly do: 'swap' }
  | { readonly do: 'giveUp'; readonly outcome: 'failed' | 'superseded'; readonly reason: string };

function whyNot(next: SeenVersion, { current, nowMs, limitMs }: SeenVersions): string | undefined {
  const { observed, setback, detail, record } = next;
  // An engine that is started again, or a disk that is full for a moment, costs no version: it is tried again until the limit
  if (observed === 'failed' && setback?.passes === false) return setback.reason;
  // Keys that the arbitrator has yet to give again are no fault of the new version
  if (current.observed === 'needsSecrets' || nowMs - (record.begunAt ?? nowMs) <= limitMs) return undefined;
  return `not ready after ${Math.round(limitMs / 1000)} s: ${setback?.reason ?? detail}`;
}

/**
 * The next step of a change from one version of a service to another: the new one is brought up in shadow beside the old one, reads
 * where that one reads, and only then takes its place. Pure; undefined when there is nothing to do for now.
 */
export function planVersions(seen: SeenVersions): VersionStep | undefined {
  const { current, next, newest } = seen;
  const wanted = current.record.desired;
  if (wanted === 'absent') return undefined;
  if (next === undefined) {
    const isNew = newest !== undefined && newest !== current.record.serviceId;
    return isNew ? { do: 'begin', serviceId: newest } : undefined;
  }
  if (newest !== next.record.serviceId)
    return { do: 'giveUp', outcome: 'superseded', reason: 'another version came' };
  const reason = whyNot(next, seen);
  if (reason !== undefined) return { do: 'giveUp', outcome: 'failed', reason };
  return advance(wanted, next);
}

function advance(wanted: 'standby' | 'active', { record, observed }: SeenVersion): VersionStep | undefined {
  if (record.desired === wanted) return observed === wanted ? { do: 'swap' } : undefined;
  if (wanted === 'standby') return { do: 'stepBack' };
  return observed === 'standby' ? { do: 'takeOver' } : undefined;
}
