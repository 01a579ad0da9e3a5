import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { commandValue, type CommandValue } from './command-value.ts';
import { readTransform, writeTransform, type ResourceProperties, type Transformed } from './transform.ts';
import { integerRanges, type IntegerType } from './value-types.ts';

const INTEGERS = Object.keys(integerRanges) as IntegerType[];

const integers = fc.constantFrom(...INTEGERS).chain((type) =>
  fc.record({
    type: fc.constant(type),
    value: fc.bigInt(integerRanges[type].least, integerRanges[type].most),
  }),
);

const factors = fc.record(
  {
    scale: fc.oneof(fc.constantFrom(0.1, 0.01, 0.5, 2, 10, -1, 2.5), fc.integer({ min: 1, max: 1000 })),
    offset: fc.oneof(fc.constantFrom(-40, 0.5, 273.15), fc.integer({ min: -1000, max: 1000 })),
  },
  { requiredKeys: [] },
);

const properties = (more: object): ResourceProperties => ({
  valueType: 'Int16',
  readWrite: 'RW',
  units: undefined,
  minimum: undefined,
  maximum: undefined,
  defaultValue: undefined,
  mask: undefined,
  shift: undefined,
  scale: undefined,
  offset: undefined,
  base: undefined,
  assertion: undefined,
  mediaType: undefined,
  optional: undefined,
  ...more,
});

const valueIn = (result: Transformed): CommandValue | undefined =>
  'value' in result ? result.value : undefined;

describe('writing undoes reading', () => {
  test('exactly, for integers of all sizes', () => {
    let undone = 0;
    fc.assert(
      fc.property(integers, factors, ({ type, value }, drawn) => {
        const given = commandValue('R', type, value);
        const read = valueIn(readTransform(given, properties(drawn)));
        if (read === undefined) return;
        undone += 1;
        expect(valueIn(writeTransform(read, properties(drawn)))).toEqual(given);
      }),
      { numRuns: 500 },
    );
    expect(undone).toBeGreaterThan(50);
  });

  test('exactly, for powers of a base', () => {
    for (const [base, most] of [
      [2, 63],
      [3, 40],
      [10, 19],
      [7, 22],
    ] as const)
      for (let exponent = 0; exponent <= most; exponent += 1) {
        const given = commandValue('R', 'Uint64', exponent);
        const read = valueIn(readTransform(given, properties({ base })));
        expect(read).toBeDefined();
        expect(valueIn(writeTransform(read ?? given, properties({ base })))).toEqual(given);
      }
  });

  test('nearly, for floats', () => {
    const moderate = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(moderate, factors, (value, drawn) => {
        const read = valueIn(readTransform(commandValue('R', 'Float64', value), properties(drawn)));
        const back = read === undefined ? undefined : valueIn(writeTransform(read, properties(drawn)))?.value;
        expect(Math.abs((back as number) - value)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
      }),
    );
  });
});

describe('transformations', () => {
  test('keep every digit of 64 bits', () => {
    const given = commandValue('R', 'Int64', 9007199254740993n);
    expect(valueIn(readTransform(given, properties({ offset: 1 })))?.value).toBe(9007199254740994n);
    expect(valueIn(readTransform(given, properties({ scale: 1000 })))?.value).toBe(9007199254740993000n);
  });

  test('keep origin and tags', () => {
    const given = commandValue('R', 'Uint8', 1, { origin: 7n, tags: { a: 'b' } });
    expect(valueIn(readTransform(given, properties({ offset: 1 })))).toEqual({ ...given, value: 2 });
  });

  test('give a value of the type, or say why there is none, whatever the properties are', () => {
    const any = fc.record(
      {
        scale: fc.double(),
        offset: fc.double(),
        base: fc.double(),
        mask: fc.bigInt(0n, 2n ** 64n - 1n),
        shift: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        minimum: fc.double(),
        maximum: fc.double(),
      },
      { requiredKeys: [] },
    );
    const floats = fc.record({
      type: fc.constantFrom('Float32' as const, 'Float64' as const),
      value: fc.double().map(Math.fround),
    });
    fc.assert(
      fc.property(fc.oneof(integers, floats), any, ({ type, value }, drawn) => {
        const given = commandValue('R', type, value);
        for (const transform of [readTransform, writeTransform]) {
          const result = transform(given, properties(drawn));
          if ('value' in result) expect(commandValue('R', type, result.value.value)).toEqual(result.value);
          else expect(['overflow', 'NaN', 'limit']).toContain(result.fault.kind);
        }
      }),
      { numRuns: 500 },
    );
  });
});
