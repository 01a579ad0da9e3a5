import { AntirioError, fromBase64 } from '@antirio/kernel';
import { parseBool, parseFloat, parseInteger, parseJson, type ValueType } from '@antirio/edgex-contracts';
import { fault } from './fault.ts';
import { plainJson } from './go-text.ts';
import {
  integerRanges,
  isArrayType,
  isFloatType,
  isIntegerType,
  itemType,
  type ArrayType,
  type FloatType,
  type IntegerType,
  type ScalarType,
} from './value-types.ts';

type Parsed = boolean | string | number | bigint;

const SHOWN = 200;

const shown = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text);

function refuse(text: string, type: ValueType, why: string): never {
  throw fault('invalidInput', `failed to convert set parameter ${shown(text)} to ValueType ${type}`, why);
}

const inGo = (how: string, text: string, why: string): string =>
  `strconv.${how}: parsing ${JSON.stringify(shown(text))}: ${why}`;

const FAULTS = { syntax: 'invalid syntax', range: 'value out of range' } as const;

/** `whole` is the setting that the text is of. */
function integer(type: IntegerType, text: string, whole = text, as: ValueType = type): bigint {
  const { bits, signed } = integerRanges[type];
  const value = parseInteger(text, signed, bits);
  if (typeof value === 'bigint') return value;
  return refuse(whole, as, inGo(signed ? 'ParseInt' : 'ParseUint', text, FAULTS[value]));
}

function bool(text: string): boolean {
  return parseBool(text) ?? refuse(text, 'Bool', inGo('ParseBool', text, FAULTS.syntax));
}

const NO_BASE64 = /[^A-Za-z0-9+/\r\n]/;

/** The bytes of base64 with its padding, in which line breaks do not count. */
function bytesOf(text: string): Uint8Array {
  const plain = text.replaceAll(/[\r\n]/g, '');
  try {
    if (plain.length % 4 === 0) return fromBase64(plain);
  } catch (error) {
    if (!(error instanceof AntirioError)) throw error;
  }
  const wrong = text.search(NO_BASE64);
  const at = wrong === -1 ? plain.length - (plain.length % 4) : wrong;
  throw fault('invalidInput', `illegal base64 data at input byte ${at}`);
}

/** EdgeX takes the bytes of a float, too, the most significant first, as base64. */
function floatOfBytes(type: FloatType, text: string): number {
  const bytes = bytesOf(text);
  const size = type === 'Float32' ? 4 : 8;
  if (bytes.length < size) throw fault('invalidInput', 'unexpected EOF');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const value = type === 'Float32' ? view.getFloat32(0) : view.getFloat64(0);
  if (!Number.isNaN(value)) return value;
  throw fault('invalidInput', `fail to parse ${shown(text)} to ${type.toLowerCase()}, unexpected result NaN`);
}

function float(type: FloatType, text: string): number {
  const value = parseFloat(text, type === 'Float32' ? 32 : 64);
  if (typeof value === 'number') return value;
  if (value === 'syntax') return floatOfBytes(type, text);
  throw fault('invalidInput', 'NumError', inGo('ParseFloat', text, FAULTS.range));
}

function scalar(type: ScalarType, text: string): Parsed {
  if (isIntegerType(type)) return integer(type, text);
  if (isFloatType(type)) return float(type, text);
  return type === 'Bool' ? bool(text) : text;
}

function trimmed(text: string, ...characters: readonly string[]): string {
  let [from, to] = [0, text.length];
  while (from < to && characters.includes(text.charAt(from))) from += 1;
  while (to > from && characters.includes(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** EdgeX reads arrays of unsigned integers as a list with or without brackets, all others as JSON. */
function unsignedItems(type: ArrayType, item: IntegerType, text: string): bigint[] {
  return trimmed(text, '[', ']')
    .split(',')
    .map((one) => integer(item, trimmed(one, ' '), text, type));
}

function isItem(item: ScalarType, value: unknown): boolean {
  if (item === 'Bool') return typeof value === 'boolean';
  if (item === 'String') return typeof value === 'string';
  return typeof value === 'number' || typeof value === 'bigint';
}

function jsonKind(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'number';
  return Array.isArray(value) ? 'array' : typeof value;
}

const unmarshalling = (given: string, into: string): string =>
  `json: cannot unmarshal ${given} into Go value of type ${into}`;

function checkedItem(type: ArrayType, item: ScalarType, value: unknown, text: string): unknown {
  const wrong = (given: string): never => refuse(text, type, unmarshalling(given, item.toLowerCase()));
  if (!isItem(item, value)) return wrong(jsonKind(value));
  if (isFloatType(item)) return numberItem(item, Number(value)) ?? wrong(`number ${plainJson(value)}`);
  if (!isIntegerType(item)) return value;
  const digits = plainJson(value);
  const { bits, signed } = integerRanges[item];
  const parsed = parseInteger(digits, signed, bits);
  return typeof parsed === 'bigint' ? parsed : wrong(`number ${digits}`);
}

function numberItem(item: FloatType, value: number): number | undefined {
  const kept = item === 'Float32' ? Math.fround(value) : value;
  return Number.isFinite(kept) ? kept : undefined;
}

function jsonItems(type: ArrayType, text: string, given: unknown): readonly unknown[] {
  const parsed = Array.isArray(given) ? (given as unknown[]) : parsedText(type, text);
  if (!Array.isArray(parsed))
    return refuse(text, type, unmarshalling(jsonKind(parsed), `[]${itemType(type).toLowerCase()}`));
  return (parsed as unknown[]).map((one) => checkedItem(type, itemType(type), one, text));
}

function parsedText(type: ArrayType, text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    return error instanceof AntirioError ? refuse(text, type, error.message) : undefined;
  }
}

function array(type: ArrayType, text: string, given: unknown): readonly unknown[] {
  const item = itemType(type);
  const isUnsigned = isIntegerType(item) && !integerRanges[item].signed;
  return isUnsigned && !Array.isArray(given) ? unsignedItems(type, item, text) : jsonItems(type, text, given);
}

/**
 * The value that a setting of a PUT, a JSON value, stands for; null is a value of every type. Texts are read as the Go SDK does: numbers as
 * Go's strconv, floats also as base64 of their bytes, arrays as a text with JSON in it. Beyond the Go SDK, integers given as JSON numbers
 * keep all their digits, and arrays may be given as they are.
 * @throws AntirioError invalidInput with the Go SDK's words.
 */
export function parsedValue(type: ValueType, setting: unknown): unknown {
  if (setting === null || setting === undefined) return null;
  const text = plainJson(setting);
  if (type !== 'String' && text.trim() === '')
    throw fault('invalidInput', `empty string is invalid for ${type} value type`);
  if (type === 'Object' || type === 'ObjectArray') return setting;
  if (type === 'Binary') throw fault('invalidInput', 'unrecognized value type');
  return isArrayType(type) ? array(type, text, setting) : scalar(type, text);
}
