import { AntirioError } from '@antirio/kernel';

/** Who gave it sends too slowly to be waited for. */
export class TooSlow extends AntirioError {
  constructor(bytes: number, windowMs: number) {
    super('timeout', `it gave ${bytes} bytes in ${windowMs} ms`, { bytes, windowMs });
  }
}

export interface LeastPace {
  /** In milliseconds of waiting for the source; what its reader does in between counts for nothing. */
  readonly windowMs: number;
  /** Of each window that is over. */
  leastBytes(): number;
}

/**
 * The pieces of a source that gives enough of them: one that trickles is no better than one that has stopped. It is not waited for once
 * it is too slow, so whoever opened it has to end it.
 * @throws TooSlow, and what the source throws
 */
export async function* atLeastPace(
  source: AsyncIterable<Uint8Array>,
  pace: LeastPace,
): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  const window = new Window(pace);
  let isWaiting = false;
  try {
    for (let asked = pieces.next(); ;) {
      isWaiting = true;
      const began = performance.now();
      const next = await settledWithin(asked, window.leftMs);
      if (next?.done === true) return;
      window.take(performance.now() - began, next?.value.length ?? 0);
      isWaiting = next === undefined;
      if (next === undefined) continue;
      yield next.value;
      asked = pieces.next();
    }
  } finally {
    const left = Promise.resolve(pieces.return?.());
    if (isWaiting) left.catch(() => undefined);
    else await left;
  }
}

class Window {
  readonly #pace: LeastPace;
  #waitedMs = 0;
  #bytes = 0;

  constructor(pace: LeastPace) {
    this.#pace = pace;
  }

  get leftMs(): number {
    return this.#pace.windowMs - this.#waitedMs;
  }

  /** @throws TooSlow where the window is over, and too little came in it */
  take(waitedMs: number, bytes: number): void {
    this.#waitedMs += waitedMs;
    this.#bytes += bytes;
    if (this.leftMs > 0) return;
    if (this.#bytes < this.#pace.leastBytes()) throw new TooSlow(this.#bytes, this.#pace.windowMs);
    this.#waitedMs = this.#bytes = 0;
  }
}

/** Undefined where it takes longer; it is then still to be waited for. */
async function settledWithin<T>(work: Promise<T>, withinMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, withinMs), undefined);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
