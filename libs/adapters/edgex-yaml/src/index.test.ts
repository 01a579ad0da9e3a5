import { describe, expect, test } from '@jest/globals';
import { parseEdgexYaml } from './index.ts';

const read = (...lines: string[]): unknown => parseEdgexYaml(lines.join('\n'));

describe('text fields', () => {
  test.each(['0042', '007', '1.0', '0x10', '1e3', 'true', 'yes', '9007199254740993', '-0'])(
    'have what stands there: %s',
    (text) => {
      expect(read(`name: ${text}`, `defaultValue: ${text}`, `assertion: ${text}`)).toEqual({
        name: text,
        defaultValue: text,
        assertion: text,
      });
      expect(read('labels:', `  - ${text}`)).toEqual({ labels: [text] });
    },
  );

  test('quotes and empty values mean what they mean in YAML', () => {
    expect(read('name: "0042"', 'units:', "description: '1.0'", 'model: |', '  7')).toEqual({
      name: '0042',
      units: null,
      description: '1.0',
      model: '7\n',
    });
  });

  test('keys of mappings stay apart', () => {
    expect(read('mappings: {01: on, 1.0: y, "1": z}')).toEqual({
      mappings: { '01': 'on', '1.0': 'y', '1': 'z' },
    });
  });
});

describe('other fields', () => {
  test('keep their types and all digits', () => {
    expect(
      read(
        'attributes: {name: 5, big: 9223372036854775807, half: 0.5}',
        'properties: {scale: 2, maximum: 1.5}',
      ),
    ).toEqual({
      attributes: { name: 5, big: 9_223_372_036_854_775_807n, half: 0.5 },
      properties: { scale: 2, maximum: 1.5 },
    });
  });

  test("of a device's protocol are the driver's", () => {
    expect(read('protocols: {modbus: {name: 1, port: 502}}')).toEqual({
      protocols: { modbus: { name: 1, port: 502 } },
    });
  });
});

test('what is no YAML, has a key twice, or multiplies by aliases is refused', () => {
  for (const bad of [
    'a: [',
    'a: 1\na: 2',
    `a: &a [x, x]\n${'bcdefghijk'
      .split('')
      .map(
        (key, i) =>
          `${key}: &${key} [${Array(9)
            .fill(`*${'abcdefghij'[i] ?? ''}`)
            .join(', ')}]`,
      )
      .join('\n')}`,
  ])
    expect(() => parseEdgexYaml(bad)).toThrow();
});
