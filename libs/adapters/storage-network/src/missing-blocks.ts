import type { Block, CID } from '@antirio/content-store';
import { AntirioError } from '@antirio/kernel';
import type { PutWatch } from './storage-network.ts';

/** Blocks asked about at once, which is also how many are held. */
const WINDOW = 8;
/** After as many that are not there, one after the other, only some are still asked about, until one is there. */
const COLD_AFTER = 64;
const ASK_EVERY = 16;

/**
 * Of the blocks of a DAG those that somebody does not have. To ask about each costs a round trip, to send it costs its bytes: of an image that
 * has changed a little nearly all are there, of a new one none. So it is asked as long as that finds something.
 */
export async function* missingBlocks(
  blocks: AsyncIterable<Block>,
  has: (cid: CID) => Promise<boolean>,
  { signal, onProgress }: PutWatch,
): AsyncGenerator<Block> {
  const asked: { block: Block; there: Promise<boolean> | undefined }[] = [];
  let bytes = 0;
  let misses = 0;
  let count = 0;
  const settle = async (): Promise<Block | undefined> => {
    const next = asked.shift();
    if (next === undefined) return undefined;
    const there = await next.there;
    if (there !== undefined) misses = there ? 0 : misses + 1;
    if (signal?.aborted === true) throw new AntirioError('timeout', 'it was broken off');
    bytes += next.block.bytes.length;
    onProgress?.(bytes);
    return there === true ? undefined : next.block;
  };
  for await (const block of blocks) {
    const there = misses < COLD_AFTER || ++count % ASK_EVERY === 0 ? has(block.cid) : undefined;
    // It is awaited later, or not at all where all of it is broken off.
    there?.catch(() => undefined);
    asked.push({ block, there });
    if (asked.length < WINDOW) continue;
    const missing = await settle();
    if (missing !== undefined) yield missing;
  }
  while (asked.length > 0) {
    const missing = await settle();
    if (missing !== undefined) yield missing;
  }
}
