import { parseBool, parseFloat, parseInteger } from './scalar-text.ts';

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

function isScalar(type: string, text: string): boolean {
  const match = /^(Uint|Int|Float)(\d+)$/.exec(type);
  if (match === null) return type !== 'Bool' || parseBool(text) !== undefined;
  const bits = Number(match[2]);
  const value = match[1] === 'Float' ? parseFloat(text, bits) : parseInteger(text, match[1] === 'Int', bits);
  return typeof value !== 'string';
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
