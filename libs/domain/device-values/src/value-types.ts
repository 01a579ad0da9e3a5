import type { ValueType } from '@antirio/edgex-contracts';

export type IntegerType = 'Uint8' | 'Uint16' | 'Uint32' | 'Uint64' | 'Int8' | 'Int16' | 'Int32' | 'Int64';
export type FloatType = 'Float32' | 'Float64';
export type NumericType = IntegerType | FloatType;
export type ScalarType = NumericType | 'Bool' | 'String';
export type ArrayType = `${ScalarType}Array`;

/** What JavaScript has for each of EdgeX's value types: integers of 64 bits are bigint, so that they keep every digit. */
export interface ScalarOf {
  Bool: boolean;
  String: string;
  Uint8: number;
  Uint16: number;
  Uint32: number;
  Uint64: bigint;
  Int8: number;
  Int16: number;
  Int32: number;
  Int64: bigint;
  /** Of single precision: `Math.fround` of it is itself. May be NaN or infinite, as in Go. */
  Float32: number;
  Float64: number;
}

export type JsonObject = Readonly<Record<string, unknown>>;

type ArrayOf = { [T in ScalarType as `${T}Array`]: readonly ScalarOf[T][] };

/** What a command value of each type has as its value, besides null. */
export interface ValueOf extends ScalarOf, ArrayOf {
  Binary: Uint8Array;
  /** Anything that JSON can say; Go takes more than objects, too. */
  Object: unknown;
  ObjectArray: readonly unknown[];
}

interface IntegerRange {
  readonly bits: number;
  readonly signed: boolean;
  readonly least: bigint;
  readonly most: bigint;
}

const unsigned = (bits: number): IntegerRange => ({
  bits,
  signed: false,
  least: 0n,
  most: 2n ** BigInt(bits) - 1n,
});
const signed = (bits: number): IntegerRange => ({
  bits,
  signed: true,
  least: -(2n ** BigInt(bits - 1)),
  most: 2n ** BigInt(bits - 1) - 1n,
});

export const integerRanges: Readonly<Record<IntegerType, IntegerRange>> = {
  Uint8: unsigned(8),
  Uint16: unsigned(16),
  Uint32: unsigned(32),
  Uint64: unsigned(64),
  Int8: signed(8),
  Int16: signed(16),
  Int32: signed(32),
  Int64: signed(64),
};

export function isIntegerType(type: ValueType): type is IntegerType {
  return Object.hasOwn(integerRanges, type);
}

export function isFloatType(type: ValueType): type is FloatType {
  return type === 'Float32' || type === 'Float64';
}

export function isNumericType(type: ValueType): type is NumericType {
  return isIntegerType(type) || isFloatType(type);
}

export function isArrayType(type: ValueType): type is ArrayType {
  return type.endsWith('Array') && type !== 'ObjectArray';
}

/** The type of an array's items. */
export function itemType(type: ArrayType): ScalarType {
  return type.slice(0, -'Array'.length) as ScalarType;
}
