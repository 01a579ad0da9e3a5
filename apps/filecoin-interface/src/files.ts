import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { wholeFile } from '@antirio/content-store';
import { AntirioError, isAntirioError, type Clock } from '@antirio/kernel';
import type { Progress, Teller } from './progress.ts';
import { fileName } from './shapes.ts';

export interface FileView {
  readonly fileName: string;
  readonly size: number;
  /** Milliseconds since the Unix epoch. */
  readonly modifiedAt: number;
}

/** A file of which the beginning is here. */
export interface UploadView {
  readonly fileName: string;
  readonly bytes: number;
}

export interface WholeUpload extends FileView {
  /** Hex. */
  readonly sha256: string;
}

/** A piece of a file that comes; the only one, or one after the other from the beginning on. */
export interface Piece {
  /** Where it begins. */
  readonly from: number;
  /** Where it ends, the byte after it; undefined where nobody knows before it is over. */
  readonly to: number | undefined;
  /** Bytes of the whole file; undefined where it ends with this piece. */
  readonly total: number | undefined;
  /** SHA-256 of the whole file, in hex. */
  readonly sha256: string | undefined;
  readonly source: AsyncIterable<Uint8Array>;
}

/** The files of the images folder, as others put them there and take them. */
export interface Files {
  list(): FileView[];
  /** @throws AntirioError notFound */
  get(name: string): FileView;
  /** What is here of a file that is not whole. @throws AntirioError notFound */
  uploaded(name: string): UploadView;
  /**
   * Takes a piece; what it answered for is durable. The file has its name, and its new content, once it is whole. A piece that breaks off
   * leaves what came of it, so that the next one may begin there.
   * @throws AntirioError conflict (a piece that does not begin where the last one ended; another one of this file is under way; the file is needed as it is) |
   * tooLarge | storageFull | busy | invalidInput (a piece or a file that is not what was said) | unavailable (it broke off)
   */
  upload(name: string, piece: Piece): Promise<UploadView | WholeUpload>;
  /** @throws AntirioError notFound | conflict */
  remove(name: string): void;
  /** Removes what was begun and is not gone on with. */
  cleanUp(): void;
}

export interface FilesOptions {
  readonly folder: string;
  /** Of one file. */
  readonly maxBytes: number;
  /** Of the whole folder. */
  readonly quotaBytes: number;
  readonly atOnce: number;
  /** What was begun and not gone on with for so long goes, in milliseconds. */
  readonly keepMs: number;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Why a file may not go; undefined where it may. */
  readonly isNeeded: (name: string) => string | undefined;
}

/** No file of anybody's begins so. */
const UNFINISHED = '.upload-';
const LOOK_AGAIN_AFTER_BYTES = 16 << 20;

export function createFiles(options: FilesOptions): Files {
  return new ImageFolder(options);
}

class ImageFolder implements Files {
  readonly #options: FilesOptions;
  readonly #underWay = new Set<string>();

  constructor(options: FilesOptions) {
    this.#options = options;
  }

  list(): FileView[] {
    const names = readdirSync(this.#options.folder).filter(isOurs).sort();
    return names.flatMap((name) => this.#find(name) ?? []);
  }

  get(name: string): FileView {
    const found = this.#find(name);
    if (found === undefined) throw new AntirioError('notFound', `there is no file ${name}`, { name });
    return found;
  }

  #find(name: string): FileView | undefined {
    const stat = statSync(join(this.#options.folder, name), { throwIfNoEntry: false });
    if (stat?.isFile() !== true) return undefined;
    return { fileName: name, size: stat.size, modifiedAt: Math.round(stat.mtimeMs) };
  }

  uploaded(name: string): UploadView {
    const bytes = sizeOf(this.#unfinished(name));
    if (bytes === undefined) throw new AntirioError('notFound', `nothing of a file ${name} waits here`);
    return { fileName: name, bytes };
  }

  async upload(name: string, piece: Piece): Promise<UploadView | WholeUpload> {
    const { atOnce, progress } = this.#options;
    if (this.#underWay.has(name)) throw new AntirioError('conflict', `${name} is being uploaded already`);
    this.#requireUnneeded(name);
    if (this.#underWay.size >= atOnce) throw new AntirioError('busy', `over ${atOnce} uploads at once`);
    this.#requirePlace(name, piece);
    this.#underWay.add(name);
    try {
      return await progress.track('upload', { fileName: name }, (tell) => this.#take(name, piece, tell));
    } finally {
      this.#underWay.delete(name);
    }
  }

  remove(name: string): void {
    if (this.#underWay.has(name)) throw new AntirioError('conflict', `${name} is being uploaded`);
    this.#requireUnneeded(name);
    const unfinished = this.#unfinished(name);
    if (sizeOf(unfinished) === undefined) this.get(name);
    rmSync(unfinished, { force: true });
    rmSync(join(this.#options.folder, name), { force: true });
  }

  #requireUnneeded(name: string): void {
    const why = this.#options.isNeeded(name);
    if (why !== undefined) throw new AntirioError('conflict', why);
  }

  cleanUp(): void {
    const { folder, keepMs, clock } = this.#options;
    for (const entry of readdirSync(folder)) {
      const name = entry.slice(UNFINISHED.length);
      if (!entry.startsWith(UNFINISHED) || this.#underWay.has(name)) continue;
      const path = join(folder, entry);
      const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
      if (since < clock.now() - keepMs) rmSync(path, { force: true });
    }
  }

  #unfinished(name: string): string {
    return join(this.#options.folder, UNFINISHED + name);
  }

  #requirePlace(name: string, { from, to, total }: Piece): void {
    const { maxBytes } = this.#options;
    const end = total ?? to;
    if (end !== undefined && end > maxBytes)
      throw new AntirioError('tooLarge', `a file of over ${maxBytes} bytes`, { limit: maxBytes });
    const here = sizeOf(this.#unfinished(name)) ?? 0;
    if (from !== 0 && from !== here)
      throw new AntirioError('conflict', `${name} has ${here} bytes by now: go on from there`, {
        bytes: here,
      });
    if (end !== undefined) this.#requireRoom(name, end - from);
  }

  /** @throws AntirioError storageFull where so many more bytes are over the quota; what is begun anew does not count. */
  #requireRoom(name: string, more: number, isBegun = false): void {
    const { folder, quotaBytes } = this.#options;
    const own = UNFINISHED + name;
    let used = 0;
    for (const entry of readdirSync(folder)) {
      if (entry !== own || isBegun) used += sizeOf(join(folder, entry)) ?? 0;
    }
    if (used + more > quotaBytes)
      throw new AntirioError('storageFull', `the images folder would hold over ${quotaBytes} bytes`, {
        quotaBytes,
      });
  }

  async #take(name: string, piece: Piece, tell: Teller): Promise<UploadView | WholeUpload> {
    const path = this.#unfinished(name);
    const file = await open(path, piece.from === 0 ? 'w+' : 'r+', 0o600);
    let bytes: number;
    try {
      bytes = await this.#append(name, file, piece, tell);
      await orFull(() => file.sync());
    } catch (error) {
      // What broke off can be gone on with; what was refused is as if it had not come.
      if (!isAntirioError(error, 'unavailable')) await file.truncate(piece.from);
      if (sizeOf(path) === 0) rmSync(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    return bytes === (piece.total ?? bytes) ? this.#finish(name, piece.sha256) : { fileName: name, bytes };
  }

  /** Gives where the piece ended. */
  async #append(name: string, file: FileHandle, piece: Piece, tell: Teller): Promise<number> {
    const { maxBytes } = this.#options;
    let at = piece.from;
    let lookAt = at + LOOK_AGAIN_AFTER_BYTES;
    for await (const bytes of piece.source) {
      if (at + bytes.length > (piece.to ?? maxBytes)) {
        throw piece.to === undefined
          ? new AntirioError('tooLarge', `a file of over ${maxBytes} bytes`, { limit: maxBytes })
          : new AntirioError('invalidInput', 'more bytes came than were said');
      }
      if (at + bytes.length > lookAt || piece.to === undefined) {
        this.#requireRoom(name, bytes.length, true);
        lookAt = at + LOOK_AGAIN_AFTER_BYTES;
      }
      await writeAll(file, bytes, at);
      at += bytes.length;
      tell.seen({ bytes: at, totalBytes: piece.total ?? piece.to });
    }
    if (piece.to !== undefined && at < piece.to)
      throw new AntirioError(
        'invalidInput',
        `${piece.to - piece.from} bytes were said, ${at - piece.from} came`,
      );
    return at;
  }

  async #finish(name: string, expected: string | undefined): Promise<WholeUpload> {
    const path = this.#unfinished(name);
    const hash = createHash('sha256');
    for await (const bytes of wholeFile(path)) hash.update(bytes);
    const sha256 = hash.digest('hex');
    if (expected !== undefined && expected !== sha256) {
      rmSync(path, { force: true });
      throw new AntirioError('invalidInput', `what came has the SHA-256 ${sha256}, not ${expected}`);
    }
    this.#requireUnneeded(name);
    const { folder } = this.#options;
    await orFull(() => rename(path, join(folder, name)));
    const opened = await open(folder, 'r');
    await opened.sync().finally(() => opened.close());
    return { ...this.get(name), sha256 };
  }
}

const isOurs = (name: string): boolean => fileName.safeParse(name).success && !name.endsWith('.part');

function sizeOf(path: string): number | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : undefined;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await orFull(() =>
      file.write(bytes, done, bytes.length - done, position + done),
    );
    done += bytesWritten;
  }
}

async function orFull<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new AntirioError('storageFull', 'cannot write to the images folder', {}, cause);
  }
}
