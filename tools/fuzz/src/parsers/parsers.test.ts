import { describe, expect, test } from '@jest/globals';
import { AntirioError, utf8 } from '@antirio/kernel';
import { describeFinding, fuzzParsers, judge } from './campaign.ts';
import { sizeOf } from './size.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const seed = Number(process.env['PROPERTY_SEED'] ?? 1);

describe('parsers of what gateways, motes and strangers send', () => {
  test('no input of 65,000 makes one fail, answer at length or keep memory', () => {
    const report = fuzzParsers(TARGETS, 65_000, seed);
    expect(report.findings.map(describeFinding)).toEqual([]);
    expect(report.heapGrowthBytes).toBeLessThan(16 << 20);
    // Neither is everything refused nor everything taken: both sides of each parser are reached.
    for (const { target, accepted, refused } of report.targets) {
      expect([target, accepted > 50]).toEqual([target, true]);
      if (target !== 'MAC state') expect([target, refused > 50]).toEqual([target, true]);
    }
  }, 120_000);

  test('each takes what was recorded', () => {
    for (const target of TARGETS)
      for (const [i, recorded] of target.seeds.entries())
        expect([target.name, i, judge(target, recorded).why]).toEqual([target.name, i, undefined]);
  });

  test('a seed draws the same inputs again', () => {
    const drawn = (): string[] => {
      const inputs: string[] = [];
      const watched = TARGETS.map((target) => ({
        ...target,
        read: (input: Uint8Array) => inputs.push(Buffer.from(input).toString('hex')),
      }));
      fuzzParsers(watched, 500, 7);
      return inputs;
    };
    expect(drawn()).toEqual(drawn());
  });
});

describe('the fuzzer', () => {
  const target = (read: Target['read']): Target => ({
    name: 'planted',
    seeds: [utf8('some seed')],
    format: 'bytes',
    longest: 100,
    read,
  });
  const found = (read: Target['read']): string[] =>
    fuzzParsers([target(read)], 2000, 1).findings.map(describeFinding);

  test('finds what is thrown and is no AntirioError, and cuts the input down to it', () => {
    const [first] = found((input) => {
      if (input.includes(0xff)) throw new TypeError('planted');
      return 1;
    });
    expect(first).toMatch(/^planted: TypeError: planted \(.*parsers\.test\.ts.*\)\n {2}input ff$/);
  });

  test('finds a bug that an AntirioError admits', () => {
    expect(
      found(() => {
        throw new AntirioError('internal', 'planted');
      })[0],
    ).toMatch(/AntirioError: planted/);
    expect(
      found(() => {
        throw new AntirioError('invalidInput', 'refused');
      }),
    ).toEqual([]);
  });

  test('finds answers and errors out of proportion', () => {
    expect(found((input) => new Uint8Array(20_000 + 200 * input.length))[0]).toMatch(
      /an answer of more than/,
    );
    expect(
      found(() => {
        throw new AntirioError('invalidInput', 'x'.repeat(50_000));
      })[0],
    ).toMatch(/an error of more than/);
  });

  test('finds a parser that keeps what it reads', () => {
    const kept: Uint8Array[] = [];
    const { heapGrowthBytes } = fuzzParsers([target(() => kept.push(new Uint8Array(20_000)))], 2000, 1);
    expect(heapGrowthBytes).toBeGreaterThan(30e6);
  });

  test('measures what contains itself', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect(sizeOf(circle, 1000)).toBeGreaterThan(1000);
  });
});
