import { describe, expect, test } from '@jest/globals';
import { DemoError } from './errors.ts';
import { flagsOf, parseMatrixOptions, planMatrix, type MatrixOptions } from './matrix-plan.ts';
import { parseOptions } from './options.ts';

function read(...argv: readonly string[]): MatrixOptions {
  const options = parseMatrixOptions(argv);
  if (options === undefined) throw new TypeError('help was asked for');
  return options;
}

describe('the plan of a matrix', () => {
  test('has every combination once in each round, with moments of its own', () => {
    const plan = planMatrix(read('--rounds', '2', '--seed', 'x'));
    expect(plan).toHaveLength(180);
    const kinds = plan.map(({ kill, standby, runtime }) => [kill, standby, runtime].join());
    expect(new Set(kinds).size).toBe(90);
    expect(new Set(plan.map(({ seed }) => seed)).size).toBe(180);
    expect(new Set(plan.map(({ confidentiality }) => confidentiality))).toEqual(
      new Set(['process', 'forward']),
    );
    expect(planMatrix(read('--rounds', '2', '--seed', 'x'))).toEqual(plan);
  });

  test('kills everybody in every phase, where there is anybody to be killed', () => {
    const kills = planMatrix(read('--rounds', '10', '--further', '2')).map(
      ({ furtherKills }) => furtherKills,
    );
    expect(new Set(kills.map(({ length }) => length))).toEqual(new Set([0, 1, 2]));
    const moments = new Set(kills.flat().map(({ party, phase }) => `${party}/${phase}`));
    expect(moments.size).toBe(17);
    expect(moments).not.toContain('a/takeover');
  });

  test('in parts is the whole, each run in one of them, and each part has some of everything', () => {
    const whole = planMatrix(read());
    const parts = [1, 2, 3].map((k) => planMatrix(read('--part', `${k}/3`)));
    expect(parts.flat().map(flagsOf).sort()).toEqual(whole.map(flagsOf).sort());
    for (const part of parts) {
      expect(part).toHaveLength(30);
      expect(new Set(part.map(({ kill }) => kill)).size).toBeGreaterThanOrEqual(9);
      expect(new Set(part.map(({ standby }) => standby)).size).toBe(3);
    }
  });

  test('gives each run the flags by which the demo does the same', () => {
    for (const one of planMatrix(read('--seed', 'y', '--kill', 'freeze', '--runtime', 'process')))
      expect(parseOptions(flagsOf(one).split(' '))).toEqual(one);
  });

  test('tells what has little to do with standby and runtime once, and no part of many has two long stories', () => {
    const once = planMatrix(read('--kill', 'flapping', '--standby', 'cold', '--standby', 'hot'));
    expect(once.map(({ standby, runtime }) => [standby, runtime])).toEqual([['cold', 'process']]);
    const long = new Set(['provider-frozen', 'provider-cut', 'two-providers', 'flapping', 'max-active']);
    for (let k = 1; k <= 26; k++) {
      const part = planMatrix(read('--part', `${k}/26`));
      expect(part.filter(({ kill }) => long.has(kill)).length).toBeLessThanOrEqual(1);
      expect(part.length).toBeLessThanOrEqual(4);
    }
  });

  test('has a bound in time and a second attempt where they are asked for', () => {
    expect(read()).toMatchObject({ 'second-attempt': false });
    expect(read()).not.toHaveProperty('within');
    expect(read('--within', '60', '--second-attempt')).toMatchObject({ within: 60, 'second-attempt': true });
  });

  test.each([
    ...[['--part', '0/3'], ['--part', '4/3'], ['--kill', 'nuke'], ['--rounds', 'x'], ['--unknown']],
    ...[
      ['--within', '0'],
      ['--within', 'soon'],
    ],
  ])('refuses %s %s', (...argv) => {
    expect(() => parseMatrixOptions(argv)).toThrow(DemoError);
  });
});
