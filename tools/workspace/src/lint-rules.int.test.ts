import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { PlantedWorkspace, type Finding, type PlantedPackage } from './planted-workspace.ts';

/** The lawful part: each kind of package there is. */
const PACKAGES: readonly PlantedPackage[] = [
  { folder: 'libs/kernel', tags: ['type:kernel'] },
  { folder: 'libs/host', tags: ['type:host'] },
  { folder: 'libs/domain/contract', tags: ['type:domain'] },
  { folder: 'libs/domain/market', tags: ['type:domain'] },
  { folder: 'libs/adapters/store', tags: ['type:adapter'] },
  { folder: 'libs/adapters/bus', tags: ['type:adapter'] },
  { folder: 'apps/dmu', tags: ['type:app'] },
  { folder: 'apps/arbitrator', tags: ['type:app'] },
  { folder: 'apps/edge', tags: ['type:edge'] },
  { folder: 'tools/workbench', tags: ['type:tool'] },
  { folder: 'tools/radio-simulator', tags: ['type:tool'], dependencies: { 'lora-packet': '0.9.3' } },
];

const use = (...names: string[]): string =>
  names.map((name) => `export * from '@antirio/${name}';\n`).join('');

interface Planted {
  readonly what: string;
  /** The planted file's package. */
  readonly folder: string;
  readonly tags: readonly string[];
  readonly code: string;
  readonly rule: string;
  readonly message: RegExp;
  readonly file?: string;
}

let packages = 0;

/** Every break of a boundary gets a package of its own: together they would only be one large cycle. */
function boundary(what: string, at: string, tag: string | undefined, code: string, message: RegExp): Planted {
  const folder = `${at}/planted-${++packages}`;
  const tags = tag === undefined ? [] : [tag];
  return { what, folder, tags, code, rule: '@nx/enforce-module-boundaries', message };
}

const TAGS = /can only depend on libs tagged with/;

const BOUNDARY_BREAKS: readonly Planted[] = [
  boundary('an app imports another app', 'apps', 'type:app', use('arbitrator'), TAGS),
  boundary('an app imports the edge', 'apps', 'type:app', use('edge'), TAGS),
  boundary('an app imports a tool', 'apps', 'type:app', use('workbench'), TAGS),
  boundary(
    'an app imports a type of another app',
    'apps',
    'type:app',
    `export type { arbitrator } from '@antirio/arbitrator';\n`,
    TAGS,
  ),
  boundary(
    'an app loads another app at run time',
    'apps',
    'type:app',
    `export const other = import('@antirio/arbitrator');\n`,
    TAGS,
  ),
  boundary(
    'an app reaches into another by a relative path',
    'apps',
    'type:app',
    `export * from '../../arbitrator/src/index.ts';\n`,
    /cannot be imported by a relative/,
  ),
  boundary('the edge imports a tool', 'apps', 'type:edge', use('workbench'), TAGS),
  boundary('an adapter imports an app', 'libs/adapters', 'type:adapter', use('dmu'), TAGS),
  boundary('the host imports an adapter', 'libs', 'type:host', use('store'), TAGS),
  boundary('the host imports an app', 'libs', 'type:host', use('dmu'), TAGS),
  boundary('a domain library imports an adapter', 'libs/domain', 'type:domain', use('store'), TAGS),
  boundary('a domain library imports the host', 'libs/domain', 'type:domain', use('host'), TAGS),
  boundary('a domain library imports an app', 'libs/domain', 'type:domain', use('dmu'), TAGS),
  boundary('the kernel imports a domain library', 'libs', 'type:kernel', use('contract'), TAGS),
  boundary('the kernel imports the host', 'libs', 'type:kernel', use('host'), TAGS),
  boundary(
    'a package without a tag imports anything',
    'apps',
    undefined,
    use('kernel'),
    /project without tags matching/,
  ),
  boundary(
    'a package imports what no package.json declares',
    'apps',
    'type:app',
    `export { default } from 'finalhandler';\n`,
    /Only packages defined in the "package.json"/,
  ),
  boundary(
    'a package imports itself by its name',
    'libs',
    'type:adapter',
    use(`planted-${packages + 1}`),
    /relative imports/,
  ),
];

const restricted = (what: string, folder: string, code: string, rule: string, message = /./): Planted => ({
  what,
  folder,
  tags: [],
  code,
  rule,
  message,
});

const PURE = ['libs/domain/contract', 'libs/kernel'];

const BUILT_INS = [
  'node:fs',
  'fs',
  'fs/promises',
  'node:net',
  'node:timers/promises',
  'process',
  'node:sqlite',
];

const IMPURE_GLOBALS = [
  'new Date()',
  'Date.now()',
  'performance.now()',
  'setTimeout(() => undefined, 1)',
  'setInterval(() => undefined, 1)',
  'setImmediate(() => undefined)',
  'process.env',
  `fetch('http://127.0.0.1/')`,
  `console.log('here')`,
  'crypto.randomUUID()',
  'globalThis.Date.now()',
  'global.process',
];

const IMPURITIES = PURE.flatMap((folder) => [
  ...BUILT_INS.map((name) =>
    restricted(
      `${folder} imports ${name}`,
      folder,
      `import * as it from '${name}';\nexport const used = it;\n`,
      'no-restricted-imports',
      /is pure/,
    ),
  ),
  restricted(
    `${folder} passes a built-in on`,
    folder,
    `export * from 'node:path';\n`,
    'no-restricted-imports',
    /is pure/,
  ),
  restricted(
    `${folder} imports at run time`,
    folder,
    `export const it = import('node:fs');\n`,
    'no-restricted-syntax',
  ),
  ...IMPURE_GLOBALS.map((expression) =>
    restricted(
      `${folder} uses ${expression}`,
      folder,
      `export const it: unknown = ${expression};\n`,
      'no-restricted-globals',
    ),
  ),
  restricted(
    `${folder} uses Math.random`,
    folder,
    'export const it = Math.random();\n',
    'no-restricted-properties',
  ),
  restricted(
    `${folder} takes random`,
    folder,
    'export const { random } = Math;\n',
    'no-restricted-properties',
  ),
]);

const branches = Array.from({ length: 11 }, (_, n) => `  if (n === ${n}) return ${n + 1};\n`).join('');

const inApp = (what: string, code: string, rule: string): Planted => restricted(what, 'apps/dmu', code, rule);

const HOUSE_BREAKS: readonly Planted[] = [
  restricted(
    'a domain library imports node:crypto',
    'libs/domain/contract',
    `export { createHash } from 'node:crypto';\n`,
    'no-restricted-imports',
    /is pure/,
  ),
  restricted(
    'the simulator imports product code',
    'tools/radio-simulator',
    use('contract'),
    'no-restricted-imports',
    /independent witness/,
  ),
  inApp(
    'the product makes frames as the simulator does',
    `export { default } from 'lora-packet';\n`,
    'no-restricted-imports',
  ),
  inApp('a bare Error is thrown', `throw new Error('no');\n`, 'no-restricted-syntax'),
  inApp(
    'a promise is rejected with a bare Error',
    `export const it = Promise.reject(new Error('no'));\n`,
    'no-restricted-syntax',
  ),
  inApp(
    'a function branches more than ten times',
    `export function it(n: number): number {\n${branches}  return 0;\n}\n`,
    'complexity',
  ),
  inApp('any is written', 'export let it: any;\n', '@typescript-eslint/no-explicit-any'),
  inApp(
    'a value is said to be there without a reason',
    'export const it = (s?: string): string => s!;\n',
    '@typescript-eslint/no-non-null-assertion',
  ),
  inApp(
    'a promise is dropped',
    'export function it(p: Promise<void>): void {\n  p.then(() => 1);\n}\n',
    '@typescript-eslint/no-floating-promises',
  ),
  inApp(
    'a case of a union is forgotten',
    `export function it(s: 'a' | 'b'): void {\n  switch (s) {\n    case 'a':\n  }\n}\n`,
    '@typescript-eslint/switch-exhaustiveness-check',
  ),
  inApp(
    'a rule is switched off without a reason',
    '// eslint-disable-next-line @typescript-eslint/no-explicit-any\nexport let it: any;\n',
    'house/disable-needs-reason',
  ),
  ...['skip', 'only'].map((property) => ({
    ...inApp(
      `a test is written with .${property}`,
      `import { test } from '@jest/globals';\ntest.${property}('it', () => undefined);\n`,
      'no-restricted-properties',
    ),
    file: `planted-${property}.test.ts`,
  })),
];

const LAWFUL = [
  { folder: 'libs/kernel', code: `export { createHash } from 'node:crypto';\n` },
  { folder: 'libs/host', code: `export * from 'node:fs';\n${use('kernel')}` },
  { folder: 'libs/domain/contract', code: use('kernel', 'market') },
  {
    folder: 'libs/adapters/store',
    code: `${use('kernel', 'contract', 'host', 'bus')}export const at = Date.now();\n`,
  },
  { folder: 'apps/dmu', code: use('kernel', 'contract', 'host', 'store') },
  { folder: 'apps/edge', code: use('dmu', 'arbitrator', 'store') },
  { folder: 'tools/workbench', code: use('edge', 'dmu', 'contract') },
  { folder: 'tools/radio-simulator', code: `${use('kernel')}export { default } from 'lora-packet';\n` },
];

const BREAKS = [...BOUNDARY_BREAKS, ...IMPURITIES, ...HOUSE_BREAKS].map((planted, n) => ({
  ...planted,
  path: `${planted.folder}/src/${planted.file ?? `planted-${n}.ts`}`,
}));

describe('the rules of the house', () => {
  const workspace = new PlantedWorkspace([...PACKAGES, ...BOUNDARY_BREAKS]);
  let findings: ReadonlyMap<string, readonly Finding[]>;

  beforeAll(async () => {
    for (const { path, code } of BREAKS) workspace.write(path, code);
    for (const { folder, code } of LAWFUL) workspace.write(`${folder}/src/lawful.ts`, code);
    findings = await workspace.lint();
  });

  afterAll(() => workspace.remove());

  test.each(BREAKS)('$what: $rule bites', ({ path, rule, message }) => {
    expect(findings.get(path)).toContainEqual({ rule, message: expect.stringMatching(message) });
  });

  test.each(LAWFUL)('what $folder may do is left alone', ({ folder }) => {
    expect(findings.get(`${folder}/src/lawful.ts`)).toEqual([]);
  });
});
