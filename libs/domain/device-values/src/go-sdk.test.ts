import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { deviceResource, parseJson, stringifyJson, type ValueType } from '@antirio/edgex-contracts';
import { commandValue, type CommandValue } from './command-value.ts';
import { plainText, readingText } from './go-text.ts';
import { parsedValue } from './parse-value.ts';
import { readTransform, writeTransform, type ResourceProperties } from './transform.ts';
import { isArrayType, isFloatType, isIntegerType, itemType } from './value-types.ts';

/** What the Go SDK 4.0.0 made of each case when its functions were run: `do, type, input, properties`, then `!error` or `type, value, %v`. */
const OBSERVED = readFileSync(new URL('go-sdk.tsv', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => line.split('\t'));

const FLOATS: Readonly<Record<string, number>> = { '+Inf': Infinity, '-Inf': -Infinity };

/** A value as a driver has it. */
function native(type: ValueType, text: string): unknown {
  if (isArrayType(type))
    return text === '' ? [] : text.split('|').map((item) => native(itemType(type), item));
  if (isIntegerType(type)) return BigInt(text);
  if (isFloatType(type)) return FLOATS[text] ?? Number(text);
  return type === 'Bool' ? text === 'true' : text;
}

const propertiesOf = (type: ValueType, json: string): ResourceProperties =>
  deviceResource.parse({
    name: 'r',
    properties: { valueType: type, readWrite: 'RW', ...(parseJson(json) as object) },
  }).properties;

function outcome(what: string, type: ValueType, input: string, properties: string): CommandValue | string {
  try {
    if (what === 'parse') return commandValue('r', type, parsedValue(type, parseJson(input)));
    const transform = what === 'read' ? readTransform : writeTransform;
    const result = transform(commandValue('r', type, native(type, input)), propertiesOf(type, properties));
    return 'fault' in result ? `!${result.fault.message}` : result.value;
  } catch (error) {
    if (error instanceof AntirioError) return `!${error.message}`;
    throw error;
  }
}

function textOf(value: CommandValue): string {
  if (value.valueType === 'Object') return stringifyJson(value.value);
  return value.value === null ? '' : readingText(value);
}

function columns(what: string, type: string, input: string, properties: string): readonly string[] {
  const made = outcome(what, type as ValueType, input, properties);
  if (typeof made === 'string') return [made];
  const [text, plain] = [textOf(made), plainText(made)];
  const differs = plain !== '' && plain !== text;
  return [made.valueType, JSON.stringify(text), ...(differs ? [JSON.stringify(plain)] : [])];
}

describe('the same as in the Go SDK', () => {
  test.each(['parse', 'read', 'write'])('%s', (what) => {
    const cases = OBSERVED.filter(([one]) => one === what);
    expect(cases.length).toBeGreaterThan(300);
    for (const [, type = '', input = '', properties = '', ...seen] of cases)
      expect([type, input, properties, ...columns(what, type, input, properties)]).toEqual([
        type,
        input,
        properties,
        ...seen,
      ]);
  });
});

describe('better than the Go SDK, which', () => {
  test.each<[string, string, string, string, string, string, string]>([
    ['loses a scale below one for integers', 'read', 'Uint8', '20', '{"scale":0.1}', '0', '2'],
    ['drops the fraction of an integer scale', 'read', 'Int16', '10', '{"scale":2.5}', '20', '25'],
    ['drops it when writing, too', 'write', 'Int16', '10', '{"scale":2.5}', '5', '4'],
    ['panics where that fraction is all', 'write', 'Uint8', '10', '{"scale":0.5}', 'panic', '20'],
    ['turns over 64 bits', 'read', 'Uint64', '18446744073709551615', '{"offset":1}', '0', '!uint64'],
    ['turns over signed ones', 'read', 'Int64', '9223372036854775807', '{"offset":1}', '-2^63', '!int64'],
    [
      'divides without a rest',
      'write',
      'Int64',
      '9007199254740993',
      '{"scale":2}',
      '4503599627370496',
      '!int64',
    ],
    ['cuts limits to the type', 'write', 'Uint8', '240', '{"maximum":1000}', '! maximum 1000', '240'],
    ['turns negative limits round', 'write', 'Uint8', '1', '{"minimum":-5}', '! minimum -5', '1'],
    ['drops the fraction of limits', 'write', 'Int8', '2', '{"minimum":2.5}', '2', '! minimum 2.5'],
    ['misses the exponent of 1000', 'write', 'Uint16', '1000', '{"base":10}', '!uint16', '3'],
  ])('%s', (_why, what, type, input, properties, _go, ours) => {
    const [made = '', value = ''] = columns(what, type, input, properties);
    const said = ours.startsWith('! ')
      ? `!set command parameter out of${ours.slice(1, ours.lastIndexOf(' '))} value ${ours.slice(ours.lastIndexOf(' ') + 1)}`
      : `!transformed value out of its original type (${ours.slice(1)}) range`;
    expect(ours.startsWith('!') ? made : value).toBe(ours.startsWith('!') ? said : JSON.stringify(ours));
  });

  test.each<[string, ValueType, string, string]>([
    ['takes no integers over a million as JSON numbers', 'Int32', '12345678', '12345678'],
    ['loses digits of long JSON numbers', 'Uint64', '18446744073709551615', '18446744073709551615'],
    ['takes no JSON arrays', 'Int16Array', '[1, -2]', '[1, -2]'],
    [
      'takes none of unsigned integers either',
      'Uint64Array',
      '[18446744073709551615]',
      '[18446744073709551615]',
    ],
    ['writes numbers into texts with an exponent', 'String', '1000000', '1000000'],
  ])('%s', (_why, type, input, ours) => {
    expect(columns('parse', type, input, '')[1]).toBe(JSON.stringify(ours));
  });

  test('takes no arrays of objects', () => {
    expect(outcome('parse', 'ObjectArray', '[{"a":1}]', '')).toMatchObject({ value: [{ a: 1 }] });
  });
});

describe('settings that are no values', () => {
  test.each<[ValueType, string]>([
    ['Int8Array', '"1,2"'],
    ['Int8Array', '"null"'],
    ['Int8Array', '"[null]"'],
    ['Float32Array', '"[1e39]"'],
    ['Float64Array', '"[1e400]"'],
    ['Float64Array', '"[NaN]"'],
    ['BoolArray', '"[true"'],
    ['StringArray', '"a,b"'],
    ['ObjectArray', '{"a":1}'],
  ])('%s refuses %s', (type, input) => {
    expect(outcome('parse', type, input, '')).toMatch(
      /^!failed to (?:convert set parameter|create CommandValue)/,
    );
  });
});
