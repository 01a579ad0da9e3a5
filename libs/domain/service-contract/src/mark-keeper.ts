import type { EdgeId } from '@antirio/kernel';
import {
  ABOVE_RECORD,
  MARKS_SHOWN,
  type BlockBook,
  type BlockMark,
  type BlockRefusal,
  type BlocksAsked,
  type BlocksTold,
} from './block-marks.ts';
import { SLOTS } from './fcnt-down.ts';
import type { PartyEffect } from './party.ts';

/** The party that keeps marks of others' blocks: on its disk before it says so, and shown to whose they are. */

export interface KeeperFacts {
  readonly book: BlockBook;
  /** Whether the sender is another party of the set. */
  readonly isParty: boolean;
  /** Whether, as far as we know, it acts under that epoch. */
  readonly holds: boolean;
  /** Whether a block of this slot can be the sender's. */
  readonly mayOwn: (slot: number) => boolean;
}

const refused = (reason: BlockRefusal): PartyEffect => ({ type: 'blocksRefused', reason });

/** What a start forgot, and would use a second time, is not kept for it again. */
function isBehind(known: BlockMark | undefined, index: number, bootId: string): boolean {
  if (known === undefined || index > known.index) return false;
  return index < known.index || bootId !== known.bootId;
}

function whyNot(
  { devAddr, index, base }: BlocksTold['marks'][number],
  bootId: string,
  known: BlockMark | undefined,
  { book, mayOwn }: KeeperFacts,
): BlockRefusal | undefined {
  if (!book.has(devAddr)) return 'device';
  if (!mayOwn(index % SLOTS)) return 'slot';
  if (index < base || index > base + ABOVE_RECORD) return 'beyond';
  return isBehind(known, index, bootId) ? 'behind' : undefined;
}

export function keepMarks(
  from: EdgeId,
  { setId, bootId, marks }: BlocksTold,
  facts: KeeperFacts,
): PartyEffect[] {
  if (!facts.isParty || !facts.holds) return [refused(facts.isParty ? 'holder' : 'party')];
  const effects: PartyEffect[] = [];
  const news: BlockMark[] = [];
  const kept: { devAddr: string; index: number }[] = [];
  for (const mark of marks) {
    const { devAddr, index } = mark;
    const known = facts.book.ofDevice(devAddr).get(from);
    const reason = whyNot(mark, bootId, known, facts);
    if (reason !== undefined) {
      effects.push(refused(reason));
      continue;
    }
    if (known?.index !== index) news.push({ ...mark, bootId });
    kept.push({ devAddr, index });
  }
  if (news.length > 0) effects.push({ type: 'keepBlocks', by: from, marks: news });
  if (kept.length === 0) return effects;
  const body = { setId, bootId, marks: kept };
  return [...effects, { type: 'send', to: from, datagram: { kind: 'blocksKept', body } }];
}

export function showMarks(
  from: EdgeId,
  { setId, bootId, after }: BlocksAsked,
  { book, isParty }: Pick<KeeperFacts, 'book' | 'isParty'>,
): PartyEffect[] {
  if (!isParty) return [refused('party')];
  const rest = book.all(from).filter((one) => one.devAddr > after);
  const marks = rest.slice(0, MARKS_SHOWN).map(({ devAddr, index }) => ({ devAddr, index }));
  const body = { setId, bootId, after, marks, last: rest.length <= MARKS_SHOWN };
  return [{ type: 'send', to: from, datagram: { kind: 'blocksShown', body } }];
}
