import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { AntirioError } from '@antirio/kernel';

const HEADER = 8;

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AntirioError('unavailable', `cannot read ${path}`, { path }, cause);
  }
}

function read(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
}

/** Where the first record stands that is not whole, and how long it says it is; undefined when all are. */
function firstBroken(
  fd: number,
  size: number,
  maxRecordBytes: number,
): { at: number; end: number } | undefined {
  let position = 0;
  while (position < size) {
    const header = read(fd, position, HEADER);
    if (header.length < HEADER) return { at: position, end: size };
    const length = header.readUInt32LE(0);
    const end = position + HEADER + length;
    if (length > maxRecordBytes) return { at: position, end: position };
    if (end > size || crc32(read(fd, position + HEADER, length)) !== header.readUInt32LE(4))
      return { at: position, end: Math.min(end, size) };
    position = end;
  }
  return undefined;
}

/**
 * A crash can only tear the very last record of a log that is written one record at a time. Anything else that is broken is
 * damage: opening the log would cut off what stands behind it, which was committed.
 *
 * @throws AntirioError corrupt
 */
export function refuseDamagedLog(path: string, maxRecordBytes: number): void {
  const fd = openIfThere(path);
  if (fd === undefined) return;
  try {
    const { size } = fstatSync(fd);
    const broken = firstBroken(fd, size, maxRecordBytes);
    if (broken !== undefined && broken.end < size)
      throw new AntirioError('corrupt', `${path} is damaged at byte ${broken.at}, before its end`, {
        path,
        at: broken.at,
      });
  } finally {
    closeSync(fd);
  }
}
