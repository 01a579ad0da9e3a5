import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { workspaceRoot } from './root.ts';

/** What lint may assume: the tag says what a package may import, so it must say where the package stands. */
const TAG_OF_FOLDER: readonly (readonly [RegExp, string])[] = [
  [/^libs\/kernel$/, 'type:kernel'],
  [/^libs\/host$/, 'type:host'],
  [/^libs\/domain\/[^/]+$/, 'type:domain'],
  [/^libs\/adapters\/[^/]+$/, 'type:adapter'],
  [/^apps\/edge$/, 'type:edge'],
  [/^apps\/[^/]+$/, 'type:app'],
  [/^(tools\/[^/]+|sim)$/, 'type:tool'],
];

const read = (folder: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(workspaceRoot, folder, 'package.json'), 'utf8')) as Record<string, unknown>;

const inside = (folder: string): string[] =>
  existsSync(join(workspaceRoot, folder))
    ? readdirSync(join(workspaceRoot, folder)).map((name) => `${folder}/${name}`)
    : [];

const folders = ['apps', 'libs', 'libs/domain', 'libs/adapters', 'tools']
  .flatMap(inside)
  .concat('sim')
  .filter((folder) => existsSync(join(workspaceRoot, folder, 'package.json')));

const versionOf = new Map(folders.map((folder) => [read(folder)['name'], read(folder)['version']]));

test.each(folders)('%s is tagged by where it stands, so that its boundaries hold', (folder) => {
  const expected = TAG_OF_FOLDER.find(([pattern]) => pattern.test(folder))?.[1];
  const { tags } = read(folder)['nx'] as { tags: string[] };
  expect(tags.filter((tag) => tag.startsWith('type:'))).toEqual([expected]);
});

test.each(folders)('%s is a private ES module named after its folder', (folder) => {
  expect(read(folder)).toMatchObject({
    name: expect.stringMatching(/^@antirio\/[a-z0-9-]+$/),
    private: true,
    type: 'module',
  });
  expect(String(read(folder)['name'])).toContain(folder.split('/').at(-1));
});

test.each(folders)('%s asks for its fellow packages in the version they have', (folder) => {
  const wanted = { ...(read(folder)['dependencies'] ?? {}), ...(read(folder)['devDependencies'] ?? {}) };
  const fellows = Object.entries(wanted).filter(([name]) => name.startsWith('@antirio/'));
  for (const [name, version] of fellows) expect([name, version]).toEqual([name, versionOf.get(name)]);
});

test('the lock names no registry', () => {
  const lock = readFileSync(join(workspaceRoot, 'package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/"resolved": "(https?:|git)/);
});
