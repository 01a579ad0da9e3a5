import { z } from 'zod';
import { concatBytes, fromHex, sha256Hex, utf8 } from '@antirio/kernel';

/**
 * A provider's commitments to what its ring heard: soon after the air, before it can have learnt of a frame any other way. Each is a
 * hash over a batch of receipts, and over the commitment before it.
 */

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const seq = z.int().min(0);

/** So many of the newest commitments are in each datagram: one of them may get lost. */
export const BATCHES_TOLD = 4;
/** A provider has this long from the air to its customer's ear, ms. */
export const RECEIPT_WITHIN_MS = 2000;
/** Frames of at least so long are in one commitment, ms. */
const COMMIT_EVERY_MS = 400;
/** The newest commitments are told again for so long, ms. */
const TELL_FOR_MS = 1000;
/** Nothing came before the first commitment of a chain. */
export const NO_RECEIPTS = '0'.repeat(64);

const head = z.strictObject({
  batch: z.int().min(0),
  /** The newest frame of the ring that it is about. */
  through: seq,
  hash,
});
export type ReceiptHead = z.output<typeof head>;

export const receipts = z.strictObject({
  contractId: z.uuid(),
  /** A chain ends with its provider's process, or with the life of its ring. */
  chain: z.string().regex(/^[0-9a-f]{16}$/),
  /** Of the ring: its numbers mean nothing in another life of it. */
  incarnation: z.string().min(1).max(64),
  /** The commitment before the first of `batches`. */
  before: head,
  batches: z.array(head).min(1).max(BATCHES_TOLD),
});
export type Receipts = z.output<typeof receipts>;

/** What a commitment says of a frame: MICs cannot be guessed without the keys or the frame. */
export interface Receipt {
  readonly devAddr: string;
  /** 16 bits, as on air. */
  readonly fcnt: number;
  readonly mic: string;
}

const RECEIPT_BYTES = 10;

function bytesOf(rows: readonly Receipt[]): Uint8Array {
  const bytes = new Uint8Array(rows.length * RECEIPT_BYTES);
  const view = new DataView(bytes.buffer);
  rows.forEach(({ devAddr, fcnt, mic }, i) => {
    view.setUint32(i * RECEIPT_BYTES, Number.parseInt(devAddr, 16));
    view.setUint16(i * RECEIPT_BYTES + 4, fcnt);
    view.setUint32(i * RECEIPT_BYTES + 6, Number.parseInt(mic, 16));
  });
  return bytes;
}

/** The hash of the commitment that follows `before` and reaches to frame `through`; `rows` in the order of the ring. */
export function receiptHash(
  contractId: string,
  chain: string,
  before: ReceiptHead,
  through: number,
  rows: readonly Receipt[],
): string {
  const about = `antirio/receipts/1/${contractId}/${chain}/${before.batch + 1}/${before.through}/${through}/`;
  return sha256Hex(concatBytes(utf8(about), fromHex(before.hash, 32), bytesOf(rows)));
}

/** What a provider has committed to since its start. In memory only: a new process begins a new chain. */
export interface Commitments {
  readonly contractId: string;
  readonly chain: string;
  readonly incarnation: string;
  /** Oldest first; the first one is what the next datagram begins after. */
  readonly heads: readonly [ReceiptHead, ...ReceiptHead[]];
  readonly committedAt: number;
}

/** What the ring held before is not committed to: it may have come any way. */
export function beginCommitments(
  contractId: string,
  chain: string,
  incarnation: string,
  through: number,
): Commitments {
  const first = { batch: 0, through, hash: NO_RECEIPTS };
  return { contractId, chain, incarnation, heads: [first], committedAt: -Infinity };
}

export function newestHead({ heads }: Commitments): ReceiptHead {
  return heads.at(-1) ?? heads[0];
}

/** Whether the ring has grown, to its frame `last`, and the commitment before is old enough. */
export function isCommitmentDue(known: Commitments, last: number, now: number): boolean {
  return last > newestHead(known).through && now - known.committedAt >= COMMIT_EVERY_MS;
}

/** Commits to the ring's frames after the newest commitment, through `through`. */
export function commit(
  known: Commitments,
  rows: readonly Receipt[],
  through: number,
  now: number,
): Commitments {
  const before = newestHead(known);
  const hashed = receiptHash(known.contractId, known.chain, before, through, rows);
  const next = { batch: before.batch + 1, through, hash: hashed };
  const [first = before, ...rest] = [...known.heads, next].slice(-BATCHES_TOLD - 1);
  return { ...known, heads: [first, ...rest], committedAt: now };
}

/** What to tell the customer now: nothing where it has heard it often enough. */
export function receiptsDue(known: Commitments, now: number): Receipts | undefined {
  const { contractId, chain, incarnation, heads, committedAt } = known;
  const [before, ...batches] = heads;
  if (batches.length === 0 || now - committedAt > TELL_FOR_MS) return undefined;
  return { contractId, chain, incarnation, before, batches };
}

/** A commitment as the customer heard it. */
export interface NotedBatch {
  readonly chain: string;
  readonly incarnation: string;
  readonly before: ReceiptHead;
  readonly head: ReceiptHead;
  /** When it came first, on the customer's monotonic clock. */
  readonly cameAt: number;
}

/** What a customer remembers of its provider's commitments until it has looked at the frames. In memory only. */
export interface ReceiptBook {
  readonly pending: readonly NotedBatch[];
  readonly newest: { readonly chain: string; readonly batch: number } | undefined;
  /** More came than there is room for: what was not noted says nothing against the provider. */
  readonly overflown: boolean;
}

export const noReceipts: ReceiptBook = { pending: [], newest: undefined, overflown: false };

/** Commitments that wait for their frames to be looked at. */
const PENDING_KEPT = 1024;

/** A commitment over more numbers of the ring than this is not noted: its frames would have to be held all at once. */
export const NUMBERS_COMMITTED = 20_000;

const isBounded = (before: ReceiptHead, next: ReceiptHead): boolean =>
  next.through - before.through <= NUMBERS_COMMITTED;

/** Notes what is new in a datagram: what came first counts. */
export function noteReceipts(book: ReceiptBook, told: Receipts, now: number): ReceiptBook {
  const { chain, incarnation, batches } = told;
  const known = book.newest?.chain === chain ? book.newest.batch : 0;
  let before = told.before;
  const fresh: NotedBatch[] = [];
  for (const next of batches) {
    const follows = next.batch === before.batch + 1 && next.through > before.through;
    if (!follows) return book;
    if (next.batch > known && isBounded(before, next))
      fresh.push({ chain, incarnation, before, head: next, cameAt: now });
    before = next;
  }
  if (fresh.length === 0) return book;
  const pending = [...book.pending, ...fresh];
  const overflown = book.overflown || pending.length > PENDING_KEPT;
  return { pending: pending.slice(-PENDING_KEPT), newest: { chain, batch: before.batch }, overflown };
}

/** Whether these rows of the provider's ring are what it committed to. */
export function isCommitted(
  contractId: string,
  { chain, before, head: said }: NotedBatch,
  rows: readonly Receipt[],
): boolean {
  return receiptHash(contractId, chain, before, said.through, rows) === said.hash;
}
