import { beforeEach, describe, expect, test } from '@jest/globals';
import { createSourceTurns, type SourceTurns } from './source-turns.ts';

let now = 0;
let turns: SourceTurns;
const up = (...wanting: readonly (readonly [string, 'now' | 'guard' | 'rest'])[]): string[] =>
  wanting.filter(([id, want]) => turns.isUp(id, want)).map(([id]) => id);

beforeEach(() => {
  now = 0;
  turns = createSourceTurns(() => now);
});

describe('turns at the source', () => {
  test('who is alone has it for as long as it wants', () => {
    for (now = 0; now < 60_000; now += 200) expect(up(['one', 'guard'])).toEqual(['one']);
    turns.leave('one');
    expect(turns.idle()).toBe(true);
  });

  test('what is left of an ended contract and a live one take turns, and neither waits for ever', () => {
    const seen: Record<string, number> = {};
    for (now = 0; now < 60_000; now += 200) {
      const [id = '', ...others] = up(['old', 'rest'], ['new', 'guard']);
      expect(others).toEqual([]);
      seen[id] = (seen[id] ?? 0) + 200;
    }
    expect(seen['old']).toBeGreaterThanOrEqual(15_000);
    expect(seen['new']).toBeGreaterThanOrEqual(30_000);
  });

  test('a return goes before everything else, and the newest of several begins', () => {
    expect(up(['old', 'rest'])).toEqual(['old']);
    now = 200;
    up(['old', 'rest'], ['new', 'now']);
    for (now = 400; now < 30_000; now += 200) expect(up(['old', 'rest'], ['new', 'now'])).toEqual(['new']);
  });

  test('who has left is passed over', () => {
    up(['old', 'rest'], ['new', 'guard']);
    turns.leave('old');
    now = 100;
    expect(up(['new', 'guard'])).toEqual(['new']);
  });
});
