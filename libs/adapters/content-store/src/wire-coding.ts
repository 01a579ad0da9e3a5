import { promisify } from 'node:util';
import { constants, createZstdDecompress, zstdDecompress, type ZstdDecompress } from 'node:zlib';
import { AntirioError } from '@antirio/kernel';

/** What a client offers: content is compressed on the wire only, so that CIDs stay those of the plain content. */
export const ACCEPT_ENCODING = 'zstd';

/** No window over 8 MiB, whatever a frame wants (RFC 9659). */
const PARAMS = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

/** Of a stream's output at once: small ones cost more than what is in them. */
const CHUNK = 256 << 10;

const coded = (encoding: string | string[] | undefined): boolean => {
  const name = String(encoding ?? 'identity')
    .trim()
    .toLowerCase();
  if (name === 'zstd' || name === 'identity' || name === '') return name === 'zstd';
  throw new AntirioError('forbidden', `an answer in the coding ${name}, which nobody asked for`);
};

/** A body as it was before it was compressed. @throws AntirioError tooLarge | corrupt | forbidden */
export async function decodeBody(
  body: Uint8Array,
  encoding: string | string[] | undefined,
  maxBytes: number,
): Promise<Uint8Array> {
  if (!coded(encoding)) return body;
  try {
    return await promisify(zstdDecompress)(body, { ...PARAMS, maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new AntirioError('tooLarge', `an answer that unpacks to over ${maxBytes} bytes`, {}, cause);
    throw new AntirioError('corrupt', 'an answer that does not unpack', {}, cause);
  }
}

/** The same of a stream, whose pieces are valid until the next one is asked for; whoever reads bounds it. @throws AntirioError corrupt | forbidden, and what the stream throws */
export function decodeStream(
  body: AsyncIterable<Uint8Array>,
  encoding: string | string[] | undefined,
): AsyncIterable<Uint8Array> {
  if (!coded(encoding)) return body;
  return unpacked(body);
}

async function* unpacked(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = createZstdDecompress({ ...PARAMS, chunkSize: CHUNK });
  feed(decoder, body).catch((cause: unknown) => decoder.destroy(cause as Error));
  try {
    for await (const bytes of decoder) yield bytes as Uint8Array;
  } catch (cause) {
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('corrupt', 'an answer that does not unpack', {}, cause);
  }
}

/** A piece is asked for when the one before has been read: until then its memory is in use. */
async function feed(decoder: ZstdDecompress, body: AsyncIterable<Uint8Array>): Promise<void> {
  const write = promisify((piece: Uint8Array, done: (error?: Error | null) => void) => {
    decoder.write(piece, done);
  });
  for await (const piece of body) await write(piece);
  decoder.end();
}
