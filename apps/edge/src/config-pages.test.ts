import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { configReference } from './config-reference.ts';
import { sectionsOf } from './config-sections.ts';
import { configTemplate } from './config-template.ts';
import { commonConfig, readConfig, roomOptions, type EdgeConfig } from './config.ts';
import { allRooms } from './loaders.ts';

test('docs/configuration.md tells the options that there are: antirio config reference > docs/configuration.md', async () => {
  const page = configReference(commonConfig, await sectionsOf(allRooms()));
  expect(page).toBe(readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8'));
});

test('the file that antirio init writes means what no file means: what stands in it are the defaults', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-config-'));
  try {
    const none = readConfig({ dataDir: folder }, {});
    const file = join(folder, 'written.jsonc');
    writeFileSync(file, configTemplate(commonConfig, {}, await sectionsOf(allRooms())));
    const written = readConfig({ dataDir: folder, config: file }, {});
    for (const room of allRooms()) {
      const loaded = await room.load();
      const meant = (config: EdgeConfig) => loaded.schema.parse(roomOptions(room, loaded, config, 'A'));
      expect([room.key, meant(written)]).toEqual([room.key, meant(none)]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
