import { RECEIPT_WITHIN_MS } from './receipts.ts';
import type { CoverageSettings } from './coverage-mark.ts';

/** A customer's count of which of its devices' uplinks its provider showed in time. Counted by FCnt: what nobody heard was sent all the same. */

/** A device's part of a mark is made when it has so many uplinks, or is so old, ms, or so long in the provider's ring. */
const UPLINKS_IN_A_MARK = 10;
const OLDEST_MS = 600_000;
const LONGEST_FRAMES = 10_000;
/** FCnts of one device that wait for a mark; more than that and it begins anew. */
const WAITING = 2000;
/** A counter of our own ear so far below the newest is no late frame: the device has begun anew. */
const BEGUN_ANEW = 100;

export interface TalliedUplink {
  readonly devEui: string;
  readonly devAddr: string;
  readonly session: string;
  /** 32 bits. */
  readonly fcnt: number;
}

/** Some uplinks of a device, one after the other by FCnt, and what the provider showed of them in time. */
export interface CoverageDelta {
  readonly devEui: string;
  readonly devAddr: string;
  readonly session: string;
  readonly from: number;
  readonly last: number;
  readonly shown: number;
  /** The first frame of the provider's ring that counts here; 0 where none does. */
  readonly seq: number;
  /** `several` where not all came with the same. */
  readonly dataRate: NonNullable<CoverageSettings['dataRate']>;
}

interface Waiting {
  /** Our own reception, monotonic ms. */
  heardAt?: number;
  dataRate?: string;
  shownAt?: number;
  seq?: number;
}

interface DeviceTally {
  readonly of: Omit<TalliedUplink, 'fcnt'>;
  next: number;
  readonly waiting: Map<number, Waiting>;
  since: number;
}

export interface CoverageTally {
  /** An uplink that our own gateway heard. */
  heard(uplink: TalliedUplink, at: number, dataRate: string): void;
  /** An uplink that a commitment of the provider's was about, which came then; `seq`: of its ring. */
  shown(uplink: TalliedUplink, cameAt: number, seq: number): void;
  /** What is to be marked of the uplinks until then. `believed`: shown ones count also where we did not hear them ourselves. */
  due(until: number, believed: boolean): CoverageDelta[];
  /** They are in marks that both have signed. */
  marked(deltas: readonly Pick<CoverageDelta, 'devEui' | 'session' | 'last'>[]): void;
  /** Nothing that waits can be judged: every device goes on with what we hear of it next. */
  forget(): void;
}

function isInTime({ heardAt, shownAt }: Waiting, believed: boolean): boolean {
  if (shownAt === undefined) return false;
  return heardAt === undefined ? believed : shownAt - heardAt <= RECEIPT_WITHIN_MS;
}

function dropThrough(device: DeviceTally, last: number): void {
  device.next = Math.max(device.next, last + 1);
  for (const fcnt of device.waiting.keys()) if (fcnt <= last) device.waiting.delete(fcnt);
}

function newestUntil({ waiting, next }: DeviceTally, until: number): number | undefined {
  let newest: number | undefined;
  for (const [fcnt, { heardAt = Infinity, shownAt = Infinity }] of waiting)
    if (Math.min(heardAt, shownAt) <= until && fcnt >= next) newest = Math.max(newest ?? 0, fcnt);
  return newest;
}

function rateOf({ waiting }: DeviceTally, last: number): string {
  const rates = new Set<string>();
  for (const [fcnt, { dataRate }] of waiting) if (fcnt <= last && dataRate !== undefined) rates.add(dataRate);
  const [only = 'several', ...others] = rates;
  return others.length === 0 ? only : 'several';
}

function deltaOf(device: DeviceTally, last: number, believed: boolean): CoverageDelta & { lastSeq: number } {
  let shown = 0;
  let seq = Infinity;
  let lastSeq = 0;
  for (const [fcnt, one] of device.waiting) {
    if (fcnt > last || !isInTime(one, believed)) continue;
    shown += 1;
    seq = Math.min(seq, one.seq ?? seq);
    lastSeq = Math.max(lastSeq, one.seq ?? 0);
  }
  const first = shown === 0 ? 0 : seq;
  const counted = { shown, seq: first, lastSeq, dataRate: rateOf(device, last) };
  return { ...device.of, from: device.next, last, ...counted };
}

export function createCoverageTally(): CoverageTally {
  const devices = new Map<string, DeviceTally>();
  const keyOf = ({ devEui, session }: Pick<TalliedUplink, 'devEui' | 'session'>): string =>
    `${devEui}/${session}`;
  const begin = ({ devEui, devAddr, session, fcnt }: TalliedUplink, at: number): DeviceTally => {
    const of = { devEui, devAddr, session };
    const device = { of, next: fcnt, waiting: new Map<number, Waiting>(), since: at };
    devices.set(keyOf(of), device);
    return device;
  };
  const waitingOf = (device: DeviceTally, fcnt: number, at: number): Waiting => {
    if (device.waiting.size === 0) device.since = at;
    const there = device.waiting.get(fcnt);
    if (there !== undefined) return there;
    if (device.waiting.size >= WAITING) dropThrough(device, Math.max(...device.waiting.keys(), fcnt - 1));
    const fresh: Waiting = {};
    device.waiting.set(fcnt, fresh);
    return fresh;
  };
  return {
    heard(uplink, at, dataRate) {
      const known = devices.get(keyOf(uplink));
      const anew = known === undefined || uplink.fcnt < known.next - BEGUN_ANEW;
      const device = anew ? begin(uplink, at) : known;
      if (uplink.fcnt < device.next) return;
      const one = waitingOf(device, uplink.fcnt, at);
      one.heardAt ??= at;
      one.dataRate ??= dataRate;
    },
    shown(uplink, cameAt, seq) {
      const device = devices.get(keyOf(uplink));
      if (device === undefined || uplink.fcnt < device.next) return;
      const one = waitingOf(device, uplink.fcnt, cameAt);
      one.shownAt ??= cameAt;
      one.seq ??= seq;
    },
    due(until, believed) {
      const found: CoverageDelta[] = [];
      for (const device of devices.values()) {
        const last = newestUntil(device, until);
        if (last === undefined) continue;
        const { lastSeq, ...delta } = deltaOf(device, last, believed);
        const isDue =
          last - device.next + 1 >= UPLINKS_IN_A_MARK ||
          until - device.since >= OLDEST_MS ||
          lastSeq - delta.seq >= LONGEST_FRAMES;
        if (isDue) found.push(delta);
      }
      return found;
    },
    marked(deltas) {
      for (const delta of deltas) {
        const device = devices.get(keyOf(delta));
        if (device !== undefined) dropThrough(device, delta.last);
      }
    },
    forget() {
      devices.clear();
    },
  };
}
