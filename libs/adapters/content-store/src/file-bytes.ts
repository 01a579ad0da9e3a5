import { open, type FileHandle } from 'node:fs/promises';
import { AntirioError } from '@antirio/kernel';

const PIECE = 1 << 20;

/**
 * A part of an open file, in pieces of 1 MiB in two buffers that are used again and again: a piece is valid until the next
 * one is asked for, and meanwhile that is being read. @throws AntirioError invalidInput when the file has become shorter.
 */
export async function* fileBytes(
  file: FileHandle,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const size = Math.min(PIECE, length);
  const buffers = [new Uint8Array(size), new Uint8Array(length > size ? size : 0)] as const;
  let [done, turn]: [number, 0 | 1] = [0, 0];
  const readNext = () => file.read(buffers[turn], 0, Math.min(size, length - done), offset + done);
  let next = length > 0 ? readNext() : undefined;
  try {
    while (next !== undefined) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0)
        throw new AntirioError('invalidInput', 'the file became shorter while it was read');
      done += bytesRead;
      turn = turn === 0 ? 1 : 0;
      next = done < length ? readNext() : undefined;
      // Whoever takes the piece may be long about it: until then nobody waits for this one.
      next?.catch(() => undefined);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await next?.catch(() => undefined);
  }
}

/** A whole file, in the same way. @throws AntirioError notFound */
export async function* wholeFile(path: string): AsyncGenerator<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new AntirioError('notFound', `cannot read ${path}`, { path }, cause);
  }
  try {
    yield* fileBytes(file, 0, (await file.stat()).size);
  } finally {
    await file.close();
  }
}
