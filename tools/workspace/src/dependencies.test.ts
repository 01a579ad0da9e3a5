import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { advisoriesIn, faultsOf, isAllowed, type Lock, type LockedPackage } from './dependencies.ts';
import { workspaceRoot } from './root.ts';

const read = (name: string): unknown => JSON.parse(readFileSync(join(workspaceRoot, name), 'utf8'));
const integrity = `sha512-${'A'.repeat(86)}==`;
const lockOf = (one: LockedPackage, path = 'node_modules/x'): Lock => ({ packages: { [path]: one } });
const good = { integrity, license: 'MIT' };

test('what this workspace installs is pinned, hashed, allowed, and runs no script unasked', () => {
  const { allowScripts } = read('package.json') as { allowScripts: Record<string, boolean> };
  const lock = read('package-lock.json') as Lock;
  expect(Object.keys(lock.packages).length).toBeGreaterThan(500);
  expect(faultsOf(lock, allowScripts)).toEqual([]);
});

test.each([
  [{ ...good }, undefined],
  [{ license: 'MIT' }, 'no SHA-512'],
  [{ ...good, integrity: 'sha1-abc' }, 'no SHA-512'],
  [{ ...good, license: 'GPL-3.0' }, 'licence GPL-3.0'],
  [{ integrity }, 'licence (none)'],
  [{ ...good, hasInstallScript: true }, 'allowScripts'],
])('of a package %j is told: %s', (one, told) => {
  const faults = faultsOf(lockOf(one), {});
  expect(faults).toEqual(told === undefined ? [] : [expect.stringContaining(told)]);
});

test('a script that was decided on is none unasked; a workspace asks for exact versions', () => {
  expect(
    faultsOf(lockOf({ ...good, hasInstallScript: true }, 'node_modules/a/node_modules/x'), { x: false }),
  ).toEqual([]);
  expect(faultsOf(lockOf({ dependencies: { y: '1.2.3', z: '^1.0.0' } }, 'apps/a'), {})).toEqual([
    'apps/a asks for z ^1.0.0: pin one version',
  ]);
});

test('licences are read as SPDX has them', () => {
  expect(
    ['MIT', '(MIT OR GPL-2.0)', 'Apache-2.0 AND MIT', 'GPL-2.0', 'MIT AND GPL-2.0', 'UNLICENSED'].map(
      isAllowed,
    ),
  ).toEqual([...[true, true, true], ...[false, false, false]]);
});

test('grave advisories count, and a registry that does not answer is no clean bill', () => {
  expect(advisoriesIn({})).toBeUndefined();
  expect(advisoriesIn({ vulnerabilities: {} })).toEqual({ grave: [], others: 0 });
  const found = advisoriesIn({
    vulnerabilities: { a: { severity: 'critical', range: '<2' }, b: { severity: 'low' } },
  });
  expect(found).toEqual({ grave: ['a <2: a known vulnerability (critical)'], others: 1 });
});
