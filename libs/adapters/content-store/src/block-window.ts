import type { Block, BlockSink } from './block.ts';

/** Bytes that may be on their way: enough that reading, hashing and writing do not wait for each other. */
const WINDOW_BYTES = 8 << 20;
/** Memory for blocks is asked for in whole pages, so that blocks of nearly one size share it. */
const PAGE = 4096;

/**
 * Blocks on their way into a sink, of 8 MiB together at most and in memory that is used again: while they are written the
 * next ones are made. They reach the sink in their order. Of one caller, which waits for each call before the next one.
 */
export class BlockWindow {
  readonly #sink: BlockSink;
  readonly #free: Uint8Array[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #bytes = 0;
  #onArrival: (() => void) | undefined;
  #failure: { readonly cause: unknown } | undefined;

  constructor(sink: BlockSink) {
    this.#sink = sink;
  }

  /** Memory of at least so many bytes for one block; waits until there is some. @throws what an earlier block failed of */
  async take(length: number): Promise<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.cause;
      const memory = this.#taken(length) ?? this.#made(Math.ceil(length / PAGE) * PAGE);
      if (memory !== undefined) return memory;
      await new Promise<void>((resolve) => (this.#onArrival = resolve));
    }
  }

  #taken(length: number): Uint8Array | undefined {
    const found = this.#free.findIndex((memory) => memory.length >= length);
    return found < 0 ? undefined : this.#free.splice(found, 1)[0];
  }

  /** In place of memory that is too small for it; undefined where there is no room. */
  #made(size: number): Uint8Array | undefined {
    while (this.#bytes + size > WINDOW_BYTES && this.#free.length > 0)
      this.#bytes -= this.#free.pop()?.length ?? 0;
    if (this.#bytes + size > WINDOW_BYTES && this.#underWay.size > 0) return undefined;
    this.#bytes += size;
    return new Uint8Array(size);
  }

  /** Sends a block without waiting for it; the memory that was taken for it may be used again when it has arrived. */
  send(block: Block, memory?: Uint8Array): void {
    if (memory === undefined) this.#bytes += block.bytes.length;
    const sent = this.#sink
      .put(block)
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => {
        this.#underWay.delete(sent);
        if (memory === undefined) this.#bytes -= block.bytes.length;
        else this.#free.push(memory);
        this.#onArrival?.();
      });
    this.#underWay.add(sent);
  }

  /** Waits until nothing is under way, whatever became of it. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Waits until all has arrived. @throws what a block failed of */
  async arrived(): Promise<void> {
    await this.settled();
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}
