import { AntirioError } from '@antirio/kernel';
import { TarScanner, type TarEntry } from './tar.ts';

/** An entry of a tar with its content. */
export interface TarItem {
  readonly entry: TarEntry;
  /** To be read before the next entry is asked for; what is left unread is passed over. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar as it comes, in one pass and in the memory of the source's pieces.
 * @throws AntirioError invalidInput when it is malformed or stops inside of an entry; what the source throws.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarItem> {
  const pieces = new Pieces(source);
  try {
    for (let entry = await pieces.entry(); entry !== undefined; entry = await pieces.entry()) {
      const content = pieces.content(entry);
      yield { entry, content };
      // Waits for a reader that has asked for more than it took
      await content.return(undefined);
      await pieces.passOver(entry);
    }
  } finally {
    await pieces.close();
  }
}

class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #found: TarEntry[] = [];
  readonly #scanner = new TarScanner((entry) => this.#found.push(entry));
  #piece = new Uint8Array();
  /** Where the piece stands in the tar. */
  #start = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async entry(): Promise<TarEntry | undefined> {
    while (this.#found.length === 0)
      if (this.#scanner.ended || !(await this.#next())) {
        this.#scanner.finish();
        return undefined;
      }
    return this.#found.shift();
  }

  async *content({ dataOffset, size, name }: TarEntry): AsyncGenerator<Uint8Array> {
    for (let at = dataOffset; at < dataOffset + size;) {
      while (at >= this.#end)
        if (!(await this.#next()))
          throw new AntirioError('invalidInput', `the archive ends inside of ${JSON.stringify(name)}`);
      const part = this.#piece.subarray(at - this.#start, dataOffset + size - this.#start);
      at += part.length;
      yield part;
    }
  }

  async passOver({ dataOffset, size }: TarEntry): Promise<void> {
    while (this.#end < dataOffset + size && (await this.#next()));
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  get #end(): number {
    return this.#start + this.#piece.length;
  }

  async #next(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#start = this.#end;
    this.#piece = next.value as Uint8Array<ArrayBuffer>;
    this.#scanner.push(this.#piece);
    return true;
  }
}
