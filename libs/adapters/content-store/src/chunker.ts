/** Cuts a stream into the leaves of a file. The same bytes give the same chunks however they arrive. */
export type Chunker = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** Chunks of one size, the last one shorter (default 1 MiB, as in the profile `unixfs-v1-2025`). */
export function fixedChunker(size = 1 << 20): Chunker {
  return async function* (source) {
    let chunk = new Uint8Array(size);
    let filled = 0;
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + size - filled);
        chunk.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < size) continue;
        yield chunk;
        chunk = new Uint8Array(size);
        filled = 0;
      }
    }
    if (filled > 0) yield chunk.subarray(0, filled);
  };
}
