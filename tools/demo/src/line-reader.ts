import { readSync } from 'node:fs';

const READ_BYTES = 1 << 18;

/** Reads a growing text file: each call gives the whole lines that are new since the last. */
export function lineReader(fd: number): () => string[] {
  const buffer = Buffer.alloc(READ_BYTES);
  let rest = '';
  return () => {
    const lines: string[] = [];
    for (let read = READ_BYTES; read === READ_BYTES;) {
      read = readSync(fd, buffer, 0, READ_BYTES, null);
      const parts = (rest + buffer.toString('latin1', 0, read)).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    }
    return lines;
  };
}
