import canonicalize from 'canonicalize';
import { AntirioError } from './errors.ts';
import { utf8 } from './bytes.ts';

function textOf(value: unknown): string | undefined {
  try {
    return canonicalize(value);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'value has no JSON form', {}, cause);
  }
}

/**
 * RFC 8785: the one text that stands for a JSON value, so that two edges sign the same bytes.
 * @throws AntirioError invalidInput for what has none: see `jsonProblem`, by which the depth that works is the same everywhere.
 */
export function canonicalJson(value: unknown): string {
  const text = textOf(value);
  if (text === undefined) throw new AntirioError('invalidInput', 'value has no JSON form');
  return text;
}

export function canonicalBytes(value: unknown): Uint8Array {
  return utf8(canonicalJson(value));
}
