import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { configReference } from './config-reference.ts';
import { sectionsOf } from './config-sections.ts';
import { commonConfig } from './config.ts';
import { allRooms } from './loaders.ts';

test('docs/configuration.md tells the options that there are: antirio config reference > docs/configuration.md', async () => {
  const page = configReference(commonConfig, await sectionsOf(allRooms()));
  expect(page).toBe(readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8'));
});
