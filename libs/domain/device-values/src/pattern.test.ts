import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError } from '@antirio/kernel';
import { pattern, wholeNamePattern } from './pattern.ts';

const NAMES = [
  'Temp',
  'TempIn',
  'TempOut',
  'Temp.In',
  'Temp1',
  'Temp In',
  'temp',
  'ab',
  'abcd',
  'aa',
  '',
  ']a',
];

function matched(text: string): readonly string[] | string {
  try {
    return NAMES.filter(wholeNamePattern(text));
  } catch (error) {
    if (error instanceof AntirioError && error.code === 'invalidInput') return error.message;
    throw error;
  }
}

describe('wholeNamePattern', () => {
  // as Go's regexp.CompilePOSIX gave them
  test.each<[string, readonly string[]]>([
    ['Temp', ['Temp']],
    ['T(e|em|emp)In', ['TempIn']],
    ['Temp(In|Out)', ['TempIn', 'TempOut']],
    ['^Temp[[:digit:]]$', ['Temp1']],
    ['[[:alpha:]]+', ['Temp', 'TempIn', 'TempOut', 'temp', 'ab', 'abcd', 'aa']],
    ['Temp\\.In', ['Temp.In']],
    ['Temp.In', ['Temp.In', 'Temp In']],
    ['Temp.*?', ['Temp', 'TempIn', 'TempOut', 'Temp.In', 'Temp1', 'Temp In']],
    ['a|ab', ['ab']],
    ['(a|ab)(c|bcd)', ['abcd']],
    ['a{2,3}', ['aa']],
    ['[]a]+', ['aa', ']a']],
    ['\\x54emp', ['Temp']],
    ['(Temp)?(In)?', ['Temp', 'TempIn', '']],
  ])('%s is the whole of %j', (text, names) => {
    expect(matched(text)).toEqual(names);
  });

  test.each<[string, string]>([
    ['Temp\\d', 'invalid escape sequence: `\\d`'],
    ['[\\w-]+', 'invalid escape sequence: `\\w`'],
    ['\\bTemp', 'invalid escape sequence: `\\b`'],
    ['(?i)temp', 'missing argument to repetition operator: `?`'],
    ['Temp(', 'missing closing ): `Temp(`'],
    ['Temp)', 'unexpected ): `Temp)`'],
    ['*', 'missing argument to repetition operator: `*`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
  ])('%s is none', (text, why) => {
    expect(matched(text)).toBe(`error parsing regexp: ${why}`);
  });

  test('one that would take ages elsewhere is done at once', () => {
    const names = Array.from({ length: 100 }, (_, n) => `${'a'.repeat(60)}${n}`);
    for (const text of ['(a+)+b', '(a*)*(a*)*b', '(.*.*.*.*)*!'])
      expect(names.filter(wholeNamePattern(text))).toEqual([]);
  });

  test('whatever text it is, it is a pattern or refused as invalid input', () => {
    const pieces = fc.constantFrom(
      'a',
      'T',
      '.',
      '*',
      '+',
      '?',
      '(',
      ')',
      '[',
      ']',
      '{2}',
      '|',
      '\\',
      '^',
      '-',
      'é',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), fc.string(), (drawn, name) => {
        const made = matched(drawn.join('') + name);
        expect(typeof made === 'string' || Array.isArray(made)).toBe(true);
      }),
    );
  });
});

describe('pattern', () => {
  test("is of Go's syntax, and may match a part", () => {
    expect(pattern('^device-\\d+')('device-12x')).toBe(true);
    expect(pattern('(?i)ROOM')('the room')).toBe(true);
    expect(pattern('^x$')('xx')).toBe(false);
    expect(() => pattern('(?=a)')).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});
