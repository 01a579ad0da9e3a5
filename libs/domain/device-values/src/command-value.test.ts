import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError } from '@antirio/kernel';
import { valueTypes, type ValueType } from '@antirio/edgex-contracts';
import { MAX_BINARY_BYTES, commandValue } from './command-value.ts';

const valueOf = (type: ValueType, value: unknown): unknown => commandValue('Resource', type, value).value;

function refusal(type: ValueType, value: unknown): string {
  try {
    valueOf(type, value);
  } catch (error) {
    if (error instanceof AntirioError && error.code === 'invalidInput') return error.message;
    throw error;
  }
  return '';
}

describe('commandValue', () => {
  test.each<[ValueType, unknown, unknown]>([
    ['Bool', true, true],
    ['String', 'text', 'text'],
    ['Uint8', 255, 255],
    ['Uint8', 255n, 255],
    ['Uint64', 2n ** 64n - 1n, 2n ** 64n - 1n],
    ['Uint64', 7, 7n],
    ['Int8', -128, -128],
    ['Int64', -(2n ** 63n), -(2n ** 63n)],
    ['Float32', 1.1, Math.fround(1.1)],
    ['Float32', NaN, NaN],
    ['Float64', -Infinity, -Infinity],
    ['Int16Array', [1, -2], [1, -2]],
    ['Int16Array', Int16Array.of(1, -2), [1, -2]],
    ['Int64Array', [1, 2n], [1n, 2n]],
    ['Uint8Array', Uint8Array.of(1, 255), [1, 255]],
    ['Float32Array', [1.1], [Math.fround(1.1)]],
    ['StringArray', [], []],
    ['Binary', Uint8Array.of(1), Uint8Array.of(1)],
    ['Object', { a: [1] }, { a: [1] }],
    ['Object', 'any JSON', 'any JSON'],
    ['ObjectArray', [{ a: 1 }], [{ a: 1 }]],
  ])('%s takes %p', (type, given, kept) => {
    expect(valueOf(type, given)).toEqual(kept);
  });

  test.each(valueTypes)('%s takes null', (type) => {
    expect(valueOf(type, null)).toBeNull();
    expect(valueOf(type, undefined)).toBeNull();
  });

  test.each<[ValueType, unknown]>([
    ['Bool', 'true'],
    ['Bool', 1],
    ['String', 1],
    ['Uint8', 256],
    ['Uint8', -1],
    ['Uint8', 1.5],
    ['Uint8', '1'],
    ['Uint8', NaN],
    ['Uint64', 2n ** 64n],
    ['Uint64', 2 ** 60],
    ['Int64', 2n ** 63n],
    ['Float32', 1e39],
    ['Float64', 1n],
    ['Float64', '1.5'],
    ['Int16Array', 1],
    ['Int16Array', [1, 40000]],
    ['Int16Array', [null]],
    ['BoolArray', [0]],
    ['Binary', [1, 2]],
    ['ObjectArray', { a: 1 }],
    ['Object', () => undefined],
  ])('%s refuses %p', (type, given) => {
    expect(refusal(type, given)).toMatch(
      /^failed to create CommandValue -> failed to convert interface value/,
    );
  });

  test('a binary value has a limit', () => {
    expect(refusal('Binary', new Uint8Array(MAX_BINARY_BYTES))).toBe('');
    expect(refusal('Binary', new Uint8Array(MAX_BINARY_BYTES + 1))).toBe(
      'failed to create CommandValue -> value payload exceeds limit for binary readings (16777216 bytes)',
    );
  });

  test('origin and tags are kept', () => {
    expect(commandValue('Resource', 'Bool', true, { origin: 5n, tags: { a: 'b' } })).toEqual({
      resourceName: 'Resource',
      valueType: 'Bool',
      value: true,
      origin: 5n,
      tags: { a: 'b' },
    });
  });

  test('whatever is given, it is taken or refused as invalid input', () => {
    const anything = fc.anything({ withBigInt: true, withTypedArray: true, withNullPrototype: true });
    fc.assert(
      fc.property(fc.constantFrom(...valueTypes), anything, (type, value) => {
        expect(() => refusal(type, value)).not.toThrow();
      }),
    );
  });
});
