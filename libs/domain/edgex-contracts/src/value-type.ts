const SCALARS = [
  'Bool',
  'String',
  'Uint8',
  'Uint16',
  'Uint32',
  'Uint64',
  'Int8',
  'Int16',
  'Int32',
  'Int64',
  'Float32',
  'Float64',
] as const;

/** EdgeX's value types, as `valueType` names them. */
export const valueTypes = [
  ...SCALARS,
  'Binary',
  'Object',
  'ObjectArray',
  ...SCALARS.map((scalar) => `${scalar}Array` as const),
] as const;

export type ValueType = (typeof valueTypes)[number];

const byLowerCase = new Map<string, ValueType>(valueTypes.map((type) => [type.toLowerCase(), type]));

/** The value type in its own spelling, whatever the case; undefined when it is none. */
export function normalizeValueType(text: string): ValueType | undefined {
  return byLowerCase.get(text.toLowerCase());
}

const BOOLS = new Set(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False']);
// No two neighbours in these may take the same characters: foreign texts of any length are tried.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL = /^(?:[+-]?inf(?:inity)?|nan)$/i;
const HEX_FLOAT = /^[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)[pP][+-]?\d+$/;

function isInteger(text: string, signed: boolean, bits: number): boolean {
  if (!(signed ? /^[+-]?\d{1,40}$/ : /^\d{1,40}$/).test(text)) return false;
  const value = BigInt(text.replace(/^\+/, ''));
  const top = 2n ** BigInt(signed ? bits - 1 : bits);
  return value < top && value >= (signed ? -top : 0n);
}

function isFloat(text: string, bits: number): boolean {
  if (SPECIAL.test(text) || HEX_FLOAT.test(text)) return true;
  if (!DECIMAL.test(text)) return false;
  const value = Number(text);
  return Number.isFinite(bits === 32 ? Math.fround(value) : value);
}

function isScalar(type: string, text: string): boolean {
  const match = /^(Uint|Int|Float)(\d+)$/.exec(type);
  if (match === null) return type !== 'Bool' || BOOLS.has(text);
  const bits = Number(match[2]);
  return match[1] === 'Float' ? isFloat(text, bits) : isInteger(text, match[1] === 'Int', bits);
}

/** Whether a simple reading's text is a value of the type, by the rules of Go's strconv, which EdgeX uses. */
export function isValueOf(type: ValueType, text: string): boolean {
  if (type === 'Binary' || type === 'Object' || type === 'ObjectArray') return false;
  if (!type.endsWith('Array')) return isScalar(type, text);
  if (!text.startsWith('[') || !text.endsWith(']') || text.length < 2) return false;
  const scalar = type.slice(0, -'Array'.length);
  const items = text.slice(1, -1).split(',');
  return items.every((item) => isScalar(scalar, item.trim()));
}
