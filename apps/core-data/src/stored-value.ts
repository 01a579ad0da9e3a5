import { stringifyJson, type Reading } from '@antirio/edgex-contracts';

/** A value as its column has it: text, unless the number says the same in fewer bytes. */
export type StoredValue = string | number | bigint | Uint8Array | null;

/** Integers written as Go and ECMAScript write them, of up to 18 digits: an int64 gives the same text back. */
const PLAIN_INTEGER = /^(?:0|-?[1-9]\d{0,17})$/;
/** Go's `%e`, in which device services write floats. */
const GO_EXPONENT = /^-?\d\.\d{6}e[+-]\d\d$/;

/** The text of a REAL: only what `%e` gives back unchanged is stored as one. */
function exponentText(value: number): string {
  const text = value.toExponential(6);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function storedText(text: string): string | number | bigint {
  const first = text.charCodeAt(0);
  // '-' or a digit: spares most texts the patterns
  if (first !== 45 && (first < 48 || first > 57)) return text;
  if (text.length <= 18 && PLAIN_INTEGER.test(text)) return BigInt(text);
  if (text.length >= 12 && GO_EXPONENT.test(text)) {
    const value = Number(text);
    if (exponentText(value) === text) return value;
  }
  return text;
}

export function storedValue(reading: Reading): StoredValue {
  switch (reading.kind) {
    case 'simple':
      return storedText(reading.value);
    case 'binary':
      return reading.binaryValue;
    case 'object':
      return stringifyJson(reading.objectValue);
    case 'null':
      return null;
  }
}

/** The text of a simple value, every character as it came in. */
export function simpleText(value: unknown): string {
  return typeof value === 'number' ? exponentText(value) : String(value);
}
