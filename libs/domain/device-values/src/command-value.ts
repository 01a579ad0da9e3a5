import { AntirioError } from '@antirio/kernel';
import { normalizeValueType, type ValueType } from '@antirio/edgex-contracts';
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
  type ValueOf,
} from './value-types.ts';

interface CommandValueFields {
  readonly resourceName: string;
  /** When the device took it, in nanoseconds since the Unix epoch; without it the event's. */
  readonly origin?: bigint | undefined;
  /** Go with the event. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** What was read of a device, or is to be written to it: a value of a resource. Any type may be null, which is a value not known. */
export type CommandValue = {
  [T in ValueType]: CommandValueFields & { readonly valueType: T; readonly value: ValueOf[T] | null };
}[ValueType];

export type CommandValueOf<T extends ValueType> = Extract<CommandValue, { readonly valueType: T }>;

/** EdgeX's limit of a binary value. */
export const MAX_BINARY_BYTES = 16 * 2 ** 20;

const SHOWN = 100;

function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > SHOWN ? `${value.slice(0, SHOWN)}...` : value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      return value instanceof Uint8Array ? `of ${value.length} bytes` : `(${typeof value})`;
  }
}

function refuse(type: ValueType, value: unknown): never {
  throw new AntirioError(
    'invalidInput',
    `failed to create CommandValue -> failed to convert interface value ${shown(value)} to Type ${type}`,
  );
}

function integer(type: IntegerType, value: unknown): number | bigint {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return refuse(type, value);
  const exact = BigInt(value as bigint | number);
  const { bits, least, most } = integerRanges[type];
  if (exact < least || exact > most) return refuse(type, value);
  return bits === 64 ? exact : Number(exact);
}

function float(type: FloatType, value: unknown): number {
  if (typeof value !== 'number') return refuse(type, value);
  if (type === 'Float64') return value;
  const single = Math.fround(value);
  return Number.isFinite(single) || !Number.isFinite(value) ? single : refuse(type, value);
}

function scalar(type: ScalarType, value: unknown): boolean | string | number | bigint {
  if (isIntegerType(type)) return integer(type, value);
  if (isFloatType(type)) return float(type, value);
  return typeof value === (type === 'Bool' ? 'boolean' : 'string')
    ? (value as boolean | string)
    : refuse(type, value);
}

/** Arrays and JavaScript's typed arrays: an `Int16Array` is what a driver may have for `Int16Array`. */
function itemsOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[];
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return undefined;
  return Array.from(value as unknown as ArrayLike<unknown>);
}

function array(type: ArrayType, value: unknown): readonly unknown[] {
  const item = itemType(type);
  return (itemsOf(value) ?? refuse(type, value)).map((one) => scalar(item, one));
}

function binary(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) return refuse('Binary', value);
  if (value.length > MAX_BINARY_BYTES)
    throw new AntirioError(
      'invalidInput',
      `failed to create CommandValue -> value payload exceeds limit for binary readings (${MAX_BINARY_BYTES} bytes)`,
    );
  return value;
}

function checked(type: ValueType, value: unknown): unknown {
  if (normalizeValueType(type) !== type)
    throw new AntirioError('invalidInput', 'failed to create CommandValue -> unrecognized value type');
  if (type === 'Binary') return binary(value);
  if (type === 'Object') return typeof value === 'function' ? refuse(type, value) : value;
  if (type === 'ObjectArray') return Array.isArray(value) ? (value as unknown[]) : refuse(type, value);
  return isArrayType(type) ? array(type, value) : scalar(type, value);
}

/**
 * A checked command value, as the Go SDK's `NewCommandValue` makes it. Integers may be given as number or bigint, and are kept as bigint
 * where they have 64 bits; a Float32 is rounded to single precision.
 * @throws AntirioError invalidInput when the value is not of the type or out of its range.
 */
export function commandValue<T extends ValueType>(
  resourceName: string,
  valueType: T,
  value: unknown,
  extra: { readonly origin?: bigint; readonly tags?: Readonly<Record<string, string>> } = {},
): CommandValueOf<T> {
  const given = value === null || value === undefined ? null : checked(valueType, value);
  return { resourceName, valueType, value: given, ...extra } as CommandValueOf<T>;
}
