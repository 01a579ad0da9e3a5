import canonicalize from 'canonicalize';
import { AntirioError } from './errors.ts';
import { utf8 } from './bytes.ts';

/** RFC 8785: the one text that stands for a JSON value, so that two edges sign the same bytes. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new AntirioError('invalidInput', 'value has no JSON form');
  return text;
}

export function canonicalBytes(value: unknown): Uint8Array {
  return utf8(canonicalJson(value));
}
