import type { Downlink } from './store.ts';

/** What an uplink calls for. */
export type Answer =
  /** The same bytes under the same counter. */
  | { readonly kind: 'repeat'; readonly downlink: Downlink & { readonly bytes: Uint8Array } }
  /** A new frame, with its own counter. */
  | { readonly kind: 'send'; readonly downlink: Downlink }
  /** A frame without payload, because the device waits for one. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'none' };

export interface Plan {
  readonly answer: Answer;
  /** Confirmed downlinks that were on air as often as allowed, without an acknowledgement. */
  readonly givenUp: readonly Downlink[];
}

/** Times that a confirmed downlink goes on air. */
export const MAX_ATTEMPTS = 3;

/** Which goes next of those that wait: what has to go by the lowest counter, then the oldest. */
export function firstOf(open: readonly Downlink[]): Downlink | undefined {
  const encrypted = open.filter(({ isEncrypted }) => isEncrypted);
  return encrypted.sort((a, b) => (a.fcnt ?? 0) - (b.fcnt ?? 0))[0] ?? open[0];
}

const hasBytes = (downlink: Downlink): downlink is Downlink & { readonly bytes: Uint8Array } =>
  downlink.bytes !== undefined;

/**
 * Decides what answers a live uplink. `open` are the device's downlinks that are not at their end, oldest first; one of them at a
 * time is on its way, and it alone has bytes.
 */
export function planAnswer(open: readonly Downlink[], wantsAnswer: boolean): Plan {
  const givenUp = open.filter(({ state, attempts }) => state === 'sent' && attempts >= MAX_ATTEMPTS);
  const rest = open.filter((downlink) => !givenUp.includes(downlink));
  const underWay = rest.find(hasBytes);
  if (underWay !== undefined) return { answer: { kind: 'repeat', downlink: underWay }, givenUp };
  const next = firstOf(rest);
  if (next !== undefined) return { answer: { kind: 'send', downlink: next }, givenUp };
  return { answer: wantsAnswer ? { kind: 'empty' } : { kind: 'none' }, givenUp };
}

/** What the gateway-bridge said about a downlink. */
export interface Outcome {
  readonly status: string;
  readonly refused?: string | undefined;
}

/** What follows from it: on air; try the same bytes again; only other bytes under a new counter can go. */
export type Verdict =
  | { readonly kind: 'onAir'; readonly note?: string }
  | {
      readonly kind: 'again';
      readonly why: string;
      /** Nobody said that it was not sent. */
      readonly isUnsure?: true;
    }
  | { readonly kind: 'newCounter'; readonly why: string };

// The fence will never let these bytes pass: their counter is not ours any more.
const COUNTER_GONE = new Set(['noBlock', 'counterBack', 'counterReused']);

export function judgeOutcomes(items: readonly Outcome[]): Verdict {
  if (items.some(({ status }) => status === 'OK')) return { kind: 'onAir' };
  // it may be on air, so it counts as such
  if (items.some(({ refused }) => refused === 'noTxAck'))
    return { kind: 'onAir', note: 'the gateway did not say whether it sent it' };
  const gone = items.find(({ refused }) => refused !== undefined && COUNTER_GONE.has(refused));
  if (gone !== undefined) return { kind: 'newCounter', why: gone.refused ?? gone.status };
  if (items.length === 0) return { kind: 'again', why: 'no outcome', isUnsure: true };
  const last = items.findLast(({ status }) => status !== 'IGNORED');
  return { kind: 'again', why: last?.refused ?? last?.status ?? 'no outcome' };
}
