import { simpleText } from './stored-value.ts';

export const AGGREGATE_FUNCS = ['MIN', 'MAX', 'AVG', 'SUM', 'COUNT'] as const;
export type AggregateFunc = (typeof AGGREGATE_FUNCS)[number];

/** One of EdgeX's aggregate functions over the values of one value type. */
export interface Accumulator {
  /** A value as it is stored. What is no number (null, NaN, infinite) does not count. */
  add(value: unknown): void;
  /** As JSON text; `""` where there was no number. */
  result(): { readonly valueType: string; readonly value: string };
}

/** A decimal number with all its digits: `digits` times ten to the `exponent`. */
interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

const ZERO: Decimal = { digits: 0n, exponent: 0 };
/** No float64 has so many places. Numbers with more digits, or from farther away, would take time and memory without end. */
const FARTHEST = 400;
const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

function parsed(text: string): Decimal | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  if (Math.abs(Number(exponent)) > FARTHEST) return Number(text) === 0 ? ZERO : undefined;
  const digits = BigInt(whole + fraction);
  return { digits: sign === '-' ? -digits : digits, exponent: Number(exponent) - fraction.length };
}

function decimalOf(value: unknown): Decimal | undefined {
  if (typeof value === 'bigint') return { digits: value, exponent: 0 };
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = simpleText(value);
  return parsed(text.length > FARTHEST ? String(Number(text)) : text);
}

/** Both with one exponent. */
function aligned(a: Decimal, b: Decimal): readonly [bigint, bigint, number] {
  const exponent = Math.min(a.exponent, b.exponent);
  const scaled = (one: Decimal): bigint => one.digits * 10n ** BigInt(one.exponent - exponent);
  return [scaled(a), scaled(b), exponent];
}

function sumOf(a: Decimal, b: Decimal): Decimal {
  const [x, y, exponent] = aligned(a, b);
  return { digits: x + y, exponent };
}

function isLess(a: Decimal, b: Decimal): boolean {
  const [x, y] = aligned(a, b);
  return x < y;
}

const numberOf = ({ digits, exponent }: Decimal): number => Number(`${digits}e${exponent}`);

/** The widest type of its kind, in which EdgeX answers; undefined for what is no number. */
function wideType(valueType: string): 'Int64' | 'Uint64' | 'Float64' | undefined {
  if (/^Int\d+$/.test(valueType)) return 'Int64';
  if (/^Uint\d+$/.test(valueType)) return 'Uint64';
  return /^Float\d+$/.test(valueType) ? 'Float64' : undefined;
}

function valueText(value: Decimal, type: string): string {
  const whole = aligned(value, ZERO)[0];
  return type === 'Float64' ? String(numberOf(value)) : String(whole);
}

export function createAccumulator(func: AggregateFunc, valueType: string): Accumulator {
  const wide = wideType(valueType);
  let count = 0;
  let kept: Decimal | undefined;

  const next = (value: Decimal): Decimal => {
    if (kept === undefined) return value;
    if (func === 'MIN') return isLess(value, kept) ? value : kept;
    if (func === 'MAX') return isLess(kept, value) ? value : kept;
    return func === 'COUNT' ? kept : sumOf(kept, value);
  };
  return {
    add(value) {
      const decimal = wide === undefined ? undefined : decimalOf(value);
      if (decimal === undefined) return;
      count += 1;
      kept = next(decimal);
    },
    result() {
      if (wide === undefined) return { valueType, value: '""' };
      if (func === 'COUNT') return { valueType: 'Uint64', value: String(count) };
      const type = func === 'AVG' ? 'Float64' : wide;
      if (kept === undefined) return { valueType: type, value: '""' };
      return {
        valueType: type,
        value: func === 'AVG' ? String(numberOf(kept) / count) : valueText(kept, type),
      };
    },
  };
}
