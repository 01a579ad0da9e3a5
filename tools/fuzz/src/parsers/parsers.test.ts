import { describe, expect, test } from '@jest/globals';
import { AntirioError, utf8 } from '@antirio/kernel';
import { describeFinding, fuzzParsers, judge } from './campaign.ts';
import { sizeOf } from './size.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const seed = Number(process.env['PROPERTY_SEED'] ?? 1);

describe('parsers of what gateways, motes and strangers send', () => {
  test('no input of 65,000 makes one fail, answer at length or keep memory', async () => {
    const report = await fuzzParsers(TARGETS, 65_000, seed);
    expect(report.findings.map(describeFinding)).toEqual([]);
    expect(report.heapGrowthBytes).toBeLessThan(16 << 20);
    // Neither is everything refused nor everything taken: both sides of each parser are reached.
    for (const { target, accepted, refused } of report.targets) {
      expect([target, accepted > 50]).toEqual([target, true]);
      if (target !== 'MAC state') expect([target, refused > 50]).toEqual([target, true]);
    }
  });

  test('each takes what was recorded', async () => {
    for (const target of TARGETS)
      for (const [i, recorded] of target.seeds.entries())
        expect([target.name, i, (await judge(target, recorded)).why]).toEqual([target.name, i, undefined]);
  });

  test('a seed draws the same inputs again', async () => {
    const drawn = async (): Promise<string[]> => {
      const inputs: string[] = [];
      const watched = TARGETS.map((target) => ({
        ...target,
        read: (input: Uint8Array) => inputs.push(Buffer.from(input).toString('hex')),
      }));
      await fuzzParsers(watched, 500, 7);
      return inputs;
    };
    expect(await drawn()).toEqual(await drawn());
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
  const found = async (read: Target['read']): Promise<string[]> =>
    (await fuzzParsers([target(read)], 2000, 1)).findings.map(describeFinding);

  test('finds what is thrown and is no AntirioError, and cuts the input down to it', async () => {
    const [first] = await found((input) => {
      if (input.includes(0xff)) throw new TypeError('planted');
      return 1;
    });
    expect(first).toMatch(/^planted: TypeError: planted \(.*parsers\.test\.ts.*\)\n {2}input ff$/);
  });

  const thrown = (code: 'internal' | 'invalidInput', message: string) =>
    found(() => {
      throw new AntirioError(code, message);
    });

  test('finds a bug that an AntirioError admits', async () => {
    expect((await thrown('internal', 'planted'))[0]).toMatch(/AntirioError: planted/);
    expect(await thrown('invalidInput', 'refused')).toEqual([]);
  });

  test('finds answers and errors out of proportion', async () => {
    const long = await found((input) => new Uint8Array(20_000 + 200 * input.length));
    expect(long[0]).toMatch(/an answer of more than/);
    expect((await thrown('invalidInput', 'x'.repeat(50_000)))[0]).toMatch(/an error of more than/);
  });

  test('finds a parser that keeps what it reads', async () => {
    const kept: Uint8Array[] = [];
    const { heapGrowthBytes } = await fuzzParsers([target(() => kept.push(new Uint8Array(20_000)))], 2000, 1);
    expect(heapGrowthBytes).toBeGreaterThan(30e6);
  });

  test('waits for an answer that comes later', async () => {
    const later = async (): Promise<never> => {
      await Promise.resolve();
      throw new TypeError('planted');
    };
    expect((await found(later))[0]).toMatch(/^planted: TypeError: planted/);
  });

  test('measures what contains itself', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect(sizeOf(circle, 1000)).toBeGreaterThan(1000);
  });
});
