import { Worker } from 'node:worker_threads';
import { AntirioError } from '@antirio/kernel';
import { absent, isMissing } from './optional.ts';
import { MAX_PIECE_BYTES, pieceOfMultihash, type Piece } from './piece-cid.ts';
import type { FromPieceWorker, ToPieceWorker } from './piece-worker.ts';

/** What is handed to the thread at once, and how many such parts may be on their way: 1 MiB together. */
const PART_BYTES = 256 << 10;
const MAX_PARTS = 4;

export interface PieceHashOptions {
  readonly signal?: AbortSignal | undefined;
  /** More bytes than these are refused (default: the most that a piece may have). */
  readonly maxBytes?: number;
  /** Of the bytes taken so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** Makes a piece of bytes as they come, in a thread of its own. */
export interface PieceHasher {
  /** Resolves when more may come; the bytes are the caller's again at once. @throws AntirioError unavailable | tooLarge */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the piece and the thread. @throws AntirioError unavailable */
  finish(): Promise<Piece>;
  /** Ends the thread, whatever it was at. */
  close(): Promise<void>;
}

/**
 * The PieceCIDv2 of a stream. Never holds more than about 2 MiB of it.
 * @throws AntirioError tooLarge, unavailable when the thread dies, badConfig when the hash is not installed; the signal's reason.
 */
export async function pieceOf(
  source: AsyncIterable<Uint8Array>,
  options: PieceHashOptions = {},
): Promise<Piece> {
  const hasher = await openPieceHasher(options);
  try {
    let taken = 0;
    for await (const bytes of source) {
      options.signal?.throwIfAborted();
      await hasher.write(bytes);
      taken += bytes.length;
      options.onProgress?.(taken);
    }
    return await hasher.finish();
  } finally {
    await hasher.close();
  }
}

/** Starts the thread. @throws AntirioError badConfig when the hash is not installed */
export async function openPieceHasher({
  signal,
  maxBytes = MAX_PIECE_BYTES,
}: PieceHashOptions = {}): Promise<PieceHasher> {
  signal?.throwIfAborted();
  // A module of its own also in a bundle, because it is loaded by name only.
  const { PIECE_WORKER, PIECE_WORKER_ROLE } = await import('./piece-worker.ts');
  const worker = new Worker(new URL(PIECE_WORKER), {
    workerData: PIECE_WORKER_ROLE,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 128 },
  });
  const hasher = new ThreadedHasher(worker, maxBytes, signal);
  try {
    await hasher.ready;
  } catch (error) {
    await hasher.close();
    throw error;
  }
  return hasher;
}

const dead = (why: string, cause?: unknown): AntirioError =>
  new AntirioError('unavailable', `the thread that makes pieces ${why}`, {}, cause);

class ThreadedHasher implements PieceHasher {
  readonly #worker: Worker;
  readonly #maxBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => {
    this.#fail(this.#signal?.reason);
    void this.#worker.terminate();
  };
  #part = new Uint8Array(PART_BYTES);
  #filled = 0;
  #total = 0;
  #underWay = 0;
  #failure: Error | undefined;
  /** What the one caller waits for. */
  #waiting: { resolve(multihash: Uint8Array | undefined): void; reject(cause: unknown): void } | undefined;
  readonly ready: Promise<void>;

  constructor(worker: Worker, maxBytes: number, signal: AbortSignal | undefined) {
    this.#worker = worker;
    this.#maxBytes = maxBytes;
    this.#signal = signal;
    worker.on('message', (message: FromPieceWorker) => this.#take(message));
    worker.on('error', (cause) => this.#fail(dead('died', cause)));
    worker.on('exit', () => this.#fail(dead('ended')));
    signal?.addEventListener('abort', this.#onAbort);
    this.ready = this.#next().then(() => undefined);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#total += bytes.length;
    if (this.#total > this.#maxBytes)
      throw new AntirioError('tooLarge', `a piece has at most ${this.#maxBytes} bytes`, {
        limit: this.#maxBytes,
      });
    for (let at = 0; at < bytes.length;) {
      const taken = bytes.subarray(at, at + PART_BYTES - this.#filled);
      this.#part.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === PART_BYTES) await this.#send();
    }
  }

  async finish(): Promise<Piece> {
    if (this.#filled > 0) await this.#send();
    while (this.#underWay > 0) await this.#next();
    this.#post({ end: true }, []);
    const multihash = await this.#next();
    await this.close();
    if (multihash === undefined) throw dead('gave no answer');
    return pieceOfMultihash(multihash);
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    await this.#worker.terminate();
  }

  async #send(): Promise<void> {
    const part = this.#part.subarray(0, this.#filled);
    this.#part = new Uint8Array(PART_BYTES);
    this.#filled = 0;
    this.#post({ bytes: part }, [part.buffer]);
    this.#underWay += 1;
    while (this.#underWay >= MAX_PARTS) await this.#next();
  }

  #post(message: ToPieceWorker, transfer: ArrayBuffer[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#worker.postMessage(message, transfer);
  }

  /** Of the next message from the thread. */
  #next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiting = { resolve, reject };
    });
  }

  #take(message: FromPieceWorker): void {
    if (message.kind === 'failed') {
      this.#fail(isMissing(message) ? absent(message.message) : dead(`failed: ${message.message}`));
      return;
    }
    if (message.kind === 'taken') this.#underWay -= 1;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(message.kind === 'done' ? message.multihash : undefined);
  }

  #fail(cause: unknown): void {
    this.#failure ??= cause instanceof Error ? cause : dead('was ended', cause);
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}
