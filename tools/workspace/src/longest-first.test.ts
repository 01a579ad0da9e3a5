import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { LONGEST, longestFirst } from './longest-first.ts';
import { workspaceRoot } from './root.ts';

const at = (file: string): { path: string } => ({ path: join(workspaceRoot, file) });

test('every file that is to begin early is there, and named once', () => {
  expect(LONGEST.filter((file) => !existsSync(join(workspaceRoot, file)))).toEqual([]);
  expect(new Set(LONGEST).size).toBe(LONGEST.length);
});

test('the longest begin first, and the others stay in their order', () => {
  const [longest = '', second = ''] = LONGEST;
  const given = ['b.test.ts', second, 'a.test.ts', longest, 'c.test.ts'].map(at);
  expect(longestFirst(given)).toEqual([longest, second, 'b.test.ts', 'a.test.ts', 'c.test.ts'].map(at));
});
