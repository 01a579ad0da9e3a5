import type { DeviceResource } from '@antirio/edgex-contracts';
import { commandValue, type CommandValue } from './command-value.ts';
import { plainFloat } from './go-text.ts';
import { decimal, integerOf, inverse, negative, plus, times, whole, type Rational } from './rational.ts';
import {
  integerRanges,
  isFloatType,
  isIntegerType,
  type FloatType,
  type IntegerType,
} from './value-types.ts';

export type ResourceProperties = DeviceResource['properties'];

/** Why a value has no transformed one. */
export type TransformFault = { readonly kind: 'overflow' | 'NaN' | 'limit'; readonly message: string };

export type Transformed = { readonly value: CommandValue } | { readonly fault: TransformFault };

/** A step of a transformation; undefined where the result is none of the type. */
type Step<N> = (value: N) => N | undefined;

function overflow(type: string): { readonly fault: TransformFault } {
  const message = `transformed value out of its original type (${type.toLowerCase()}) range`;
  return { fault: { kind: 'overflow', message } };
}

function through<N>(value: N, steps: readonly Step<N>[]): N | undefined {
  let current: N | undefined = value;
  for (const step of steps) {
    if (current === undefined) return undefined;
    current = step(current);
  }
  return current;
}

function limit(which: 'maximum' | 'minimum', value: number): { readonly fault: TransformFault } {
  const message = `set command parameter out of ${which} value ${plainFloat(value, 'Float64')}`;
  return { fault: { kind: 'limit', message } };
}

/** What of scale, offset and base is set to more than doing nothing. */
function factors({ scale = 1, offset = 0, base = 0 }: ResourceProperties) {
  return {
    ...(scale === 1 ? {} : { scale }),
    ...(offset === 0 ? {} : { offset }),
    ...(base === 0 ? {} : { base }),
  };
}

const within = (type: IntegerType, value: bigint | undefined): bigint | undefined => {
  const { least, most } = integerRanges[type];
  return value !== undefined && value >= least && value <= most ? value : undefined;
};

/** Bits are masked and shifted in unsigned integers only; a shift to the left is positive. */
function bitSteps(type: IntegerType, { mask = 0, shift = 0 }: ResourceProperties): Step<bigint>[] {
  const { bits, signed } = integerRanges[type];
  if (signed) return [];
  const [masked, moved] = [BigInt(mask), BigInt(shift)];
  const shiftBy = (value: bigint): bigint => {
    if (moved >= BigInt(bits) || moved <= -BigInt(bits)) return 0n;
    return moved > 0n ? BigInt.asUintN(bits, value << moved) : value >> -moved;
  };
  return [...(masked === 0n ? [] : [(value: bigint) => value & masked]), ...(moved === 0n ? [] : [shiftBy])];
}

const exactly = (type: IntegerType, change: (value: Rational) => Rational): Step<bigint> => {
  return (value) => within(type, integerOf(change(whole(value))));
};

const integerIn = (type: IntegerType, value: number): bigint | undefined =>
  Number.isInteger(value) ? within(type, BigInt(value)) : undefined;

function power(type: IntegerType, base: number): Step<bigint> {
  return (value) => integerIn(type, Math.pow(base, Number(value)));
}

/** The logarithm is rounded where a power says that the rounded one is right: log(1000) / log(10) is not quite 3. */
function logarithm(type: IntegerType, base: number): Step<bigint> {
  return (value) => {
    const nearest = Math.round(Math.log(Number(value)) / Math.log(base));
    return integerIn(type, Math.pow(base, nearest)) === value ? integerIn(type, nearest) : undefined;
  };
}

/** Integers are scaled in exact arithmetic: they keep all their digits, and 0.1 is one tenth. */
function integerReading(type: IntegerType, properties: ResourceProperties): Step<bigint>[] {
  const { base, scale, offset } = factors(properties);
  return [
    ...bitSteps(type, properties),
    ...(base === undefined ? [] : [power(type, base)]),
    ...(scale === undefined ? [] : [exactly(type, (value) => times(value, decimal(scale)))]),
    ...(offset === undefined ? [] : [exactly(type, (value) => plus(value, decimal(offset)))]),
  ];
}

function integerWriting(type: IntegerType, properties: ResourceProperties): Step<bigint>[] {
  const { base, scale, offset } = factors(properties);
  const divisor = scale === undefined ? undefined : inverse(decimal(scale));
  return [
    ...(offset === undefined ? [] : [exactly(type, (value) => plus(value, negative(decimal(offset))))]),
    ...(scale === undefined
      ? []
      : [divisor === undefined ? () => undefined : exactly(type, (value) => times(value, divisor))]),
    ...(base === undefined ? [] : [logarithm(type, base)]),
  ];
}

/** Each step of a Float32 is rounded to single precision, as Go's arithmetic does it. */
function floatStep(type: FloatType, change: (value: number) => number): Step<number> {
  return (value) => {
    const changed = change(value);
    const kept = type === 'Float32' ? Math.fround(changed) : changed;
    return Number.isFinite(kept) ? kept : undefined;
  };
}

function floatReading(type: FloatType, properties: ResourceProperties): Step<number>[] {
  const { base, scale, offset } = factors(properties);
  const kept = (factor: number): number => (type === 'Float32' ? Math.fround(factor) : factor);
  return [
    ...(base === undefined ? [] : [floatStep(type, (value) => Math.pow(base, value))]),
    ...(scale === undefined ? [] : [floatStep(type, (value) => value * kept(scale))]),
    ...(offset === undefined ? [] : [floatStep(type, (value) => value + kept(offset))]),
  ];
}

function floatWriting(type: FloatType, properties: ResourceProperties): Step<number>[] {
  const { base, scale, offset } = factors(properties);
  const kept = (factor: number): number => (type === 'Float32' ? Math.fround(factor) : factor);
  return [
    ...(offset === undefined ? [] : [floatStep(type, (value) => value - kept(offset))]),
    ...(scale === undefined ? [] : [floatStep(type, (value) => value / kept(scale))]),
    ...(base === undefined ? [] : [floatStep(type, (value) => Math.log(value) / Math.log(base))]),
  ];
}

function stepped<N extends number | bigint>(
  given: CommandValue,
  value: N,
  steps: readonly Step<N>[],
): Transformed {
  if (steps.length === 0) return { value: given };
  const { resourceName, valueType, ...extra } = given;
  const changed = through(value, steps);
  if (changed === undefined) return overflow(valueType);
  if (changed === value) return { value: given };
  return { value: { ...extra, ...commandValue(resourceName, valueType, changed) } };
}

interface Direction {
  readonly integers: (type: IntegerType, properties: ResourceProperties) => readonly Step<bigint>[];
  readonly floats: (type: FloatType, properties: ResourceProperties) => readonly Step<number>[];
}

const READING: Direction = { integers: integerReading, floats: floatReading };
const WRITING: Direction = { integers: integerWriting, floats: floatWriting };

function transformed(given: CommandValue, properties: ResourceProperties, direction: Direction): Transformed {
  const { valueType, value } = given;
  if (isIntegerType(valueType))
    return stepped(given, BigInt(value as number | bigint), direction.integers(valueType, properties));
  if (isFloatType(valueType)) return stepped(given, value as number, direction.floats(valueType, properties));
  return { value: given };
}

/**
 * A value that a device gave as its readings have it: mask, shift, base, scale and offset of the resource, in this order. Overflow and NaN
 * are the Go SDK's words for what a reading says instead.
 */
export function readTransform(given: CommandValue, properties: ResourceProperties): Transformed {
  if (given.value === null) return { value: given };
  if (Number.isNaN(given.value))
    return { fault: { kind: 'NaN', message: `NaN error for DeviceResource ${given.resourceName}` } };
  return transformed(given, properties, READING);
}

function beyond({ valueType, value }: CommandValue, { maximum, minimum }: ResourceProperties) {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const kept = (bound: number): number => (valueType === 'Float32' ? Math.fround(bound) : bound);
  if (maximum !== undefined && value > kept(maximum)) return limit('maximum', maximum);
  if (minimum !== undefined && value < kept(minimum)) return limit('minimum', minimum);
  return undefined;
}

/**
 * A value that is to be written as the device takes it: held against the resource's maximum and minimum, then offset, scale and base
 * backwards.
 */
export function writeTransform(given: CommandValue, properties: ResourceProperties): Transformed {
  if (given.value === null) return { value: given };
  return beyond(given, properties) ?? transformed(given, properties, WRITING);
}
