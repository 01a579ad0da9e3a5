import {
  centralStep,
  customerDesires,
  customerStep,
  judgeDownlink,
  nextBlock,
  providerStep,
  type CentralEvent,
  type CentralQuestion,
  type CentralState,
  type ContractTerms,
  type PartyEvent,
} from '@antirio/service-contract';
import { blockMutants } from './block-mutants.ts';
import { bridgeMutants } from './bridge-mutants.ts';
import { faithlessMutants } from './faithless-mutants.ts';
import { fenceMutants } from './fence-mutants.ts';
import { floodMutants } from './flood-mutants.ts';
import { fullDiskMutants } from './full-disk-mutants.ts';
import { fullDrillMutants } from './full-drill-mutants.ts';
import { lentMutants } from './lent-mutants.ts';
import { honestPieces, type Pieces } from './pieces.ts';
import { overlongMutants } from './overlong-mutants.ts';
import { promiseMutants } from './promise-mutants.ts';
import { relayMutants } from './relay-mutants.ts';
import { rentMutants } from './rent-mutants.ts';
import { emptyRing, openRing } from './ring.ts';
import { rulingMutants } from './ruling-mutants.ts';
import type { ScenarioKind } from './kinds.ts';

/** A world in which one safety check is missing: the simulation must notice. */
export interface Mutant {
  readonly name: string;
  /** The world that it is in. */
  readonly kind?: ScenarioKind;
  /** Where few seeds show it, one before that: the search begins here and comes to all others after the last one. */
  readonly from?: number;
  /** Fresh pieces for each run, for mutants that keep a state. */
  pieces(): Pieces;
}

export const mutants: readonly Mutant[] = [
  ...promiseMutants,
  ...blockMutants,
  ...fenceMutants,
  ...faithlessMutants,
  ...lentMutants,
  ...fullDrillMutants,
  ...fullDiskMutants,
  ...bridgeMutants,
  ...floodMutants,
  ...overlongMutants,
  ...relayMutants,
  ...rentMutants,
  ...rulingMutants,
  {
    name: 'no fence: every downlink leaves, whatever epoch, lease or block',
    pieces: () => ({
      ...honestPieces(),
      judgeDownlink(fence, frame, now) {
        const verdict = judgeDownlink(fence, frame, now);
        return verdict.allowed ? verdict : { allowed: true, fcnt: frame.fcnt16 };
      },
    }),
  },
  {
    name: 'no dedupe: the same reading gets another id each time',
    pieces: () => {
      let count = 0;
      return { ...honestPieces(), eventIdOf: ({ devEui, fcnt }) => `${devEui}/${fcnt}/${count++}` };
    },
  },
  {
    name: 'no MIC: whatever names the DevAddr is a reading',
    pieces: () => ({ ...honestPieces(), verifies: () => true }),
  },
  {
    name: 'buffer dropped: a killed edge forgets its ring',
    pieces: () => ({
      ...honestPieces(),
      afterCrash(disk) {
        disk.ring = emptyRing();
      },
    }),
  },
  {
    name: 'no shadow buffer: the provider keeps nothing of what it acknowledges',
    pieces: () => ({
      ...honestPieces(),
      openRing(host, disk, onStored) {
        const ring = openRing(host, disk, onStored);
        if (host.name === 'A') return ring;
        return {
          ...ring,
          last: 0,
          take: (_frame, _radio, _now, durable) => {
            durable();
          },
        };
      },
    }),
  },
  {
    name: 'no gap filling: what only the neighbour heard stays with it',
    pieces: () => ({
      ...honestPieces(),
      gapSource: (source) => ({
        ...source,
        offers: (_after, done) => {
          done({ ok: true, value: { offers: [], last: 0 } });
        },
      }),
    }),
  },
  {
    name: 'acknowledged before fsync: the gateway is told too early',
    pieces: () => ({
      ...honestPieces(),
      openRing(host, disk, onStored) {
        const ring = openRing(host, disk, onStored);
        return {
          ...ring,
          get last() {
            return ring.last;
          },
          take(frame, radio, now, durable) {
            ring.take(frame, radio, now, () => undefined);
            durable();
          },
        };
      },
    }),
  },
  {
    name: 'promise ignored: the grantor gives an epoch while the lease that it promised runs',
    pieces: () => ({
      ...honestPieces(),
      centralStep: (state, event, context) =>
        centralStep(isTake(event) ? promisesForgotten(state) : state, event, context),
    }),
  },
  {
    name: 'no silence: a grantor that has just started knows of no lease',
    from: 2574,
    pieces: () => ({
      ...honestPieces(),
      centralStep: (state, event, context) =>
        centralStep(isTake(event) ? longUp(state) : state, event, context),
    }),
  },
  {
    name: 'no waiting: whoever takes an epoch acts at once',
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) => customerStep(state, atOnce(event), context),
      providerStep: (state, event, context) => providerStep(state, atOnce(event), context),
    }),
  },
  {
    name: 'slots ignored: counter blocks are given and used in one row',
    pieces: () => ({
      ...honestPieces(),
      nextBlock: (_slot, highest) => highest + 1,
      judgeDownlink(fence, frame, now) {
        const verdict = judgeDownlink(fence, frame, now);
        if (fence.kind === 'free' || verdict.allowed) return verdict;
        const others = [0, 1, 2, 3].map((slot) => judgeDownlink({ ...fence, slot }, frame, now));
        return others.find((one) => one.allowed) ?? verdict;
      },
    }),
  },
  {
    name: 'counters forgotten: neither a killed edge nor the grantor knows what was used',
    pieces: () => ({
      ...honestPieces(),
      nextBlock: (slot) => nextBlock(slot, -1),
      afterCrash(disk) {
        disk.fence.marks.clear();
        disk.service.downUsed.clear();
      },
    }),
  },
  {
    name: 'share released without an opening on the ledger: a holder gives to whoever asks',
    pieces: () => ({ ...honestPieces(), mayRelease: () => ({ ok: true, value: undefined }) }),
  },
  {
    name: 'recorded beats count: a customer lives as long as somebody replays it',
    from: 3400,
    pieces: () => ({
      ...honestPieces(),
      providerStep(state, event, context) {
        const [next, effects] = providerStep(state, event, context);
        if (event.type !== 'datagram' || event.datagram.kind !== 'beat') return [next, effects];
        const detector = { ...next.watch.detector, lastHeardAt: context.now };
        return [{ ...next, watch: { ...next.watch, detector } }, effects];
      },
    }),
  },
  {
    name: 'given up in words only: a customer that has yielded acts on under its lease',
    from: 134,
    pieces: () => ({
      ...honestPieces(),
      customerDesires(state, now) {
        const { phase } = state;
        if (phase.at !== 'yielded') return customerDesires(state, now);
        return customerDesires({ ...state, phase: { at: 'guarded', epoch: phase.epoch } }, now);
      },
    }),
  },
  {
    name: 'two contracts, one slot: both providers of a set use the same counter blocks',
    kind: 'twoProviders',
    from: 1555,
    pieces: () => ({
      ...honestPieces(),
      nextBlock: (slot, highest) => nextBlock(oneSlot(slot), highest),
      judgeDownlink: (fence, frame, now) =>
        judgeDownlink(fence.kind === 'free' ? fence : { ...fence, slot: oneSlot(fence.slot) }, frame, now),
    }),
  },
  {
    name: 'the loser acts: a second provider is given the epoch while the first holds it',
    kind: 'twoProviders',
    from: 176,
    pieces: () => ({
      ...honestPieces(),
      centralStep(state, event, context) {
        const second = isTake(event) && event.question.record.holder !== event.question.terms.customer;
        return centralStep(second ? promisesForgotten(state) : state, event, context);
      },
    }),
  },
  {
    name: 'every contract has its say: one opens the fence that another of its set has shut',
    kind: 'twoProviders',
    pieces: () => ({ ...honestPieces(), leads: () => true }),
  },
  {
    name: 'events ignored: a customer that is silent is taken over, whatever it agreed to',
    pieces: () => ({
      ...honestPieces(),
      centralStep(state, event, context) {
        const opens = event.type === 'asked' && event.question.method === 'open';
        return centralStep(state, opens ? agreedTo(event) : event, context);
      },
      providerStep(state, event, context) {
        const terms = whenOffline(state.terms);
        const [next, effects] = providerStep({ ...state, terms }, event, context);
        return [{ ...next, terms: state.terms }, effects];
      },
    }),
  },
  {
    name: 'a drill opens the real keys: a holder gives its share of them',
    kind: 'drills',
    pieces: () => ({ ...honestPieces(), drillShare: () => 'real' }),
  },
  {
    name: 'counters run on: a device that proves nothing is sent downlinks until it can hear none',
    kind: 'unheard',
    pieces: () => ({ ...honestPieces(), gapState: () => 'well' }),
  },
  {
    name: 'a rolled-back ledger is believed: the centre gives epochs and leases by what it says',
    from: 63,
    pieces: () => ({ ...honestPieces(), sight: (_seen, head) => ({ ok: true, highest: head }) }),
  },
];

type Take = Extract<Parameters<typeof centralStep>[1], { type: 'asked' }> & {
  readonly question: Extract<CentralQuestion, { method: 'take' }>;
};

function isTake(event: Parameters<typeof centralStep>[1]): event is Take {
  return event.type === 'asked' && event.question.method === 'take';
}

function whenOffline(terms: ContractTerms): ContractTerms {
  return { ...terms, activation: { ...terms.activation, events: ['offline'] } };
}

function agreedTo(event: Extract<CentralEvent, { type: 'asked' }>): CentralEvent {
  const { question } = event;
  if (question.method !== 'open') return event;
  return { ...event, question: { ...question, terms: whenOffline(question.terms) } };
}

const oneSlot = (slot: number): number => (slot === 2 ? 1 : slot);

function longUp(state: CentralState): CentralState {
  return { ...state, grantor: { ...state.grantor, startedAt: -1e9 } };
}

function promisesForgotten(state: CentralState): CentralState {
  const { grantor } = longUp(state);
  const sets = Object.entries(grantor.sets).map(([id, set]) => [id, { ...set, promise: undefined }] as const);
  return { ...state, grantor: { ...grantor, sets: Object.fromEntries(sets) } };
}

function atOnce(event: PartyEvent): PartyEvent {
  if (event.type !== 'answer' || event.method !== 'take' || !event.ok) return event;
  return { ...event, value: { ...(event.value as object), actAfterMs: 0 } };
}
