import type { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { AntirioError } from '@antirio/kernel';

export interface TarItem {
  readonly header: Header;
  /** Where its bytes begin in the tar. */
  readonly offset: number;
  /** May be left unread. */
  readonly body: Readable;
}

const HEADER = 512;

/**
 * Visits each entry of a tar, one after the other; resolves when the source has been read to its end.
 * @throws AntirioError corrupt when it is no tar or is cut off; what the source or the visitor throws.
 */
export function forEachEntry(source: Readable, visit: (item: TarItem) => Promise<void>): Promise<void> {
  const tar = extract();
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(
        error instanceof AntirioError ? error : new AntirioError('corrupt', 'unreadable tar', {}, error),
      );
      source.destroy();
      tar.destroy();
    };
    tar.on('entry', (header, stream, next) => {
      const ended = new Promise<void>((done) => stream.once('end', done));
      stream.on('error', fail);
      // streamx's Readable has what pipelines and iterators use of Node's
      const body = stream as unknown as Readable;
      visit({ header, body, offset: stream.offset + HEADER })
        .then(() => {
          stream.resume();
          return ended;
        })
        .then(() => {
          next();
        }, fail);
    });
    tar.on('error', fail);
    tar.on('finish', resolve);
    source.on('error', fail);
    source.pipe(tar);
  });
}
