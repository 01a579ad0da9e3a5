import {
  closeSync,
  copyFileSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  write,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { AntirioError } from '@antirio/kernel';

const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);
const HEADER = 8;

/** Durable records in order, in one file: length, CRC-32, bytes. A torn last write is cut off when the log is opened. */
export interface AppendLog {
  /** Resolves once the record is on the disk. Records that come while a sync is under way share the next one. */
  append(record: Uint8Array): Promise<void>;
  /** Bytes in the file, with those that wait for their sync. */
  readonly size: number;
  /** After a failed write nothing more is written: the log is to be opened again. */
  readonly failed: boolean;
  close(): Promise<void>;
}

export interface AppendLogOptions {
  readonly path: string;
  /** Called for each whole record already there, in order. */
  readonly onRecord: (record: Uint8Array) => void;
  /** Called before more than zeros is cut off: whoever gave numbers to records must not give those of the lost ones again. */
  readonly onCut?: () => void;
  /** Records of more bytes are refused, and taken for garbage when found (default 1 MiB). */
  readonly maxRecordBytes?: number;
  /** Bytes that may wait for their sync before `append` answers `busy` (default 16 MiB). */
  readonly maxPendingBytes?: number;
}

function frame(record: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(HEADER + record.length);
  framed.writeUInt32LE(record.length, 0);
  framed.writeUInt32LE(crc32(record), 4);
  framed.set(record, HEADER);
  return framed;
}

const READ = 1 << 20;

/** Reads whole records from the start; returns where the last whole one ends. */
function recover(fd: number, maxRecordBytes: number, onRecord: (record: Uint8Array) => void): number {
  const size = fstatSync(fd).size;
  let position = 0;
  let window = Buffer.alloc(0);
  let windowStart = 0;
  const at = (offset: number, length: number): Buffer | undefined => {
    if (offset + length > size) return undefined;
    if (offset < windowStart || offset + length > windowStart + window.length) {
      window = Buffer.alloc(Math.min(Math.max(READ, length), size - offset));
      windowStart = offset;
      const got = readSync(fd, window, 0, window.length, offset);
      if (got < window.length) window = window.subarray(0, got);
    }
    const start = offset - windowStart;
    return start + length <= window.length ? window.subarray(start, start + length) : undefined;
  };
  for (;;) {
    const header = at(position, HEADER);
    const length = header?.readUInt32LE(0);
    // zeros, which a file system may leave at the end of a file, would pass for an empty record
    if (header === undefined || length === undefined || length === 0 || length > maxRecordBytes)
      return position;
    const crc = header.readUInt32LE(4);
    const record = at(position + HEADER, length);
    if (record === undefined || crc32(record) !== crc) return position;
    onRecord(new Uint8Array(record));
    position += HEADER + length;
  }
}

/** What is cut off is kept beside the log: a torn write is worth nothing, but damage in the middle may hide more. */
function cutTail(fd: number, { path, onCut }: AppendLogOptions, end: number): void {
  const size = fstatSync(fd).size;
  if (size <= end) return;
  const tail = Buffer.alloc(Math.min(size - end, READ));
  readSync(fd, tail, 0, tail.length, end);
  if (tail.some((byte) => byte !== 0)) {
    onCut?.();
    copyFileSync(path, `${path}.torn`);
  }
  ftruncateSync(fd, end);
}

/** Opens or creates the log, replays it, cuts a torn tail. */
export function openAppendLog(options: AppendLogOptions): AppendLog {
  const maxRecordBytes = options.maxRecordBytes ?? 1 << 20;
  const maxPendingBytes = options.maxPendingBytes ?? 16 << 20;
  mkdirSync(dirname(options.path), { recursive: true });
  const fd = openSync(options.path, 'a+', 0o600);
  let size = recover(fd, maxRecordBytes, options.onRecord);
  cutTail(fd, options, size);

  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  let flushing: Promise<void> | undefined;
  let failed: AntirioError | undefined;

  const writeAll = async (bytes: Buffer): Promise<void> => {
    let done = 0;
    while (done < bytes.length) done += (await writeAsync(fd, bytes, done)).bytesWritten;
  };
  const flush = async (): Promise<void> => {
    while (pending.length > 0) {
      const batch = Buffer.concat(pending);
      const owners = waiting;
      pending = [];
      waiting = [];
      pendingBytes = 0;
      try {
        if (failed !== undefined) throw failed;
        await writeAll(batch);
        await fdatasyncAsync(fd);
        for (const owner of owners) owner.resolve();
      } catch (cause) {
        // After a failed sync the kernel may have dropped the pages: only opening the log again tells what is there.
        failed ??= new AntirioError(
          'storageFull',
          `cannot write ${options.path}`,
          { path: options.path },
          cause,
        );
        for (const owner of owners) owner.reject(failed);
      }
    }
    flushing = undefined;
  };
  return {
    get size() {
      return size;
    },
    get failed() {
      return failed !== undefined;
    },
    append(record) {
      if (failed !== undefined) return Promise.reject(failed);
      if (record.length === 0) return Promise.reject(new AntirioError('invalidInput', 'an empty record'));
      if (record.length > maxRecordBytes)
        return Promise.reject(
          new AntirioError('tooLarge', 'record over the limit', { bytes: record.length }),
        );
      if (pendingBytes + record.length > maxPendingBytes)
        return Promise.reject(new AntirioError('busy', `${options.path} does not keep up`, { pendingBytes }));
      const framed = frame(record);
      pending.push(framed);
      pendingBytes += framed.length;
      size += framed.length;
      const done = new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
      flushing ??= flush();
      return done;
    },
    async close() {
      await flushing;
      closeSync(fd);
    },
  };
}
