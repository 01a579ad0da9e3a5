import type { IncomingMessage } from 'node:http';
import { AntirioError } from '@antirio/kernel';
import {
  CONTENT_TYPE_CBOR,
  parseCbor,
  parseJsonBytes,
  stringifyJson,
  toCbor,
} from '@antirio/edgex-contracts';

/** @throws AntirioError tooLarge | unavailable */
export async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > maxBytes)
        throw new AntirioError('tooLarge', `a body may have ${maxBytes} bytes`, { maxBytes });
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('unavailable', 'the request broke off', {}, cause);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const isCbor = (contentType: string | undefined): boolean =>
  contentType?.toLowerCase().startsWith(CONTENT_TYPE_CBOR) === true;

const isJson = (contentType: string | undefined): boolean =>
  /^application\/([\w.-]+\+)?json\b/i.test(contentType ?? '');

/**
 * A document with names in it, changed and written in the form it had; any other content stays as it is.
 * @throws AntirioError unavailable when it is not of the form that it says.
 */
export function rewriteAnswer(
  bytes: Uint8Array,
  contentType: string | undefined,
  change: (value: unknown) => unknown,
): Uint8Array {
  if (bytes.length === 0) return bytes;
  try {
    if (isCbor(contentType)) return toCbor(change(parseCbor(bytes)));
    return isJson(contentType) ? Buffer.from(stringifyJson(change(parseJsonBytes(bytes)))) : bytes;
  } catch (cause) {
    throw new AntirioError('unavailable', 'the answer is malformed', {}, cause);
  }
}

/** EdgeX takes a body for JSON where the header does not say CBOR. @throws AntirioError invalidInput */
export function rewriteRequest(
  bytes: Uint8Array,
  contentType: string | undefined,
  change: (value: unknown) => unknown,
): { readonly body: Uint8Array; readonly contentType: string } {
  if (isCbor(contentType)) return { body: toCbor(change(parseCbor(bytes))), contentType: CONTENT_TYPE_CBOR };
  const value = bytes.length === 0 ? undefined : parseJsonBytes(bytes);
  return { body: Buffer.from(stringifyJson(change(value))), contentType: 'application/json' };
}
