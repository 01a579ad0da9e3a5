import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openImageStore } from './image-store.ts';
import { buildLayer, writeImageArchive } from './test-image.ts';

const LIMITS = { maxBytes: 1 << 20, maxFiles: 100 };

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'images-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('what was on its way in or out when its process was killed is removed at the start, whole as it may be', async () => {
  const archive = join(dir, 'image.tar');
  await writeImageArchive(archive, { layers: [await buildLayer([{ name: 'app/main.mjs', content: '1' }])] });
  const images = join(dir, 'images');
  const { imageId } = await (await openImageStore(images, LIMITS)).load(archive);
  const [name = ''] = readdirSync(images);
  for (const other of ['.4711-1', '.4711-2'])
    cpSync(join(images, name), join(images, name + other), { recursive: true });
  rmSync(join(images, `${name}.4711-2`, 'complete'));
  const again = await openImageStore(images, LIMITS);
  expect(readdirSync(images)).toEqual([name]);
  expect(await again.get(imageId)).toBeDefined();
});
