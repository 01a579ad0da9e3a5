import { AntirioError } from './errors.ts';

const hexPattern = /^(?:[0-9a-f]{2})*$/i;

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** @throws AntirioError invalidInput when the text is not an even number of hex digits, or not `length` bytes. */
export function fromHex(text: string, length?: number): Uint8Array {
  if (!hexPattern.test(text)) throw new AntirioError('invalidInput', 'not a hexadecimal string');
  const bytes = new Uint8Array(Buffer.from(text, 'hex'));
  if (length !== undefined && bytes.length !== length)
    throw new AntirioError('invalidInput', `expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}={0,2}|[A-Za-z0-9+/]{3}=?)?$/;

/** @throws AntirioError invalidInput: Node's decoder alone would skip what it does not know. */
export function fromBase64(text: string): Uint8Array {
  if (!base64Pattern.test(text)) throw new AntirioError('invalidInput', 'not a base64 string');
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** Its bytes, or none: where one bad item must not spoil those beside it. */
export function bytesOrNone(base64: string): Uint8Array {
  return base64Pattern.test(base64) ? fromBase64(base64) : new Uint8Array();
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function xorBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== b.length) throw new AntirioError('invalidInput', 'xor of different lengths');
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
