import type { EdgeId } from '@antirio/kernel';
import {
  ABOVE_RECORD,
  MARKS_TOLD,
  type BlockBook,
  type BlockMark,
  type BlocksKept,
  type BlocksShown,
} from './block-marks.ts';
import { SLOTS, blockOf, nextBlock } from './fcnt-down.ts';
import type { LeaseGrant } from './messages.ts';
import type { Acting, PartyEffect, WantedBlock } from './party.ts';
import { leaseBy } from './promises.ts';
import {
  ASK_FIRST_MS,
  TELL_FIRST_MS,
  allShown,
  claimed,
  customers,
  foreign,
  nothingUnkept,
  ownOf,
  passedBy,
  peerOf,
  withPeer,
  type Holder,
  type Reserving,
} from './reserving-state.ts';
import { isUnkept } from './unkept.ts';

/** So many own blocks are left out after a start where the grantor does not say what it gave: as many as others surely miss of that. */
export const SKIPPED_UNRECORDED = 8;
/** So long after a start the others' answers are waited for before they count as silent. */
const PATIENCE_MS = 4000;
const AGAIN_MOST_MS = 15_000;
const LOOK_EVERY_MS = 1000;

const again = (waitMs: number): number => Math.min(2 * waitMs, AGAIN_MOST_MS);

function isSure({ reserving }: Acting, { devAddr }: WantedBlock, { knowers }: Holder): boolean {
  return reserving.sure.has(devAddr) || allShown(reserving, knowers());
}

/** Nor, for a little while after a start, is anything asked of the grantor for a device whose blocks the others may still tell of. */
export function isHeldBack(acting: Acting, wanted: WantedBlock, holder: Holder | undefined): boolean {
  if (holder === undefined) return false;
  if (isUnkept(acting, holder)) return true;
  return holder.now - acting.reserving.startedAt < PATIENCE_MS && !isSure(acting, wanted, holder);
}

/** The next question to those who have not shown yet all that they know of our blocks. */
export function askOfBlocks(acting: Acting, holder: Holder): [Acting, PartyEffect[]] {
  const { setId, now } = holder;
  const { bootId } = acting;
  let { reserving } = acting;
  const effects: PartyEffect[] = [];
  for (const to of holder.knowers()) {
    const { shown, after, askedAt, askWaitMs } = peerOf(reserving, to);
    if (shown || now - askedAt < askWaitMs) continue;
    reserving = withPeer(reserving, to, { askedAt: now, askWaitMs: again(askWaitMs) });
    effects.push({ type: 'send', to, datagram: { kind: 'blocksAsked', body: { setId, bootId, after } } });
  }
  return [{ ...acting, reserving: { ...reserving, asksAt: now + ASK_FIRST_MS / 2 } }, effects];
}

/** Another party says what it knows of our blocks. */
export function onShown(
  acting: Acting,
  from: EdgeId,
  shown: BlocksShown,
  holder: Holder,
): Acting | undefined {
  const peer = acting.reserving.peers[from];
  const asked = peer !== undefined && !peer.shown && shown.after === peer.after;
  if (!asked || shown.bootId !== acting.bootId) return undefined;
  const claims = new Map(peer.claims);
  for (const { devAddr, index } of shown.marks)
    if (holder.book.has(devAddr) && index % SLOTS === holder.slot) claims.set(devAddr, index);
  const after = shown.marks.at(-1)?.devAddr ?? peer.after;
  const next = { shown: shown.last, after, claims, askedAt: -Infinity, askWaitMs: ASK_FIRST_MS };
  return { ...acting, reserving: { ...withPeer(acting.reserving, from, next), asksAt: -Infinity } };
}

/** Another party has our blocks on its disk: those that we have on ours, as we told them. */
export function onKept(
  acting: Acting,
  from: EdgeId,
  { bootId, marks }: BlocksKept,
  holder: Holder,
): Acting | undefined {
  const peer = acting.reserving.peers[from];
  if (peer === undefined) return undefined;
  const told = marks.filter(({ devAddr, index }) => {
    const own = ownOf(holder, devAddr);
    return own?.index === index && own.bootId === bootId;
  });
  if (told.length === 0) return undefined;
  const kept = new Map([...peer.kept, ...told.map(({ devAddr, index }) => [devAddr, index] as const)]);
  const change = { kept, toldAt: -Infinity, tellWaitMs: TELL_FIRST_MS };
  return { ...acting, reserving: withPeer(acting.reserving, from, change) };
}

/** Ours, as it will be on the disk; whoever else is to know of it is told. */
function noted(reserving: Reserving): Reserving {
  const peers = Object.entries(reserving.peers).map(([edge, peer]) => [
    edge,
    { ...peer, upToDate: false, toldAt: -Infinity, tellWaitMs: TELL_FIRST_MS },
  ]);
  return { ...reserving, peers: Object.fromEntries(peers) as Reserving['peers'] };
}

function known({ reserving }: Acting, devAddr: string, isSure: boolean): Reserving {
  const [pending, spent, sure] = [
    new Map(reserving.pending),
    new Set(reserving.spent),
    new Set(reserving.sure),
  ];
  pending.delete(devAddr);
  spent.delete(devAddr);
  // a block that lies too low shows nothing: who is to ask again may forget that it had to
  if (isSure) sure.add(devAddr);
  return { ...noted(reserving), pending, spent, sure, unkept: nothingUnkept };
}

/**
 * Above what a block that the grantor has just given must lie. What another party claims is believed as far as it can be true: nobody
 * has more than sixteen blocks above the record, so that a lie gains no more than silence does. It is believed once.
 */
function floorFor(acting: Acting, wanted: WantedBlock, given: number, holder: Holder): number {
  const { reserving } = acting;
  const { devAddr } = wanted;
  const own = ownOf(holder, devAddr)?.index ?? -1;
  if (wanted.settled === true) return own;
  const most = given + ABOVE_RECORD;
  const forgotten = claimed(reserving, devAddr);
  const skipped = isSure(acting, wanted, holder) ? -1 : most;
  const said = Math.min(most, Math.max(forgotten, foreign(holder, devAddr)));
  return Math.max(own, skipped, said, customers(holder, devAddr));
}

/** Of what the grantor has given: ours is at least that now, and so much of it is recorded. */
function markOf(
  { bootId }: Acting,
  { devAddr, index: given }: LeaseGrant['blocks'][number],
  isHighEnough: boolean,
  holder: Holder,
): BlockMark {
  const { index = -1, base = -1, passed } = ownOf(holder, devAddr) ?? {};
  const mark = { devAddr, index: Math.max(index, given), base: Math.max(base, given), bootId };
  return { ...mark, passed: isHighEnough ? passedBy(holder, devAddr) : passed };
}

/** The grantor has given the wanted block: it is used, or asked for anew above the floor. */
function useOrAskAgain(
  acting: Acting,
  wanted: WantedBlock,
  { index, proven }: LeaseGrant['blocks'][number],
  floor: number,
): [Acting, PartyEffect[]] {
  const { requestId, devAddr } = wanted;
  const others = acting.wanted.filter((one) => one !== wanted);
  if (index > floor) {
    if (requestId === RECORDING) return [{ ...acting, wanted: others }, []];
    const block = blockOf(index);
    return [{ ...acting, wanted: others }, [{ type: 'grantBlock', requestId, devAddr, block, proven }]];
  }
  const higher = { ...wanted, above: Math.max(floor, wanted.above), askedAt: -Infinity, settled: true };
  return [{ ...acting, wanted: [...others, higher] }, []];
}

/** Blocks that the grantor has recorded: used where nobody may have used what lies there, asked for anew where somebody may. */
export function onGranted(
  acting: Acting,
  given: LeaseGrant['blocks'],
  holder: Holder | undefined,
): [Acting, PartyEffect[]] {
  const effects: PartyEffect[] = [];
  const marks: BlockMark[] = [];
  let next = acting;
  for (const block of given) {
    const wanted = next.wanted.find((one) => one.devAddr === block.devAddr);
    if (wanted === undefined) continue;
    const floor = holder === undefined ? -1 : floorFor(next, wanted, block.index, holder);
    const [used, more] = useOrAskAgain(next, wanted, block, floor);
    effects.push(...more);
    const isHighEnough = block.index > floor;
    next = holder === undefined ? used : { ...used, reserving: known(used, block.devAddr, isHighEnough) };
    if (holder !== undefined) marks.push(markOf(next, block, isHighEnough, holder));
  }
  if (holder === undefined || marks.length === 0) return [next, effects];
  return [next, [{ type: 'keepBlocks', by: holder.self, marks }, ...effects]];
}

/** Nobody wants the block: the grantor is to record what stands on promises. */
const RECORDING = '';

/**
 * The devices of which somebody may have blocks that the grantor does not know: our own, and at the customer, whose devices they are,
 * also those that a provider did not get recorded before it gave back. Those of others count as far as ours have not gone past them.
 */
function unrecorded(holder: Holder): string[] {
  const { book, self, customer } = holder;
  const parties = self === customer ? book.parties() : [self];
  const standing = parties.flatMap((by) =>
    book
      .all(by)
      .filter(({ index, base }) => index > base)
      .map(({ devAddr, index }) => ({ by, devAddr, index }))
      .filter(({ devAddr, index }) => by === self || index > (ownOf(holder, devAddr)?.passed?.[by] ?? -1)),
  );
  return [...new Set(standing.map(({ devAddr }) => devAddr))].filter((devAddr) => book.has(devAddr));
}

/** What stands on promises and the grantor does not know is recorded as soon as it answers, before any further block. */
function record(acting: Acting, holder: Holder): Acting {
  const { reserving } = acting;
  const { now, slot } = holder;
  if (!reserving.unrecorded || now - reserving.lookedAt < LOOK_EVERY_MS) return acting;
  const standing = unrecorded(holder);
  const wanted = standing
    .filter((devAddr) => acting.wanted.every((one) => one.devAddr !== devAddr))
    .slice(0, MARKS_TOLD)
    .map((devAddr) => {
      const above = ownOf(holder, devAddr)?.index ?? -1;
      return { requestId: RECORDING, devAddr, slot, above, proven: undefined, askedAt: -Infinity };
    });
  const next = { ...reserving, unrecorded: standing.length > 0, lookedAt: now };
  return { ...acting, reserving: next, wanted: [...acting.wanted, ...wanted] };
}

type Reserved = { readonly mark: BlockMark } | 'unknown' | 'spent';

/** The next block of a device that the promises of all others let us have. */
function reserve(acting: Acting, { devAddr, above }: WantedBlock, holder: Holder): Reserved {
  const { reserving, bootId } = acting;
  if (!allShown(reserving, othersOf(acting, holder))) return 'unknown';
  const own = ownOf(holder, devAddr);
  const base = own?.base ?? above;
  const skipped = reserving.sure.has(devAddr) ? 0 : SKIPPED_UNRECORDED * SLOTS;
  const forgotten = claimed(reserving, devAddr);
  // left out from above what others have: one that the grantor gave us in answer to that, and nobody heard of, lies there
  const from = Math.max(own?.index ?? -1, above, forgotten, foreign(holder, devAddr)) + skipped;
  const index = nextBlock(holder.slot, from);
  if (index > base + ABOVE_RECORD) return 'spent';
  return { mark: { devAddr, index, base, bootId, passed: own?.passed } };
}

/** Those on whose word we act, and whoever else we know could be given the epoch. */
const othersOf = ({ told }: Acting, { others }: Holder): readonly EdgeId[] => [
  ...new Set([...others(), ...told]),
];

function reserveWanted(acting: Acting, holder: Holder): [Acting, PartyEffect[]] {
  if (isUnkept(acting, holder)) return [acting, []];
  const marks: BlockMark[] = [];
  let { reserving } = acting;
  const due = acting.wanted.filter(
    ({ requestId, devAddr }) => requestId !== RECORDING && !reserving.pending.has(devAddr),
  );
  for (const wanted of due.slice(0, MARKS_TOLD)) {
    const found = reserve({ ...acting, reserving }, wanted, holder);
    const { devAddr } = wanted;
    if (found === 'unknown') continue;
    if (found === 'spent') {
      if (!reserving.spent.has(devAddr))
        reserving = { ...reserving, spent: new Set(reserving.spent).add(devAddr) };
      continue;
    }
    marks.push(found.mark);
    const pending = new Map(reserving.pending).set(devAddr, found.mark.index);
    const sure = new Set(reserving.sure).add(devAddr);
    reserving = { ...noted(reserving), pending, sure, unrecorded: true };
  }
  if (marks.length === 0) return [{ ...acting, reserving }, []];
  return [{ ...acting, reserving }, [{ type: 'keepBlocks', by: holder.self, marks }]];
}

/** Blocks that are on the disks of all others on whose word we act are for use. */
function release(acting: Acting, holder: Holder): [Acting, PartyEffect[]] {
  const { reserving } = acting;
  if (reserving.pending.size === 0) return [acting, []];
  const others = othersOf(acting, holder);
  const isKept = (devAddr: string, index: number): boolean =>
    others.length > 0 && others.every((one) => peerOf(reserving, one).kept.get(devAddr) === index);
  const ready = [...reserving.pending].filter(([devAddr, index]) => isKept(devAddr, index));
  if (ready.length === 0) return [acting, []];
  const pending = new Map(reserving.pending);
  const effects: PartyEffect[] = [];
  let { wanted } = acting;
  for (const [devAddr, index] of ready) {
    pending.delete(devAddr);
    const asked = wanted.find((one) => one.devAddr === devAddr && one.requestId !== RECORDING);
    if (asked === undefined) continue;
    const { requestId, proven } = asked;
    wanted = wanted.filter((one) => one !== asked);
    effects.push({ type: 'grantBlock', requestId, devAddr, block: blockOf(index), proven });
  }
  return [{ ...acting, wanted, reserving: { ...reserving, pending } }, effects];
}

/** Tells each other party the blocks of ours that it is not known to have, those first that wait for it. */
function tell(acting: Acting, holder: Holder): [Acting, PartyEffect[]] {
  const { now, setId, book, self } = holder;
  const { lease } = acting;
  let { reserving } = acting;
  const effects: PartyEffect[] = [];
  for (const to of othersOf(acting, holder)) {
    const peer = peerOf(reserving, to);
    if (peer.upToDate || !peer.shown || now - peer.toldAt < peer.tellWaitMs) continue;
    const knows = ({ devAddr, index }: BlockMark): boolean =>
      reserving.pending.has(devAddr)
        ? peer.kept.get(devAddr) === index
        : Math.max(peer.kept.get(devAddr) ?? -1, peer.claims.get(devAddr) ?? -1) >= index;
    const untold = book.all(self).filter((one) => book.has(one.devAddr) && !knows(one));
    // those of one start go together, and those first that are waited for
    const first = untold.find(({ devAddr }) => reserving.pending.has(devAddr)) ?? untold[0];
    const upToDate = first === undefined;
    reserving = withPeer(reserving, to, { upToDate, toldAt: now, tellWaitMs: again(peer.tellWaitMs) });
    if (upToDate) continue;
    const { bootId } = first;
    const alike = untold.filter((one) => one !== first && one.bootId === bootId);
    const pressing = Map.groupBy(alike, ({ devAddr }) => reserving.pending.has(devAddr));
    const marks = [first, ...(pressing.get(true) ?? []), ...(pressing.get(false) ?? [])]
      .slice(0, MARKS_TOLD)
      .map(({ devAddr, index, base }) => ({ devAddr, index, base }));
    const body = { setId, bootId, epoch: lease.epoch, marks };
    effects.push({ type: 'send', to, datagram: { kind: 'blocks', body } });
  }
  return [{ ...acting, reserving }, effects];
}

/** Whether `tendBlocks` would find nothing to do, where nothing is wanted. */
export function areBlocksQuiet({ reserving }: Acting, now: number): boolean {
  const { pending, peers, unrecorded, lookedAt } = reserving;
  if (pending.size > 0 || (unrecorded && now - lookedAt >= LOOK_EVERY_MS)) return false;
  return Object.values(peers).every(
    ({ upToDate, shown, toldAt, tellWaitMs }) => upToDate || !shown || now - toldAt < tellWaitMs,
  );
}

/** What is due of all that, while we act or want to. What is reserved now is on the disk, and told, at the next turn. */
export function tendBlocks(acting: Acting, holder: Holder): [Acting, PartyEffect[]] {
  const [released, given] = release(acting, holder);
  const [told, sent] = tell(released, holder);
  const by = leaseBy(told, holder.now);
  const [reserved, kept] = by === 'promises' ? reserveWanted(told, holder) : [told, []];
  return [by === 'grantor' ? record(reserved, holder) : reserved, [...kept, ...given, ...sent]];
}

/** For an operator: blocks of one device that stand on promises alone, and whether no more of them may. */
export interface OnPromises {
  readonly devAddr: string;
  readonly blocks: number;
  readonly isSpent: boolean;
}

export function onPromises({ reserving }: Acting, self: EdgeId, book: BlockBook): OnPromises[] {
  return book
    .all(self)
    .map(({ devAddr, index, base }) => ({
      ...{ devAddr, blocks: Math.ceil((index - base) / SLOTS), isSpent: reserving.spent.has(devAddr) },
    }))
    .filter(({ blocks, isSpent }) => blocks > 0 || isSpent);
}
