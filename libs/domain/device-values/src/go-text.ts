import { fromUtf8 } from '@antirio/kernel';
import type { ValueType } from '@antirio/edgex-contracts';
import type { CommandValue } from './command-value.ts';
import { isArrayType, type FloatType } from './value-types.ts';

/** The shortest decimal that stands for a float: `digits` with a point after the first, times ten to the `exponent`. */
interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

/** So many always do. */
const SINGLE_PLACES = 8;

function decimalOf(exponential: string): Decimal {
  const [mantissa = '', exponent = ''] = exponential.split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

const numberOf = ({ digits, exponent }: Decimal): number =>
  Number(`${digits}e${exponent - digits.length + 1}`);

/** The next decimal of as many digits. */
function above({ digits, exponent }: Decimal): Decimal {
  const next = String(Number(digits) + 1);
  const carried = next.length > digits.length ? 1 : 0;
  return { digits: next.slice(0, digits.length), exponent: exponent + carried };
}

const MAX_PLACES = 100;

const isSingle = (text: string, value: number): boolean => Math.fround(Number(text)) === value;

/** The decimal nearest to a positive number; of two equally near the even one, as in Go, where JavaScript has the larger one. */
function nearest(value: number, places: number): Decimal {
  const larger = decimalOf(value.toExponential(places));
  const isOdd = Number(larger.digits.at(-1)) % 2 === 1;
  if (!isOdd || !value.toExponential(places + 1).includes('5e')) return larger;
  const beyond = decimalOf(value.toExponential(MAX_PLACES)).digits.slice(places + 1);
  return /^50*$/.test(beyond) ? { ...larger, digits: String(Number(larger.digits) - 1) } : larger;
}

/** Of a positive number: a decimal of more places is never further away. */
function shortestSingle(value: number): Decimal {
  let [least, most] = [0, SINGLE_PLACES];
  while (least < most) {
    const places = (least + most) >> 1;
    if (isSingle(value.toExponential(places), value)) most = places;
    else least = places + 1;
  }
  // below a power of two the floats are closer together than above it: the nearest decimal may be past half the way, the next one not
  const shorter = least === 0 ? undefined : above(decimalOf(value.toExponential(least - 1)));
  return shorter !== undefined && Math.fround(numberOf(shorter)) === value ? shorter : nearest(value, least);
}

function shortest(value: number, type: FloatType): Decimal {
  const { digits, exponent } = type === 'Float32' ? shortestSingle(value) : decimalOf(value.toExponential());
  return { digits: digits.replace(/(?<=.)0+$/, ''), exponent };
}

const pointed = (digits: string): string => (digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits);

function exponentText(exponent: number): string {
  return `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

function scientific({ digits, exponent }: Decimal): string {
  return pointed(digits) + exponentText(exponent);
}

function positional({ digits, exponent }: Decimal): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (exponent >= digits.length - 1) return digits + '0'.repeat(exponent - digits.length + 1);
  return `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return undefined;
}

const signOf = (value: number): string => (value < 0 || Object.is(value, -0) ? '-' : '');

/** A float as EdgeX's readings have it: the shortest text with an exponent (Go's `strconv.FormatFloat(v, 'e', -1, bits)`). */
export function floatText(value: number, type: FloatType): string {
  return special(value) ?? signOf(value) + scientific(shortest(Math.abs(value), type));
}

const LEAST_POSITIONAL = -4;
const FIRST_SCIENTIFIC = 6;

/** A float as Go prints it (`%v`): with an exponent where it is small or large. */
export function plainFloat(value: number, type: FloatType): string {
  const text = special(value);
  if (text !== undefined) return text;
  const decimal = shortest(Math.abs(value), type);
  const isPositional = decimal.exponent >= LEAST_POSITIONAL && decimal.exponent < FIRST_SCIENTIFIC;
  return signOf(value) + (isPositional ? positional(decimal) : scientific(decimal));
}

const SHOWN_BYTES = 20;
/** Deeper objects are cut: their text is compared and shown, nothing else. */
const SHOWN_LEVELS = 64;

function objectText(value: object, levels: number): string {
  if (levels === 0) return '...';
  if (ArrayBuffer.isView(value)) return listText(Array.from(value as Uint8Array), levels);
  if (Array.isArray(value)) return listText(value as unknown[], levels);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, child]) => `${key}:${anyText(child, levels - 1)}`).join(' ')}]`;
}

function listText(items: readonly unknown[], levels: number): string {
  return `[${items.map((item) => anyText(item, levels - 1)).join(' ')}]`;
}

function anyText(value: unknown, levels: number): string {
  switch (typeof value) {
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : plainFloat(value, 'Float64');
    case 'string':
      return value;
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? '<nil>' : objectText(value, levels);
    default:
      return '<nil>';
  }
}

/** A JSON value as Go prints it (`%v`), but for integers, which keep their digits where Go has made floats of them. */
export function plainJson(value: unknown): string {
  return anyText(value, SHOWN_LEVELS);
}

function floatTypeOf(type: ValueType): FloatType | undefined {
  if (type.startsWith('Float32')) return 'Float32';
  return type.startsWith('Float64') ? 'Float64' : undefined;
}

type Print = (value: number, type: FloatType) => string;

/** Undefined for what is neither a float nor an array of them. */
function floatsText({ valueType, value }: CommandValue, print: Print, between: string): string | undefined {
  const type = floatTypeOf(valueType);
  if (type === undefined) return undefined;
  if (typeof value === 'number') return print(value, type);
  return `[${(value as readonly number[]).map((item) => print(item, type)).join(between)}]`;
}

/** A command value as Go prints it, which is what assertions and mappings compare. */
export function plainText(given: CommandValue): string {
  const { valueType, value } = given;
  if (value === null) return '<nil>';
  if (valueType === 'Binary') return `Binary: [${fromUtf8(value.subarray(0, SHOWN_BYTES))}...]`;
  return floatsText(given, plainFloat, ' ') ?? plainJson(value);
}

/** A command value as the value of a simple reading has it. */
export function readingText(given: CommandValue): string {
  const text = floatsText(given, floatText, ', ');
  if (text !== undefined) return text;
  // EdgeX puts the comma at every space, also within the texts of an array
  return isArrayType(given.valueType) ? plainText(given).replaceAll(' ', ', ') : plainText(given);
}
