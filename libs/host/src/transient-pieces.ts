import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';

/** So much of a body waits to be read; then the other side is held back. */
const HIGH_WATER = 64 << 10;
/** Of smaller memory nothing is gained, and it may be shared. */
const WORTH_RELEASING = 16 << 10;

/**
 * A body whose pieces are valid until the next one is asked for: their memory is given back then. Node reads every piece into
 * memory of its own, of which the collector hears so little that tens of megabytes wait for it.
 */
export async function* transientPieces(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  const arrivals = new Arrivals(incoming);
  for (;;) {
    const piece = await arrivals.next();
    if (piece === undefined) return;
    yield piece;
    arrivals.release(piece);
  }
}

class Arrivals {
  readonly #incoming: IncomingMessage;
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  #isOver = false;
  #failure: unknown;
  #wake: () => void = () => undefined;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
    finished(incoming, { writable: false }).then(
      () => this.#end(undefined),
      (cause: unknown) => this.#end(cause),
    );
    incoming.on('data', (piece: Buffer) => this.#take(piece));
  }

  /** Undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const piece = this.#waiting.shift();
      if (piece !== undefined) {
        this.#bytes -= piece.length;
        return piece;
      }
      if (this.#failure !== undefined) throw this.#failure as Error;
      if (this.#isOver) return undefined;
      const arrival = new Promise<void>((resolve) => (this.#wake = resolve));
      this.#incoming.resume();
      await arrival;
    }
  }

  /** What came in one read is in one piece of memory, and waits here as a whole: it goes with the last of it. */
  release({ buffer }: Uint8Array): void {
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < WORTH_RELEASING) return;
    if (!this.#waiting.some((piece) => piece.buffer === buffer)) buffer.transfer(0);
  }

  #take(piece: Buffer): void {
    this.#waiting.push(piece);
    this.#bytes += piece.length;
    // Not before all pieces of this read are here.
    if (this.#bytes >= HIGH_WATER) process.nextTick(() => this.#incoming.pause());
    this.#wake();
  }

  #end(failure: unknown): void {
    this.#failure = failure;
    this.#isOver = true;
    this.#wake();
  }
}
