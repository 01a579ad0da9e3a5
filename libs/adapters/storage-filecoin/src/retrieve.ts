import { carOf, checkBlock, RAW, readCar, type CID } from '@antirio/content-store';
import { openHttpStream, type HttpStream } from '@antirio/host';
import { varint } from 'multiformats';
import { AntirioError, concatBytes, describeError, isAntirioError } from '@antirio/kernel';
import { withoutFilling } from './car-piece.ts';
import { MIN_PIECE_BYTES, type Piece } from './piece-cid.ts';

/** Where a piece may be read. */
export interface PieceSource {
  readonly name: string;
  /** Of the provider's interface, with a slash at its end. */
  readonly url: string;
}

export interface RetrieveOptions {
  /** Bytes of the CAR that need not come: it is begun behind them. Where it turns out to be another CAR, it is begun at its start. */
  readonly from?: number;
  readonly signal?: AbortSignal | undefined;
  /** Without a byte for so long a provider is given up (default 15000). */
  readonly idleMs?: number | undefined;
}

const IDLE_MS = 15_000;
/** Connections to one provider that may break off before it is given up: one after the other without a byte, and in all. */
const MAX_BREAKS = 3;
const MAX_RESUMES = 64;
/** The header of a CAR with one root is not a tenth of this. */
const MAX_HEADER_BYTES = 1 << 10;

const ofPiece = (piece: Piece, from: string, what: string): AntirioError =>
  new AntirioError('corrupt', `${from}: ${what}`, { pieceCid: piece.cid, provider: from });

/**
 * The bytes of a piece from an offset on, by one provider. A connection that breaks off is taken up where it ended. Never gives more
 * bytes than the piece has.
 * @throws AntirioError notFound, corrupt where more or fewer bytes came than the piece has, unavailable | timeout
 */
export async function* pieceBytes(
  piece: Piece,
  source: PieceSource,
  from: number,
  options: RetrieveOptions = {},
): AsyncGenerator<Uint8Array> {
  let at = from;
  let breaks = 0;
  for (let resumes = 0; at < piece.bytes; resumes++) {
    const began = at;
    try {
      for await (const bytes of connection(piece, source, at, options)) {
        at += bytes.length;
        yield bytes;
      }
      return;
    } catch (error) {
      if (options.signal?.aborted === true)
        throw new AntirioError('timeout', 'the retrieval was broken off', {}, error);
      breaks = at > began ? 1 : breaks + 1;
      if (isOver(error, breaks, resumes)) throw error;
    }
  }
}

const isOver = (error: unknown, breaks: number, resumes: number): boolean =>
  !isAntirioError(error, 'unavailable') || breaks >= MAX_BREAKS || resumes >= MAX_RESUMES;

/** What one connection gives. */
async function* connection(
  piece: Piece,
  { name, url }: PieceSource,
  from: number,
  { signal, idleMs = IDLE_MS }: RetrieveOptions,
): AsyncGenerator<Uint8Array> {
  const range = from > 0 ? { range: `bytes=${from}-` } : undefined;
  const answer = await openHttpStream(
    new URL(`piece/${piece.cid}`, url).href,
    { headers: { accept: 'application/octet-stream', ...range }, idleMs, signal, transient: true },
    name,
  );
  let at: number;
  try {
    at = beginningOf(answer, piece, name, from);
  } catch (error) {
    answer.close();
    throw error;
  }
  // The end of the piece is given when the answer has ended there, so that whoever reads it never takes one that goes on for whole.
  let end: Uint8Array | undefined;
  for await (const bytes of inTime(answer.body, name, idleMs)) {
    if (at + bytes.length > piece.bytes)
      throw ofPiece(piece, name, `sent more than the ${piece.bytes} bytes of the piece`);
    const wanted = bytes.subarray(Math.min(bytes.length, Math.max(0, from - at)));
    at += bytes.length;
    if (wanted.length === 0) continue;
    if (at < piece.bytes) yield wanted;
    else end = new Uint8Array(wanted);
  }
  if (at < piece.bytes)
    throw new AntirioError('unavailable', `${name} ended after ${at} of ${piece.bytes} bytes`);
  if (end !== undefined) yield end;
}

/** A connection that was ended because nothing came is not one that broke off: it would be the same again. */
async function* inTime(
  body: AsyncIterable<Uint8Array>,
  name: string,
  idleMs: number,
): AsyncGenerator<Uint8Array> {
  let last = performance.now();
  try {
    for await (const bytes of body) {
      yield bytes;
      last = performance.now();
    }
  } catch (error) {
    if (performance.now() - last < idleMs) throw error;
    throw new AntirioError('timeout', `${name} sent nothing for ${idleMs} ms`, {}, error);
  }
}

/** The offset of the first byte that comes: one that knows no ranges begins at the start again. @throws AntirioError */
function beginningOf({ status, headers }: HttpStream, piece: Piece, name: string, from: number): number {
  if (status === 404 || status === 410) throw new AntirioError('notFound', `${name} does not have the piece`);
  if (status === 200) {
    const length = headers['content-length'] ?? piece.bytes;
    if (Number(length) === piece.bytes) return 0;
    throw ofPiece(piece, name, `has ${length} bytes for the ${piece.bytes} of the piece`);
  }
  if (status === 206 && from > 0) {
    if (isRange(headers['content-range'], from, piece)) return from;
    throw ofPiece(piece, name, 'answers another range than was asked for');
  }
  throw new AntirioError('unavailable', `${name} answers ${status} when asked for the piece`);
}

function isRange(header: string | undefined, from: number, piece: Piece): boolean {
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header ?? '') ?? [];
  return Number(first) === from && (total === '*' || Number(total) === piece.bytes);
}

/** The blocks of the CAR that a piece is, each checked; a provider that sends a wrong one is left, and the next one goes on. */
export async function* pieceBlocks(
  piece: Piece,
  root: CID,
  sources: readonly PieceSource[],
  options: RetrieveOptions = {},
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  const place = new Place(options.from ?? 0);
  const failures: AntirioError[] = [];
  for (let next = 0; next < sources.length; next++) {
    try {
      yield* blocksFrom(place, piece, root, sources[next] as PieceSource, options);
      return;
    } catch (error) {
      if (!isAntirioError(error) || options.signal?.aborted === true) throw error;
      // Nothing of it could be read from there on: the same provider from the start.
      if (place.startOver()) next -= 1;
      else failures.push(error);
    }
  }
  throw worstOf(failures, piece);
}

/** Where in the CAR its reader is: at the beginning, or behind the last block that was right. */
class Place {
  offset: number;
  /** Where it was told to begin, and has not got away from. */
  #untried: number;

  constructor(from: number) {
    this.offset = this.#untried = from;
  }

  /** Goes back to the start where not one block was found at the place that it was told to begin at. */
  startOver(): boolean {
    const isUntried = this.#untried > 0 && this.offset === this.#untried;
    this.#untried = 0;
    if (isUntried) this.offset = 0;
    return isUntried;
  }

  passHeader(bytes: number): void {
    if (this.offset === 0) this.offset = bytes;
  }

  pass({ cid, bytes }: { cid: CID; bytes: Uint8Array }): void {
    const length = cid.bytes.length + bytes.length;
    this.offset += varint.encodingLength(length) + length;
  }
}

async function* blocksFrom(
  place: Place,
  piece: Piece,
  root: CID,
  source: PieceSource,
  options: RetrieveOptions,
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  // The least piece may end in zeros that are no block: it is read as a whole.
  if (piece.bytes === MIN_PIECE_BYTES) place.offset = 0;
  const sent = pieceBytes(piece, source, place.offset, options);
  const car = place.offset > 0 ? continued(root, sent) : begun(piece, place, sent);
  try {
    for await (const block of readCar(car, piece.bytes)) {
      checkBlock(block.cid, block.bytes);
      // The links of a node are views of its bytes, and the reader's memory is used again.
      const { cid, bytes } = block;
      // Passed only when the next one is asked for: until then nobody has taken it.
      yield cid.code === RAW ? block : { cid, bytes: new Uint8Array(bytes) };
      place.pass(block);
    }
  } catch (cause) {
    // What cannot be read as a CAR was no CAR of ours, or is no longer.
    throw isAntirioError(cause, 'invalidInput') || isAntirioError(cause, 'tooLarge')
      ? new AntirioError('corrupt', `${source.name} sends no such piece`, { pieceCid: piece.cid }, cause)
      : cause;
  } finally {
    await sent.return(undefined);
  }
}

/** A CAR from its middle on: a header of our own stands for the one that was read before. */
async function* continued(root: CID, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* carOf(root, []);
  yield* bytes;
}

async function* begun(
  piece: Piece,
  place: Place,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const part of bytes) {
    if (head === undefined) {
      yield part;
      continue;
    }
    head = concatBytes(head, part);
    const isWhole: boolean = head.length >= Math.min(MAX_HEADER_BYTES, piece.bytes);
    if (!isWhole) continue;
    place.passHeader(headerLength(head));
    yield piece.bytes === MIN_PIECE_BYTES ? withoutFilling(head) : head;
    head = undefined;
  }
}

function headerLength(car: Uint8Array): number {
  try {
    const [length, bytes] = varint.decode(car);
    return length + bytes;
  } catch (cause) {
    throw new AntirioError('invalidInput', 'not a CAR: a malformed length', {}, cause);
  }
}

/** One failure of all: that bytes were wrong weighs more than that somebody did not answer, and that more than that nobody has it. */
function worstOf(failures: readonly AntirioError[], piece: Piece): AntirioError {
  const [only] = failures;
  if (only !== undefined && failures.length === 1) return only;
  const order = ['corrupt', 'timeout', 'unavailable'] as const;
  const code =
    order.find((candidate) => failures.some((failure) => failure.code === candidate)) ?? 'notFound';
  const why = failures.map(describeError).join('; ');
  return new AntirioError(code, `no provider gives the piece ${piece.cid}: ${why || 'none is known'}`, {
    pieceCid: piece.cid,
  });
}
