import type { EdgeId } from '@antirio/kernel';
import { keepMarks, showMarks, type KeeperFacts } from './mark-keeper.ts';
import type { Datagram } from './messages.ts';
import type { Acting, PartyEffect } from './party.ts';
import type { Holder } from './reserving-state.ts';
import { onKept, onShown } from './reserving.ts';
import type { StepOf } from './step.ts';

export type AboutBlocks = Extract<
  Datagram,
  { kind: 'blocks' | 'blocksAsked' | 'blocksKept' | 'blocksShown' }
>;

const kinds: ReadonlySet<string> = new Set(['blocks', 'blocksAsked', 'blocksKept', 'blocksShown']);

export function isAboutBlocks(datagram: Datagram): datagram is AboutBlocks {
  return kinds.has(datagram.kind);
}

/** What others have is kept, and shown to them. */
function serve(
  from: EdgeId,
  { kind, body }: Extract<AboutBlocks, { kind: 'blocks' | 'blocksAsked' }>,
  facts: (epoch: number) => KeeperFacts,
): PartyEffect[] {
  return kind === 'blocks' ? keepMarks(from, body, facts(body.epoch)) : showMarks(from, body, facts(0));
}

/**
 * What a datagram about blocks of the set changes, in either role. Without `facts` another
 * machine of this edge keeps what others have; our own blocks are for each machine to know.
 */
export function blocksNews<State extends { readonly acting: Acting }>(
  state: State,
  from: EdgeId,
  datagram: AboutBlocks,
  holder: Holder,
  facts: ((epoch: number) => KeeperFacts) | undefined,
): StepOf<State> {
  if (datagram.body.setId !== holder.setId) return [state, []];
  const { kind, body } = datagram;
  if (kind === 'blocks' || kind === 'blocksAsked')
    return [state, facts === undefined ? [] : serve(from, datagram, facts)];
  const { acting } = state;
  const next =
    kind === 'blocksKept' ? onKept(acting, from, body, holder) : onShown(acting, from, body, holder);
  // another machine of this edge may have asked
  return [next === undefined ? state : { ...state, acting: next }, []];
}
