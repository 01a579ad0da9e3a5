import { AntirioError, concatBytes } from '@antirio/kernel';

export const TAR_BLOCK = 512;
/** Long names and pax records of one entry. */
const MAX_META_BYTES = 1 << 20;

export type TarType = 'file' | 'hardLink' | 'symlink' | 'directory' | 'device' | 'other';

/** One entry of a tar, with what long-name and pax records in front of it say (POSIX pax, GNU tar). */
export interface TarEntry {
  /** As written, so not to be trusted. */
  readonly name: string;
  readonly type: TarType;
  /** Bytes of content. */
  readonly size: number;
  readonly linkName: string;
  /** Where its content begins. */
  readonly dataOffset: number;
}

type Meta = 'longName' | 'longLink' | 'pax' | 'globalPax';

const META: Readonly<Record<string, Meta>> = { L: 'longName', K: 'longLink', x: 'pax', g: 'globalPax' };
const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardLink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'device',
};

const malformed = (why: string): AntirioError => new AntirioError('invalidInput', `malformed tar: ${why}`);

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

function number(field: Uint8Array): number {
  const [first = 0] = field;
  if ((first & 0x80) === 0) {
    const digits = text(field).trim();
    if (!/^[0-7]*$/.test(digits)) throw malformed('a number that is not octal');
    return digits === '' ? 0 : Number.parseInt(digits, 8);
  }
  // GNU: base 256 behind a set first bit
  if (first === 0xff) throw malformed('a negative number');
  let value = first & 0x7f;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return value;
}

interface RawHeader {
  readonly flag: string;
  readonly name: string;
  readonly linkName: string;
  readonly size: number;
}

/** The sum of a header's bytes, its own field counted as spaces. */
export function checksum(block: Uint8Array): number {
  return block.reduce((sum, byte, i) => sum + (i < 148 || i >= 156 ? byte : 0x20), 0);
}

/** Whether bytes begin as a tar does: with a header, or with the zeros that end an empty one. */
export function looksLikeTar(head: Uint8Array): boolean {
  const block = head.subarray(0, TAR_BLOCK);
  if (block.length < TAR_BLOCK) return false;
  try {
    return block.every((byte) => byte === 0) || number(block.subarray(148, 156)) === checksum(block);
  } catch {
    return false;
  }
}

/** Undefined for a block of zeros. @throws AntirioError invalidInput */
function decodeHeader(block: Uint8Array): RawHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  if (number(block.subarray(148, 156)) !== checksum(block))
    throw malformed('a header whose checksum is wrong');
  const size = number(block.subarray(124, 136));
  if (!Number.isSafeInteger(size)) throw malformed('an absurd size');
  const prefix = text(block.subarray(257, 263)) === 'ustar' ? text(block.subarray(345, 500)) : '';
  const name = text(block.subarray(0, 100));
  return {
    flag: String.fromCharCode(block[156] ?? 0),
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: text(block.subarray(157, 257)),
    size,
  };
}

/** Only digits, as all tars write them: others may read something else in ` 1e3` than we do. */
function decimal(digits: string): number | undefined {
  return /^\d{1,16}$/.test(digits) ? Number(digits) : undefined;
}

function decodePax(bytes: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = decimal(text(bytes.subarray(at, space < 0 ? at : space)));
    // Digits, a space, at least one letter, =, a line feed.
    if (length === undefined || length < 5 || at + length > bytes.length || bytes[at + length - 1] !== 0x0a)
      throw malformed('a pax record');
    const record = Buffer.from(bytes.subarray(space + 1, at + length - 1)).toString('utf8');
    const equals = record.indexOf('=');
    if (equals < 0) throw malformed('a pax record');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** Takes the bytes of a tar as they come and tells the entries. Content is passed over, never kept. */
export class TarScanner {
  readonly #onEntry: (entry: TarEntry) => void;
  #offset = 0;
  #skip = 0;
  #parts: Uint8Array[] = [];
  #missing = TAR_BLOCK;
  #collecting: 'header' | Meta = 'header';
  #metaPadding = 0;
  #zeros = 0;
  #longName: string | undefined;
  #longLink: string | undefined;
  #pax = new Map<string, string>();

  constructor(onEntry: (entry: TarEntry) => void) {
    this.#onEntry = onEntry;
  }

  /** Two blocks of zeros were read: what comes behind them is no content. */
  get ended(): boolean {
    return this.#zeros >= 2;
  }

  /** How many of the next bytes are of no interest: a reader of a file may jump over them and tell by `jump`. */
  get skippable(): number {
    return this.#skip;
  }

  jump(bytes: number): void {
    this.#offset += bytes;
    this.#skip -= bytes;
  }

  /** @throws AntirioError invalidInput | tooLarge */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.ended) {
      const part = bytes.subarray(at, at + (this.#skip > 0 ? this.#skip : this.#missing));
      at += part.length;
      if (this.#skip > 0) {
        this.jump(part.length);
        continue;
      }
      this.#offset += part.length;
      this.#missing -= part.length;
      // What is not whole yet is copied: the caller may use its memory again.
      this.#parts.push(this.#missing === 0 ? part : part.slice());
      if (this.#missing === 0) this.#collected();
    }
  }

  /** @throws AntirioError invalidInput when the tar stops inside of an entry. */
  finish(): void {
    const inside = this.#skip > 0 || this.#parts.length > 0 || this.#collecting !== 'header';
    if (!this.ended && inside) throw malformed('it ends inside of an entry');
  }

  #collected(): void {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : concatBytes(...this.#parts);
    const kind = this.#collecting;
    this.#parts = [];
    this.#collecting = 'header';
    this.#missing = TAR_BLOCK;
    if (kind === 'header') this.#header(bytes);
    else this.#meta(kind, bytes);
  }

  #header(block: Uint8Array): void {
    const header = decodeHeader(block);
    if (header === undefined) {
      this.#zeros++;
      return;
    }
    this.#zeros = 0;
    const meta = META[header.flag];
    if (meta === undefined) {
      this.#entry(header);
      return;
    }
    if (header.size > MAX_META_BYTES)
      throw new AntirioError('tooLarge', 'a tar entry with an absurdly long name');
    this.#metaPadding = padding(header.size);
    this.#collecting = meta;
    this.#missing = header.size;
    if (header.size === 0) this.#collected();
  }

  #meta(kind: Meta, bytes: Uint8Array): void {
    this.#skip = this.#metaPadding;
    if (kind === 'longName') this.#longName = text(bytes);
    else if (kind === 'longLink') this.#longLink = text(bytes);
    else if (kind === 'pax') this.#pax = decodePax(bytes);
    else refuseGlobal(decodePax(bytes));
  }

  #entry(header: RawHeader): void {
    if (header.flag === 'S' || [...this.#pax.keys()].some((key) => key.startsWith('GNU.sparse')))
      throw new AntirioError('invalidInput', `sparse files are not supported: ${header.name}`);
    const type = TYPES[header.flag] ?? 'other';
    const size = this.#contentSize(type, header.size);
    const name = this.#pax.get('path') ?? this.#longName ?? header.name;
    const linkName = this.#pax.get('linkpath') ?? this.#longLink ?? header.linkName;
    this.#longName = this.#longLink = undefined;
    this.#pax = new Map();
    this.#onEntry({ name, type, size, linkName, dataOffset: this.#offset });
    this.#skip += size + padding(size);
  }

  /** Only files and what is unknown have content, whatever the header of a link or a device says. */
  #contentSize(type: TarType, stated: number): number {
    if (type !== 'file' && type !== 'other') return 0;
    const said = this.#pax.get('size');
    const size = said === undefined ? stated : decimal(said);
    if (size === undefined || !Number.isSafeInteger(size)) throw malformed('an absurd size');
    return size;
  }
}

/** Records for all entries that follow: what some engines obey and others ignore would be another image to each. */
function refuseGlobal(records: ReadonlyMap<string, string>): void {
  const key = [...records.keys()].find((each) => /^(?:path|linkpath|size|GNU\.sparse)/.test(each));
  if (key !== undefined)
    throw new AntirioError('invalidInput', `a global pax record ${key} is not supported`, { key });
}

/** Bytes of zeros behind content of this size. */
export function padding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/**
 * The path of an entry below the root of its archive: without `.`, doubled or leading slashes.
 * @throws AntirioError invalidInput for one that leaves the root or holds a zero byte.
 */
export function entryPath(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0'))
    throw new AntirioError('invalidInput', `an entry outside of its archive: ${JSON.stringify(name)}`);
  return parts.join('/');
}
