import {
  blockOf,
  customerStep,
  providerStep,
  type Context,
  type ContractTerms,
  type CustomerState,
  type PartyEffect,
  type PartyEvent,
  type ProviderState,
} from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces, type Pieces } from './pieces.ts';

type State = CustomerState | ProviderState;
type Reserving = State['acting']['reserving'];

/** Both machines, with something else in mind of their blocks. */
function reserving(
  change: (reserving: Reserving, context: Context, terms: ContractTerms) => Reserving,
): Pieces {
  const other = <S extends State>(state: S, context: Context): S => ({
    ...state,
    acting: { ...state.acting, reserving: change(state.acting.reserving, context, state.terms) },
  });
  return {
    ...honestPieces(),
    customerStep: (state, event, context) => customerStep(other(state, context), event, context),
    providerStep: (state, event, context) => providerStep(other(state, context), event, context),
  };
}

/** What was just kept on the own disk is used at once. */
function unkept<S extends State>(
  [state, effects]: readonly [S, readonly PartyEffect[]],
  self: string,
): readonly [S, readonly PartyEffect[]] {
  const own = effects.flatMap((one) => (one.type === 'keepBlocks' && one.by === self ? one.marks : []));
  const granted = own.flatMap(({ devAddr, index, base }): PartyEffect[] => {
    const wanted = state.acting.wanted.find((one) => one.devAddr === devAddr);
    if (wanted === undefined || index === base || wanted.requestId === '') return [];
    const { requestId, proven } = wanted;
    return [{ type: 'grantBlock', requestId, devAddr, block: blockOf(index), proven }];
  });
  return [state, [...effects, ...granted]];
}

/** Later than the others' answers are waited for. */
const PATIENCE_MS = 3900;

function contented(reserving: Reserving, { now }: Context): Reserving {
  if (now - reserving.startedAt < PATIENCE_MS) return reserving;
  const peers = Object.entries(reserving.peers).map(([edge, peer]) => [edge, { ...peer, shown: true }]);
  return { ...reserving, peers: Object.fromEntries(peers) as Reserving['peers'] };
}

/** Blocks of FCntDown without one of the rules by which nobody uses one twice. */
export const blockMutants: readonly Mutant[] = [
  {
    name: 'a block for oneself: it is used before the others have it on their disks',
    kind: 'blocks',
    pieces: () => ({
      ...honestPieces(),
      customerStep: (state: CustomerState, event: PartyEvent, context) =>
        unkept(customerStep(state, event, context), state.terms.customer),
      providerStep: (state: ProviderState, event: PartyEvent, context) =>
        unkept(providerStep(state, event, context), state.terms.provider),
    }),
  },
  {
    name: 'said and not done: who promises to keep a block has it on its disk a little later',
    kind: 'blocks',
    from: 5,
    pieces: () => ({
      ...honestPieces(),
      keepsBlocks: (write, host, isOwn) => {
        if (isOwn) write();
        else host.after(400, write);
      },
    }),
  },
  {
    name: 'silence is consent: no blocks are left out after a start that another party does not answer',
    kind: 'blocks',
    from: 29,
    pieces: () => reserving(contented),
  },
  {
    name: 'no questions after a start: what the others know of one’s blocks does not matter',
    kind: 'blocks',
    from: 6,
    pieces: () =>
      reserving((known, _context, terms) => ({
        ...known,
        sure: new Set(terms.set.devices.map(({ devAddr }) => devAddr)),
      })),
  },
];
