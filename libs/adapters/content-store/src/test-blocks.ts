import { createCipheriv, createHash } from 'node:crypto';
import { AntirioError } from '@antirio/kernel';
import { blockKey, type Block, type BlockSink, type BlockSource, type CID } from './block.ts';

/** Takes blocks and keeps none. */
export const nowhere: BlockSink = { put: () => Promise.resolve() };

export interface MemoryBlocks extends BlockSink, BlockSource {
  readonly size: number;
  /** Takes bytes under whatever CID. */
  putBytes(cid: CID, bytes: Uint8Array): Promise<void>;
}

/** A store in memory. */
export function memory(): MemoryBlocks {
  const blocks = new Map<string, Uint8Array>();
  return {
    get size() {
      return blocks.size;
    },
    putBytes: async (cid, bytes) => void blocks.set(blockKey(cid), bytes.slice()),
    put: async (block: Block) => void blocks.set(blockKey(block.cid), block.bytes.slice()),
    has: (cid) => blocks.has(blockKey(cid)),
    get: async (cid) => {
      const bytes = blocks.get(blockKey(cid));
      if (bytes === undefined) throw new AntirioError('notFound', 'not here');
      return bytes;
    },
  };
}

/** The byte stream of Kubo's test vectors: ChaCha20 under the SHA-256 of the seed, zero nonce. */
export async function* seeded(size: number, seed: string): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('chacha20', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  for (let left = size; left > 0; left -= 1 << 20) yield cipher.update(Buffer.alloc(Math.min(left, 1 << 20)));
}

export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}
