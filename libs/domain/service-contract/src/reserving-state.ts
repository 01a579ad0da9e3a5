import type { EdgeId } from '@antirio/kernel';
import type { BlockBook, BlockMark } from './block-marks.ts';

/**
 * Which blocks of FCntDown a party may use, in words of who knows of them. What it has is on its own disk before it is used, and the
 * other parties are told: in their own time of what the grantor has given, and before it is used of what stands on their word alone.
 * After a start it asks them what they know of its blocks, for its own disk may be older than it seems.
 */
export interface Reserving {
  readonly startedAt: number;
  readonly peers: Readonly<Record<string, PeerBlocks>>;
  /** Devices that have got a block since our start: what was forgotten before lies below that. */
  readonly sure: ReadonlySet<string>;
  /** On our own disk, and not yet on those of all others. */
  readonly pending: ReadonlyMap<string, number>;
  /** Devices for which no further block may stand on promises. */
  readonly spent: ReadonlySet<string>;
  /** Blocks may stand on promises that the grantor has not recorded. */
  readonly unrecorded: boolean;
  readonly lookedAt: number;
  /** When it is looked next whether others are to be asked what they know. */
  readonly asksAt: number;
  /** The disk took no block that was given, so many times on end, and when last. */
  readonly unkept: { readonly times: number; readonly at: number };
}

/** Another party of the set, and what it knows of our blocks. In memory: asked for after each start. */
interface PeerBlocks {
  /** It has shown all. */
  readonly shown: boolean;
  readonly after: string;
  readonly askedAt: number;
  readonly askWaitMs: number;
  /** By address: as it says, and as it has acknowledged in this start. */
  readonly claims: ReadonlyMap<string, number>;
  readonly kept: ReadonlyMap<string, number>;
  /** Everything was told, and nothing is new since. */
  readonly upToDate: boolean;
  readonly toldAt: number;
  readonly tellWaitMs: number;
}

/** Who reserves, for what, and what its disk says. */
export interface Holder {
  readonly self: EdgeId;
  readonly customer: EdgeId;
  readonly slot: number;
  readonly setId: string;
  /** Who else could be given the next epoch. */
  readonly others: () => readonly EdgeId[];
  /** Who may know of blocks that our disk has forgotten. */
  readonly knowers: () => readonly EdgeId[];
  readonly book: BlockBook;
  /** Whether our disk takes writes, as far as we know: a block that is given to us and cannot be kept is lost. */
  readonly keeps: boolean;
  readonly now: number;
}

export const nothingUnkept: Reserving['unkept'] = { times: 0, at: -Infinity };

export const reservingFrom = (now: number): Reserving => ({
  startedAt: now,
  peers: {},
  sure: new Set(),
  pending: new Map(),
  spent: new Set(),
  unrecorded: true,
  lookedAt: -Infinity,
  asksAt: -Infinity,
  unkept: nothingUnkept,
});

export const ASK_FIRST_MS = 250;
export const TELL_FIRST_MS = 150;

const strange: PeerBlocks = {
  shown: false,
  after: '',
  askedAt: -Infinity,
  askWaitMs: ASK_FIRST_MS,
  claims: new Map(),
  kept: new Map(),
  upToDate: false,
  toldAt: -Infinity,
  tellWaitMs: TELL_FIRST_MS,
};

export const peerOf = ({ peers }: Reserving, edge: EdgeId): PeerBlocks => peers[edge] ?? strange;

export function withPeer(reserving: Reserving, edge: EdgeId, change: Partial<PeerBlocks>): Reserving {
  const peer = { ...peerOf(reserving, edge), ...change };
  return { ...reserving, peers: { ...reserving.peers, [edge]: peer } };
}

export const allShown = (reserving: Reserving, others: readonly EdgeId[]): boolean =>
  others.every((one) => peerOf(reserving, one).shown);

/** The highest of our blocks of the device that another party claims to know; -1: none, or what is ours is sure without a claim. */
export function claimed({ peers, sure }: Reserving, devAddr: string): number {
  if (sure.has(devAddr)) return -1;
  return Math.max(-1, ...Object.values(peers).map(({ claims }) => claims.get(devAddr) ?? -1));
}

export const ownOf = ({ self, book }: Holder, devAddr: string): BlockMark | undefined =>
  book.ofDevice(devAddr).get(self);

const othersOf = ({ self, book }: Holder, devAddr: string): readonly (readonly [EdgeId, BlockMark])[] =>
  [...book.ofDevice(devAddr)].filter(([by]) => by !== self);

/**
 * The highest block of the device that others have, as they told us, of those above which ours were not asked for yet: what cannot be
 * true, and is believed as far as it can be, would be believed anew with each block.
 */
export function foreign(holder: Holder, devAddr: string): number {
  const { passed = {} } = ownOf(holder, devAddr) ?? {};
  const news = othersOf(holder, devAddr).filter(([by, { index }]) => index > (passed[by] ?? -1));
  return Math.max(-1, ...news.map(([, mark]) => mark.index));
}

/** What of others counts as passed, once a block of ours was given as high as they are believed. */
export const passedBy = (holder: Holder, devAddr: string): Readonly<Record<string, number>> =>
  Object.fromEntries(othersOf(holder, devAddr).map(([by, { index }]) => [by, index]));

/** The same of the customer, who speaks of its own devices. */
export function customers({ self, customer, book }: Holder, devAddr: string): number {
  return customer === self ? -1 : (book.ofDevice(devAddr).get(customer)?.index ?? -1);
}
