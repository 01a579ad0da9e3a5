import type { Block, BlockSink, MadeBlock } from './block.ts';

/** Bytes that may be on their way: enough that reading, hashing and writing do not wait for each other. */
const WINDOW_BYTES = 8 << 20;
/** Memory for blocks is asked for in whole pages, so that blocks of nearly one size share it. */
const PAGE = 4096;

type Memory = Uint8Array<ArrayBuffer>;

/**
 * Blocks on their way into a sink, of 8 MiB together at most and in memory that is used again: while they are hashed and written
 * the next ones are read. They reach the sink in their order. Of one caller, which waits for each call before the next one.
 */
export class BlockWindow {
  readonly #sink: BlockSink;
  readonly #free: Memory[] = [];
  /** Of `#bytes`, blocks that are being made or put. */
  #underWay = 0;
  #bytes = 0;
  /** The last block that was handed over has been made, and those before it. */
  #made: Promise<void> = Promise.resolve();
  #onArrival: (() => void) | undefined;
  #failure: { readonly cause: unknown } | undefined;

  constructor(sink: BlockSink) {
    this.#sink = sink;
  }

  /** Memory of at least so many bytes for one block; waits until there is some. @throws what an earlier block failed of */
  async take(length: number): Promise<Memory> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.cause;
      const memory = this.#taken(length) ?? this.#allocated(Math.ceil(length / PAGE) * PAGE);
      if (memory !== undefined) return memory;
      await this.#arrival();
    }
  }

  /** What came back last: processors still have it in their caches. */
  #taken(length: number): Memory | undefined {
    const found = this.#free.findLastIndex((memory) => memory.length >= length);
    return found < 0 ? undefined : this.#free.splice(found, 1)[0];
  }

  /** In place of memory that is too small for it; undefined where there is no room. */
  #allocated(size: number): Memory | undefined {
    while (this.#bytes + size > WINDOW_BYTES && this.#free.length > 0)
      this.#bytes -= this.#free.pop()?.length ?? 0;
    if (this.#bytes + size > WINDOW_BYTES && this.#underWay > 0) return undefined;
    this.#bytes += size;
    return new Uint8Array(size);
  }

  /**
   * Sends a block that is being made in memory that was taken, when those before it are on their way; `onSent` is told then.
   * Waits for nothing; after a failure nothing more is sent.
   */
  sendWhenMade(making: Promise<MadeBlock>, onSent: (block: Block) => void): void {
    this.#underWay++;
    // Should it fail before its turn comes, nobody is late with hearing of it.
    making.catch(() => undefined);
    this.#made = this.#made
      .then(async () => {
        const { block, memory } = await making;
        if (this.#failure !== undefined) return;
        this.#put(block, () => this.#free.push(memory));
        onSent(block);
      })
      .catch((cause: unknown) => this.#fail(cause))
      .finally(() => this.#arrived());
  }

  /** Sends a block of its own memory. */
  send(block: Block): void {
    this.#bytes += block.bytes.length;
    this.#put(block, () => (this.#bytes -= block.bytes.length));
  }

  /** Waits until nothing is under way, whatever became of it. */
  async settled(): Promise<void> {
    while (this.#underWay > 0) await this.#arrival();
  }

  /** Waits until all that was handed over has been made and sent. @throws what a block failed of */
  async sent(): Promise<void> {
    await this.#made;
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  /** Waits until all has arrived. @throws what a block failed of */
  async arrived(): Promise<void> {
    await this.settled();
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  #put(block: Block, release: () => void): void {
    this.#underWay++;
    this.#sink
      .put(block)
      .catch((cause: unknown) => this.#fail(cause))
      .finally(() => {
        release();
        this.#arrived();
      });
  }

  #fail(cause: unknown): void {
    this.#failure ??= { cause };
  }

  #arrived(): void {
    this.#underWay--;
    this.#onArrival?.();
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => (this.#onArrival = resolve));
  }
}
