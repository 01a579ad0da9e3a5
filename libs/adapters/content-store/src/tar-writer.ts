import { AntirioError } from '@antirio/kernel';
import { checksum, padding, TAR_BLOCK } from './tar.ts';

export interface TarFile {
  readonly name: string;
  readonly type: 'file' | 'directory';
  /** Permission bits. */
  readonly mode: number;
  /** Bytes of content; 0 for a directory. */
  readonly size: number;
  /** When it was changed, in seconds since 1970 (default 0). */
  readonly mtime?: number;
}

/** What a header's eleven octal digits can say. */
const MAX_SIZE = 8 ** 11 - 1;

/** A ustar header (POSIX.1-1988) of a file of root's. @throws AntirioError invalidInput | tooLarge */
export function tarHeader(file: TarFile): Uint8Array {
  if (file.size > MAX_SIZE)
    throw new AntirioError('tooLarge', `${file.name}: a tar entry of ${file.size} bytes`);
  const [prefix, name] = splitName(file.type === 'directory' ? `${file.name}/` : file.name);
  const header = Buffer.alloc(TAR_BLOCK);
  const octal = (value: number, at: number, digits: number): void => {
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  };
  header.write(name, 0, 'utf8');
  octal(file.mode & 0o7777, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(file.size, 124, 11);
  octal(file.mtime ?? 0, 136, 11);
  header.write(file.type === 'directory' ? '5' : '0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(prefix, 345, 'utf8');
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function splitName(path: string): [prefix: string, name: string] {
  const length = (text: string): number => Buffer.byteLength(text);
  if (length(path) <= 100) return ['', path];
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (length(prefix) <= 155 && length(name) <= 100 && name !== '') return [prefix, name];
  }
  throw new AntirioError('invalidInput', `a path too long for a tar: ${path.slice(0, 60)}...`);
}

/** One entry: its header, its content, zeros up to the next block. */
export async function* tarEntry(
  file: TarFile,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield tarHeader(file);
  let size = 0;
  for await (const bytes of content) {
    size += bytes.length;
    yield bytes;
  }
  if (size !== file.size)
    throw new AntirioError('corrupt', `${file.name} has ${size} bytes, not ${file.size}`);
  yield new Uint8Array(padding(size));
}

/** What ends a tar: two blocks of zeros. */
export const TAR_END = new Uint8Array(2 * TAR_BLOCK);
