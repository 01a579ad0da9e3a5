import type { Socket } from 'node:net';
import type { Direction, LinkState } from './faults.ts';
import type { DirectionCounters } from './link.ts';
import { isCut } from './faults.ts';

/** One direction of one connection. */
export interface Pipe {
  /** Starts, or looks at the link's state again. */
  resume(): void;
  close(): void;
}

/** What a pipe is between. */
export interface PipePorts {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
  readonly state: LinkState;
  readonly counters: DirectionCounters;
  readonly random: () => number;
}

// Beyond this the sender is made to wait: a delayed or cut stream must not fill our memory.
const MOST_QUEUED_BYTES = 256 * 1024;

type Content =
  { readonly kind: 'data'; readonly bytes: Buffer } | { readonly kind: 'end' } | { readonly kind: 'reset' };

interface Piece {
  readonly dueAt: number;
  readonly content: Content;
}

class SocketPipe implements Pipe {
  readonly #ports: PipePorts;
  #queue: Piece[] = [];
  #queuedBytes = 0;
  #lastDueAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #isFull = false;
  #isClosed = false;
  #sawEnd = false;

  constructor(ports: PipePorts) {
    this.#ports = ports;
    const { from, to } = ports;
    from.on('data', (bytes: Buffer) => this.#enqueue({ kind: 'data', bytes }));
    from.on('end', () => {
      this.#sawEnd = true;
      this.#enqueue({ kind: 'end' });
    });
    from.on('close', () => {
      if (!this.#sawEnd) this.#enqueue({ kind: 'reset' });
    });
    to.on('drain', () => {
      this.#isFull = false;
      this.#flush();
    });
  }

  resume(): void {
    this.#flush();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#queue = [];
  }

  #enqueue(content: Content): void {
    const { state, direction, random } = this.#ports;
    const { delayMs, jitterMs } = state.faults[direction];
    // A stream keeps its order: nothing is due before what was sent earlier.
    this.#lastDueAt = Math.max(this.#lastDueAt, performance.now() + delayMs + random() * jitterMs);
    this.#queue.push({ dueAt: this.#lastDueAt, content });
    if (content.kind === 'data') this.#queuedBytes += content.bytes.length;
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    while (!this.#isClosed && !this.#isHeld()) {
      const piece = this.#queue[0];
      if (piece === undefined) break;
      const waitMs = piece.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), Math.ceil(waitMs));
        break;
      }
      this.#queue.shift();
      this.#deliver(piece.content);
    }
    this.#regulate();
  }

  #isHeld(): boolean {
    return this.#isFull || isCut(this.#ports.state, this.#ports.direction);
  }

  #deliver(content: Content): void {
    const { to, counters } = this.#ports;
    if (content.kind === 'data') this.#queuedBytes -= content.bytes.length;
    if (to.destroyed) return;
    if (content.kind === 'reset') to.resetAndDestroy();
    else if (content.kind === 'end') to.end();
    else {
      counters.forwarded += 1;
      counters.bytes += content.bytes.length;
      this.#isFull = !to.write(content.bytes);
    }
  }

  // While cut, nothing is read: what is sent meanwhile stands in the system's buffers, and the sender's own end too.
  #regulate(): void {
    const { from, state, direction } = this.#ports;
    if (this.#isClosed || from.destroyed) return;
    if (isCut(state, direction) || this.#queuedBytes >= MOST_QUEUED_BYTES) from.pause();
    else from.resume();
  }
}

/** A pipe between two connected sockets; it does nothing before `resume`. */
export function createPipe(ports: PipePorts): Pipe {
  return new SocketPipe(ports);
}
