import { AntirioError, fromUtf8 } from '@antirio/kernel';

/** ECMAScript's "JSON.parse source text access", which the type library does not know yet. */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const sourceTextJson = JSON as unknown as SourceTextJson;
const INTEGER = /^-?\d+$/;
const LONG_DIGITS = /\d{16}/;

function keepDigits(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context.source === undefined) return value;
  return INTEGER.test(context.source) ? BigInt(context.source) : value;
}

/**
 * Parses JSON so that integers beyond 2^53 keep their digits, as bigint; all other numbers are numbers.
 * @throws AntirioError invalidInput when the text is no JSON.
 */
export function parseJson(text: string): unknown {
  try {
    return LONG_DIGITS.test(text) ? sourceTextJson.parse(text, keepDigits) : JSON.parse(text);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'the body is no JSON', {}, cause);
  }
}

/** @throws AntirioError invalidInput when the bytes are no UTF-8 text of JSON. */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  return parseJson(fromUtf8(bytes));
}

const emitDigits = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? sourceTextJson.rawJSON(value.toString()) : value;

/** JSON text in which a bigint is a plain integer with all its digits. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, emitDigits);
}
