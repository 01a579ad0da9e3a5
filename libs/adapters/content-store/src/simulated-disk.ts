import { basename, dirname } from 'node:path';
import type { FileLayer, OpenFile } from './file-layer.ts';

/** What goes wrong with a call: nothing, the disk is full (perhaps in the middle of a write), or it fails. */
export type Fault = 'none' | 'full' | 'half' | 'broken';

/** How a disk goes down: the process is killed and the kernel goes on, or the power fails. */
export type Crash = 'kill' | 'power';

interface Write {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A file as programs see it, and as it would be after a power failure. */
interface SimulatedFile {
  seen: Buffer;
  durable: Buffer;
  /** Since the last sync: each may reach the disk before it, or not. */
  pending: Write[];
  entryIsDurable: boolean;
}

/** As much as a disk writes at once, whole or not at all. */
const SECTOR = 512;

/**
 * A file system in memory that is full, fails or loses power when a test says so. Writes and new names survive a power
 * failure only where they were synced; of the others, any subset does. A sync that fails drops what it should have written.
 */
export class SimulatedDisk implements FileLayer {
  readonly #files = new Map<string, SimulatedFile>();
  readonly #removed = new Map<string, SimulatedFile>();
  readonly #choose: () => boolean;
  #nextFault: (call: string) => Fault = () => 'none';
  calls = 0;
  /** Files that were removed. */
  removals = 0;

  /** `choose` decides, for each sector in doubt, whether it survives a power failure. */
  constructor(choose: () => boolean) {
    this.#choose = choose;
  }

  /** Asked before each call that changes something. */
  faults(next: (call: string) => Fault): void {
    this.#nextFault = next;
  }

  /** From now on nothing that is done to the disk reaches it; gives the faults there were before. */
  replaceFaults(next: (call: string) => Fault): (call: string) => Fault {
    const before = this.#nextFault;
    this.#nextFault = next;
    return before;
  }

  crash(how: Crash): void {
    if (how === 'kill') return;
    for (const [path, file] of this.#removed) if (this.#choose()) this.#files.set(path, file);
    this.#removed.clear();
    for (const [path, file] of this.#files) {
      if (!file.entryIsDurable && !this.#choose()) {
        this.#files.delete(path);
        continue;
      }
      let after = file.durable;
      for (const { position, bytes } of file.pending)
        for (let at = 0; at < bytes.length; at += SECTOR)
          if (this.#choose()) after = written(after, position + at, bytes.subarray(at, at + SECTOR));
      Object.assign(file, { seen: after, durable: after, pending: [], entryIsDurable: true });
    }
  }

  list(folder: string): string[] {
    return [...this.#files.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path));
  }

  open(path: string): Promise<OpenFile> {
    return this.#call('open', () => {
      const empty = Buffer.alloc(0);
      const file = this.#files.get(path) ?? {
        seen: empty,
        durable: empty,
        pending: [],
        entryIsDurable: false,
      };
      this.#files.set(path, file);
      return this.#opened(file);
    });
  }

  remove(path: string): Promise<void> {
    return this.#call('remove', () => {
      const file = this.#files.get(path);
      if (file !== undefined) this.#removed.set(path, file);
      this.removals++;
      this.#files.delete(path);
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.#call('syncFolder', () => {
      for (const [path, file] of this.#files) if (dirname(path) === folder) file.entryIsDurable = true;
      this.#removed.clear();
    });
  }

  #opened(file: SimulatedFile): OpenFile {
    const sync = (): Promise<void> =>
      this.#call('sync', () => void Object.assign(file, { durable: file.seen, pending: [] })).catch(
        (error: unknown) => {
          file.pending = [];
          throw error;
        },
      );
    return {
      read: async (buffer, offset, length, position) => {
        const bytes = file.seen.subarray(position, position + length);
        buffer.set(bytes, offset);
        return { bytesRead: bytes.length };
      },
      writev: async (parts, position) => {
        const bytes = Buffer.concat(parts);
        const take = (part: Uint8Array): { bytesWritten: number } => {
          file.pending.push({ position, bytes: part });
          file.seen = written(file.seen, position, part);
          return { bytesWritten: part.length };
        };
        const fault = this.#fault('write');
        // A full disk takes what there is room for; the next write is refused.
        if (fault === 'half' && bytes.length > 1) return take(bytes.subarray(0, bytes.length >> 1));
        if (fault !== 'none') throw failure(fault);
        return take(bytes);
      },
      truncate: (size) =>
        this.#call('truncate', () => {
          file.seen = Buffer.concat([file.seen.subarray(0, size)], size);
          file.durable = file.durable.subarray(0, size);
          file.pending = file.pending.map(({ position, bytes }) => ({
            position,
            bytes: bytes.subarray(0, Math.max(0, size - position)),
          }));
        }),
      datasync: sync,
      sync,
      size: async () => file.seen.length,
      close: async () => undefined,
    };
  }

  #fault(call: string): Fault {
    this.calls++;
    return this.#nextFault(call);
  }

  async #call<T>(name: string, work: () => T): Promise<T> {
    const fault = this.#fault(name);
    if (fault !== 'none') throw failure(fault);
    return work();
  }
}

function failure(fault: Fault): Error {
  const code = fault === 'broken' ? 'EIO' : 'ENOSPC';
  return Object.assign(new Error(`${code}: simulated`), { code });
}

function written(before: Buffer, position: number, bytes: Uint8Array): Buffer {
  const after = Buffer.alloc(Math.max(before.length, position + bytes.length));
  before.copy(after);
  after.set(bytes, position);
  return after;
}
