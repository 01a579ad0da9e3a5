import { describe, expect, test } from '@jest/globals';
import type { Reading } from '@antirio/edgex-contracts';
import { changeOf, type ChangeRules, type LastReadings } from './change.ts';

const base = { origin: 1n, deviceName: 'd', profileName: 'p' };
const simple = (value: string, valueType: Reading['valueType'] = 'Int16', resourceName = 'R'): Reading => ({
  ...base,
  resourceName,
  valueType,
  kind: 'simple',
  value,
});
const missing: Reading = { ...base, resourceName: 'R', valueType: 'Int16', kind: 'null' };
const object = (objectValue: unknown): Reading => ({
  ...base,
  resourceName: 'R',
  valueType: 'Object',
  kind: 'object',
  objectValue,
});
const binary = (...bytes: readonly number[]): Reading => ({
  ...base,
  resourceName: 'R',
  valueType: 'Binary',
  kind: 'binary',
  binaryValue: Uint8Array.from(bytes),
  mediaType: 'x/y',
});

/** Which of the readings, taken one after the other, are news. */
function news(rules: ChangeRules, ...taken: readonly (readonly Reading[])[]): boolean[] {
  let last: LastReadings | undefined;
  return taken.map((readings) => {
    const change = changeOf(last, readings, rules);
    ({ last } = change);
    return change.changed;
  });
}

const singles = (rules: ChangeRules, ...readings: readonly Reading[]): boolean[] =>
  news(rules, ...readings.map((reading) => [reading]));

const ON_CHANGE = { onChange: true };

describe('changeOf', () => {
  test('without onChange everything is news', () => {
    expect(singles({}, simple('1'), simple('1'))).toEqual([true, true]);
  });

  test('with it the first is news, and what differs', () => {
    expect(singles(ON_CHANGE, simple('1'), simple('1'), simple('2'), simple('2'))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test('a number has changed when it is further than the threshold from the last one that was told', () => {
    const rules = { onChange: true, onChangeThreshold: 0.5 };
    const float = (text: string): Reading => simple(text, 'Float32');
    expect(singles(rules, float('2.1e+01'), float('2.15e+01'), float('2.14e+01'), float('2.16e+01'))).toEqual(
      [true, false, false, true],
    );
    expect(singles({ onChange: true, onChangeThreshold: 2 }, simple('1'), simple('3'), simple('4'))).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('integers of 64 bits are compared digit by digit', () => {
    const long = (text: string): Reading => simple(text, 'Uint64');
    expect(
      singles(
        ON_CHANGE,
        long('18446744073709551614'),
        long('18446744073709551615'),
        long('18446744073709551615'),
      ),
    ).toEqual([true, true, false]);
  });

  test('a number and what is none differ', () => {
    const float = (text: string): Reading => simple(text, 'Float64');
    const rules = { onChange: true, onChangeThreshold: 10 };
    expect(singles(rules, simple('0'), missing, missing, simple('0'))).toEqual([true, true, false, true]);
    expect(singles(rules, simple('1'), simple('overflow', 'String'), simple('overflow', 'String'))).toEqual([
      true,
      true,
      false,
    ]);
    expect(singles(rules, float('NaN'), float('NaN'), float('+Inf'), float('1e+00'))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  test('texts, objects and bytes are compared as they are', () => {
    const long = 'x'.repeat(1000);
    expect(
      singles(ON_CHANGE, simple(long, 'String'), simple(long, 'String'), simple(`${long}y`, 'String')),
    ).toEqual([true, false, true]);
    expect(singles(ON_CHANGE, object({ a: 1 }), object({ a: 1 }), object({ a: 2 }))).toEqual([
      true,
      false,
      true,
    ]);
    expect(singles(ON_CHANGE, binary(1), binary(1), binary(1, 0))).toEqual([true, false, true]);
  });

  test('one changed reading of several is enough; another set of them is news', () => {
    const [a, b] = [simple('1', 'Int16', 'A'), simple('1', 'Int16', 'B')];
    const b2 = simple('2', 'Int16', 'B');
    expect(news(ON_CHANGE, [a, b], [a, b], [a, b2], [a, b2], [a], [a, b2])).toEqual([
      true,
      false,
      true,
      false,
      true,
      true,
    ]);
    expect(news(ON_CHANGE, [a], [b])).toEqual([true, true]);
  });
});
