import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { SABOTAGES } from './options.ts';
import { SABOTAGE } from './sabotage.ts';

const workspace = path.resolve(import.meta.dirname, '../../..');

test.each(SABOTAGES)('%s finds what it removes exactly once, and changes it', (name) => {
  expect(SABOTAGE[name].length).toBeGreaterThan(0);
  for (const { file, find, replace } of SABOTAGE[name]) {
    expect(readFileSync(path.join(workspace, file), 'utf8').split(find)).toHaveLength(2);
    expect(replace).not.toBe(find);
  }
});
