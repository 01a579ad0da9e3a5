import {
  centralStep,
  customerStep,
  providerStep,
  surelyPassed,
  type ContractRecord,
  type CustomerState,
  type PartyEvent,
  type ProviderState,
} from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces, type Pieces } from './pieces.ts';

type Promising = Pick<CustomerState | ProviderState, 'promiser'>;

/** What it promised is forgotten at each step; that it may not promise just after its start is not. */
const unbound = <S extends Promising>(state: S): S => ({
  ...state,
  promiser: { ...state.promiser, until: -Infinity },
});

/** Whoever hears that an epoch is released takes what was sent under it to be off the air. */
function freedAtOnce<S extends Promising>(state: S, event: PartyEvent): S {
  if (event.type !== 'answer' || !event.ok || event.method !== 'record') return state;
  const { epoch, released } = event.value as ContractRecord;
  return released && epoch >= state.promiser.epoch ? unbound(state) : state;
}

/** Any release is taken for that of the run that was promised something. */
function freedByAny({ promiser }: Promising, event: PartyEvent): PartyEvent {
  if (event.type !== 'answer' || !event.ok || event.method !== 'record') return event;
  const record = event.value as ContractRecord;
  if (record.lastRelease === undefined) return event;
  const { epoch } = record.lastRelease;
  return { ...event, value: { ...record, lastRelease: { epoch, bootId: promiser.to ?? '' } } };
}

/** From when the grantor says, whatever may come on air by what was promised. */
function actsWhenTold<S extends Pick<CustomerState | ProviderState, 'acting'>>(
  before: S,
  after: S,
  event: PartyEvent,
  now: number,
): S {
  const { lease } = after.acting;
  if (lease.epoch === before.acting.lease.epoch || event.type !== 'answer' || !event.ok) return after;
  const { quietMs, actAfterMs } = event.value as { readonly quietMs?: number; readonly actAfterMs?: number };
  const told = quietMs ?? actAfterMs;
  if (told === undefined) return after;
  const actFrom = Math.min(lease.actFrom, now + surelyPassed(told));
  return { ...after, acting: { ...after.acting, lease: { ...lease, actFrom } } };
}

/** The other providers are nobody's business. */
function withoutOthers(event: PartyEvent): PartyEvent {
  if (event.type === 'answer' && event.ok && event.method === 'record')
    return { ...event, value: { ...(event.value as object), parties: undefined } };
  if (event.type !== 'datagram' || event.datagram.kind !== 'leaseGrant') return event;
  const { kind, body } = event.datagram;
  return { ...event, datagram: { kind, body: { ...body, parties: [] } } };
}

/** Who has heard nothing of the ledger since its start goes by its disk, which may be an old one. */
const byItsDisk: Pieces['providerStep'] = (state, event, context) => {
  const isAsked = event.type === 'datagram' && event.datagram.kind === 'leaseRequest';
  if (!isAsked || state.lastRecord !== undefined) return providerStep(state, event, context);
  const lastRecord = { state: 'READY', epoch: 0, holder: state.terms.customer, released: false } as const;
  const [next, effects] = providerStep({ ...state, lastRecord }, event, context);
  return [{ ...next, lastRecord: undefined }, effects];
};

/** The same of a customer. */
const customersDisk: Pieces['customerStep'] = (state, event, context) => {
  const isAsked = event.type === 'datagram' && event.datagram.kind === 'leaseRequest';
  if (!isAsked || state.promiser.newest > 0) return customerStep(state, event, context);
  const [next, effects] = customerStep(
    { ...state, promiser: { ...state.promiser, newest: 1 } },
    event,
    context,
  );
  return [{ ...next, promiser: { ...next.promiser, newest: 0 } }, effects];
};

/** Acting by the promises of others, with a check missing. */
export const promiseMutants: readonly Mutant[] = [
  {
    name: 'a promise for nothing: who promised not to act acts all the same',
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) => customerStep(unbound(state), event, context),
      providerStep: (state, event, context) => providerStep(unbound(state), event, context),
    }),
  },
  {
    name: 'by its disk alone: a promise is made before the ledger has told what that may have forgotten',
    kind: 'drills',
    from: 5242,
    pieces: () => ({ ...honestPieces(), providerStep: byItsDisk }),
  },
  {
    name: 'by its disk alone, a customer: it promises before the ledger has told that it took the next epoch itself',
    kind: 'blocks',
    from: 163,
    pieces: () => ({ ...honestPieces(), customerStep: customersDisk }),
  },
  {
    name: 'free at once: a release is taken to mean that nothing is on its way to the air any more',
    from: 6271,
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) => customerStep(freedAtOnce(state, event), event, context),
      providerStep: (state, event, context) => providerStep(freedAtOnce(state, event), event, context),
    }),
  },
  {
    name: 'free by any release: a provider takes that of an earlier run for one of a customer that has come back with an old disk',
    kind: 'blocks',
    from: 39,
    pieces: () => ({
      ...honestPieces(),
      providerStep: (state, event, context) => providerStep(state, freedByAny(state, event), context),
    }),
  },
  {
    name: 'free by any release: a customer takes that of an earlier run for one of its provider that has come back with an old disk',
    kind: 'blocks',
    from: 1409,
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) => customerStep(state, freedByAny(state, event), context),
    }),
  },
  {
    name: 'assumed is acted: what was sent by our promise may still come on air when we begin',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const [next, effects] = customerStep(state, event, context);
        return [actsWhenTold(state, next, event, context.now), effects];
      },
      providerStep(state, event, context) {
        const [next, effects] = providerStep(state, event, context);
        return [actsWhenTold(state, next, event, context.now), effects];
      },
    }),
  },
  {
    name: 'each for itself: a promise binds only the one machine of its edge that made it',
    kind: 'twoProviders',
    from: 245,
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) =>
        customerStep(state, event, { ...context, siblings: undefined }),
    }),
  },
  {
    name: 'one promise is enough: a customer of two providers asks one of them',
    kind: 'twoProviders',
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state, event, context) =>
        customerStep(state, withoutOthers(event), { ...context, providers: undefined }),
    }),
  },
  {
    name: 'a promise is no excuse: the grantor takes no note of who acts without it',
    pieces: () => ({
      ...honestPieces(),
      centralStep: (state, event, context) =>
        event.type === 'acts' ? [state, []] : centralStep(state, event, context),
    }),
  },
  {
    name: 'the grantor alone: nobody acts by the promises of others',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const [next, effects] = customerStep(state, event, context);
        const toGrantor = effects.filter(
          (one) =>
            one.type !== 'send' || one.datagram.kind !== 'leaseRequest' || one.to === state.terms.central,
        );
        return [next, toGrantor];
      },
    }),
  },
];
