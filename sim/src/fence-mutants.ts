import {
  customerStep,
  centralStep,
  judgeDownlink,
  providerStep,
  type CustomerState,
  type Fence,
  type FencedFrame,
  type PartyEvent,
  type ProviderState,
} from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces, type Pieces } from './pieces.ts';

type FencedSet = Extract<Fence, { kind: 'set' }>;

/** The fence of a protected set takes itself, or the frame, for something else. */
function seenAs(
  fenceAs: (fence: FencedSet) => Fence,
  frameAs: (frame: FencedFrame) => FencedFrame = (frame) => frame,
): () => Pieces {
  return () => ({
    ...honestPieces(),
    judgeDownlink: (fence, frame, now) =>
      judgeDownlink(fence.kind === 'set' ? fenceAs(fence) : fence, frameAs(frame), now),
  });
}

const asIs = (fence: FencedSet): Fence => fence;

/** As if nothing had been sent before. */
const unremembered = { highest: undefined, hashOf: () => undefined };

/** A holder counts its lease to the last millisecond of its own clock. */
function toTheLast<S extends CustomerState | ProviderState>(before: S, after: S): S {
  const { acting, terms } = after;
  const { lease } = acting;
  if (lease.until === 0 || lease.until === before.acting.lease.until) return after;
  const until = lease.until + 0.02 * terms.leaseMs;
  return { ...after, acting: { ...acting, lease: { ...lease, until } } };
}

/** The grantor counts the time on air by its own clock, fast as that may be. */
function byItsClock(event: PartyEvent): PartyEvent {
  if (event.type !== 'answer' || event.method !== 'take' || !event.ok) return event;
  const value = event.value as { readonly actAfterMs: number };
  return { ...event, value: { ...value, actAfterMs: Math.max(0, value.actAfterMs - 60) } };
}

/** A fence without one of its checks, before which everything may be wrong, and leases that are counted without their margins. */
export const fenceMutants: readonly Mutant[] = [
  {
    name: 'the end of a lease is nothing to the fence: what its arbitrator left open stays open',
    kind: 'strays',
    pieces: seenAs((fence) => ({ ...fence, actUntil: Infinity })),
  },
  {
    name: 'a shut fence lets pass: only its epoch and its blocks count',
    kind: 'strays',
    pieces: seenAs((fence) => (fence.open ? fence : { ...fence, open: true, actUntil: Infinity })),
  },
  {
    name: 'the fence does not wait: its epoch is acted under before the last one is off the air',
    kind: 'strays',
    pieces: seenAs((fence) => ({ ...fence, actFrom: -Infinity })),
  },
  {
    name: 'any time ahead: what passed under a lease comes on air long after it',
    kind: 'strays',
    pieces: seenAs(asIs, (frame) => ({
      ...frame,
      aheadMs: frame.aheadMs === undefined ? undefined : Math.min(frame.aheadMs, 1),
    })),
  },
  {
    name: 'at no time: what is to leave at once leaves when its process goes on',
    kind: 'strays',
    pieces: seenAs(asIs, (frame) => ({ ...frame, aheadMs: frame.aheadMs ?? 1 })),
  },
  {
    name: 'any counter: what was not granted is sent all the same',
    kind: 'strays',
    pieces: () => ({
      ...honestPieces(),
      judgeDownlink(fence, frame, now) {
        const verdict = judgeDownlink(fence, frame, now);
        if (fence.kind === 'free' || verdict.allowed || verdict.reason !== 'noBlock') return verdict;
        return judgeDownlink({ kind: 'free', marks: fence.marks }, frame, now);
      },
    }),
  },
  {
    name: 'no marks: a counter is used again with other bytes',
    kind: 'strays',
    pieces: seenAs((fence) => ({ ...fence, marks: unremembered })),
  },
  {
    name: 'no highest counter: what was used long ago is used again',
    kind: 'strays',
    pieces: seenAs((fence) => ({ ...fence, marks: { ...fence.marks, highest: undefined } })),
  },
  {
    name: 'to the last millisecond: a holder takes its clock for the grantor’s',
    kind: 'strays',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const [next, effects] = customerStep(state, event, context);
        return [toTheLast(state, next), effects];
      },
      providerStep(state, event, context) {
        const [next, effects] = providerStep(state, event, context);
        return [toTheLast(state, next), effects];
      },
    }),
  },
  {
    name: 'no longer than said: a grantor takes the holder’s clock for its own',
    kind: 'strays',
    pieces: () => ({
      ...honestPieces(),
      centralStep(state, event, context) {
        const [next, effects] = centralStep(state, event, context);
        if (event.type !== 'leaseRequest') return [next, effects];
        const { setId } = event.request;
        const [before, set] = [state.grantor.sets[setId]?.promise, next.grantor.sets[setId]];
        const promise = set?.promise;
        if (set === undefined || promise === undefined || promise.until === before?.until)
          return [next, effects];
        const until = promise.until - 0.02 * event.facts.leaseMs;
        const sets = { ...next.grantor.sets, [setId]: { ...set, promise: { ...promise, until } } };
        return [{ ...next, grantor: { ...next.grantor, sets } }, effects];
      },
    }),
  },
  {
    name: 'off the air by a fast clock: the grantor adds nothing to the time that frames wait in a gateway',
    kind: 'strays',
    from: 55,
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) => customerStep(state, byItsClock(event), context),
      providerStep: (state, event, context) => providerStep(state, byItsClock(event), context),
    }),
  },
];
