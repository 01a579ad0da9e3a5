import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const fuzz = (...args: readonly string[]): { code: number | null; out: string; error: string } => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'main.ts'), ...args],
    { encoding: 'utf8', timeout: 50_000 },
  );
  return { code: status, out: stdout, error: stderr };
};

test('`parsers` tries each of them, tells what came of it and counts', () => {
  const { code, out } = fuzz('parsers', '--count', '1400', '--seed', '7');
  const lines = out.trim().split('\n');
  expect(lines[0]).toBe('seed 7');
  expect(out).toMatch(/^ok {5}MAC commands: \d+ inputs, /m);
  expect(out).toMatch(/^ok {5}1400 inputs, seed 7, \d+ s: heap /m);
  expect(lines.at(-1)).toMatch(/^\d+ passed, 0 failed, 0 skipped$/);
  expect(code).toBe(0);
});

test('what it does not know is refused', () => {
  for (const [args, why] of [
    [['parser'], /fuzz knows parsers/],
    [['parsers', '--count', '0'], /--count is a whole number/],
  ] as const) {
    const { code, error } = fuzz(...args);
    expect(error).toMatch(why);
    expect(code).not.toBe(0);
  }
});
