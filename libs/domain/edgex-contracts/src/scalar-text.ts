const BOOLS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

// No two neighbours in these may take the same characters: foreign texts of any length are tried.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL = /^(?:[+-]?inf(?:inity)?|nan)$/i;
const HEX_FLOAT = /^([+-]?)0[xX](?=\.?[0-9a-fA-F])([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?\d+)$/;
/** An underscore may stand between digits, and behind `0x`. */
const LOOSE_UNDERSCORE = /^_|_$|__|[^0-9a-fA-FxX]_|_[^0-9a-fA-F]/;
const EXPONENT_UNDERSCORE = /[eE]_|_[eE]/;
const HEX_PREFIX = /^[+-]?0[xX]/;

/** Why a text is no number: not written as one, or beyond the range of its type. */
export type NumberFault = 'syntax' | 'range';

/** As Go's `strconv.ParseBool`; undefined for what is no truth value. */
export function parseBool(text: string): boolean | undefined {
  return BOOLS.get(text);
}

/** As Go's `strconv.ParseInt` and `ParseUint` with base 10. */
export function parseInteger(text: string, signed: boolean, bits: number): bigint | NumberFault {
  if (!(signed ? /^[+-]?\d+$/ : /^\d+$/).test(text)) return 'syntax';
  const digits = text.replace(/^[+-]?0*(?=\d)/, '');
  if (digits.length > 20) return 'range';
  const value = text.startsWith('-') ? -BigInt(digits) : BigInt(digits);
  const top = 2n ** BigInt(signed ? bits - 1 : bits);
  return value < top && value >= (signed ? -top : 0n) ? value : 'range';
}

const rounded = (value: number, bits: number): number => (bits === 32 ? Math.fround(value) : value);

const finite = (value: number, bits: number): number | NumberFault => {
  const nearest = rounded(value, bits);
  return Number.isFinite(nearest) ? nearest : 'range';
};

function special(text: string): number {
  if (/^nan$/i.test(text)) return NaN;
  return text.startsWith('-') ? -Infinity : Infinity;
}

/** Past these exponents of 2 the value is 0 or out of range, whatever the digits. */
const FAR_EXPONENT = 100_000;

/** In steps: a power of two below the smallest float would be nothing. */
function scaled(value: number, exponent: number): number {
  let result = value;
  for (let left = exponent; left !== 0 && result !== 0 && Number.isFinite(result);) {
    const step = Math.max(-1000, Math.min(1000, left));
    result *= 2 ** step;
    left -= step;
  }
  return result;
}

function hexFloat([, sign, whole = '', fraction = '', exponentText]: readonly (
  string | undefined
)[]): number {
  const mantissa = BigInt(`0x0${whole}${fraction}`);
  const exponent =
    Math.min(Math.max(Number(exponentText), -FAR_EXPONENT), FAR_EXPONENT) - 4 * fraction.length;
  const value = scaled(Number(mantissa), exponent);
  return sign === '-' ? -value : value;
}

/** The text without its underscores, where they are where Go allows them. */
function withoutUnderscores(text: string): string {
  if (!text.includes('_')) return text;
  const loose = LOOSE_UNDERSCORE.test(text) || (!HEX_PREFIX.test(text) && EXPONENT_UNDERSCORE.test(text));
  return loose ? text : text.replaceAll('_', '');
}

/** As Go's `strconv.ParseFloat`: decimal, hexadecimal (`0x1p-2`), infinities and NaN; rounded to single precision for 32 bits. */
export function parseFloat(given: string, bits: number): number | NumberFault {
  const text = withoutUnderscores(given);
  if (DECIMAL.test(text)) return finite(Number(text), bits);
  if (SPECIAL.test(text)) return special(text);
  const match = HEX_FLOAT.exec(text);
  return match === null ? 'syntax' : finite(hexFloat(match), bits);
}
