import { open, type FileHandle } from 'node:fs/promises';
import { AntirioError } from '@antirio/kernel';

const PIECE = 1 << 20;

/**
 * A part of an open file, in pieces of 1 MiB in one buffer that is used again and again: a piece is valid until the next
 * one is asked for. @throws AntirioError invalidInput when the file has become shorter.
 */
export async function* fileBytes(
  file: FileHandle,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(PIECE, length));
  for (let done = 0; done < length;) {
    const wanted = Math.min(buffer.length, length - done);
    const { bytesRead } = await file.read(buffer, 0, wanted, offset + done);
    if (bytesRead === 0) throw new AntirioError('invalidInput', 'the file became shorter while it was read');
    done += bytesRead;
    yield buffer.subarray(0, bytesRead);
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
