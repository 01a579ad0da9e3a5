/**
 * Cuts a stream into the leaves of a file. The same bytes give the same chunks however they arrive. A chunk is valid until
 * the next one is asked for: its memory is used again.
 */
export type Chunker = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** Chunks of one size, the last one shorter (default 1 MiB, as in the profile `unixfs-v1-2025`). */
export function fixedChunker(size = 1 << 20): Chunker {
  return async function* (source) {
    const chunk = new Uint8Array(size);
    let filled = 0;
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + size - filled);
        at += part.length;
        if (part.length === size) {
          yield part;
          continue;
        }
        chunk.set(part, filled);
        filled += part.length;
        if (filled < size) continue;
        yield chunk;
        filled = 0;
      }
    }
    if (filled > 0) yield chunk.subarray(0, filled);
  };
}
