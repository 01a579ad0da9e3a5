import { describe, expect, test } from '@jest/globals';
import { billOfMaterials, UnlockedPackageError, type PackageLock } from './sbom.ts';

const digest = Buffer.alloc(64, 7);
const lock: PackageLock = {
  ...{ name: 'antirio', version: '0.1.0' },
  packages: {
    '': { version: '0.1.0' },
    'node_modules/zod': {
      version: '4.6.7',
      license: 'MIT',
      integrity: `sha512-${digest.toString('base64')}`,
    },
    'node_modules/@scope/of-two': { version: '1.0.0', license: '(MIT OR Apache-2.0)' },
    'node_modules/zod/node_modules/inner': { version: '2.0.0' },
    'node_modules/unused': { version: '9.0.0' },
  },
};

interface Bill {
  readonly components: readonly { readonly name: string; readonly version: string }[];
}

describe('the bill of materials of a bundle', () => {
  const inputs = [
    'node_modules/zod/v4/index.js',
    'node_modules/zod/node_modules/inner/a/b.js',
    'node_modules/@scope/of-two/lib/index.js',
    'apps/edge/src/main.ts',
  ];

  test('has each package of which a file is in it, once, and no other', () => {
    const { components } = JSON.parse(
      billOfMaterials([...inputs, 'node_modules/zod/v4/more.js'], lock),
    ) as Bill;
    expect(components.map(({ name, version }) => `${name} ${version}`)).toEqual([
      '@scope/of-two 1.0.0',
      'inner 2.0.0',
      'zod 4.6.7',
    ]);
  });

  test('has names, hashes and licences in CycloneDX’s manner', () => {
    const { components } = JSON.parse(billOfMaterials(inputs, lock)) as Bill;
    expect(components[2]).toMatchObject({
      purl: 'pkg:npm/zod@4.6.7',
      hashes: [{ alg: 'SHA-512', content: digest.toString('hex') }],
      licenses: [{ license: { id: 'MIT' } }],
    });
    expect(components[0]).toMatchObject({
      purl: 'pkg:npm/%40scope/of-two@1.0.0',
      licenses: [{ expression: '(MIT OR Apache-2.0)' }],
    });
  });

  test('is the same whatever the order of the files', () => {
    expect(billOfMaterials(inputs.toReversed(), lock)).toBe(billOfMaterials(inputs, lock));
  });

  test('is not made of what the lock does not know', () => {
    expect(() => billOfMaterials(['node_modules/smuggled/index.js'], lock)).toThrow(UnlockedPackageError);
  });
});
