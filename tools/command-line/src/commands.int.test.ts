import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../../..');

const COMMANDS = {
  'npm test': 'tools/workspace/src/test.ts',
  'npm run check': 'tools/workspace/src/check.ts',
  'npm run sim': 'sim/src/main.ts',
  'npm run fuzz': 'tools/fuzz/src/main.ts',
  'npm run lab': 'tools/lab/src/main.ts',
  'npm run image': 'tools/device-image/src/main.ts',
  'npm run edge-image': 'tools/edge-image/src/main.ts',
  'npm run postman': 'tools/postman/src/main.ts',
};

const run = (file: string, ...argv: string[]) =>
  spawnSync(process.execPath, [file, ...argv], { cwd: ROOT, encoding: 'utf8' });

test.each(Object.entries(COMMANDS))('%s tells how it is used, and does nothing else', (name, file) => {
  const before = readdirSync(ROOT);
  const { status, stdout, stderr } = run(file, '--help');
  expect(stdout.startsWith(name)).toBe(true);
  expect({ status, stderr, files: readdirSync(ROOT) }).toEqual({ status: 0, stderr: '', files: before });
});

test.each(Object.entries(COMMANDS))(
  '%s says what is wrong with a flag that it does not know',
  (name, file) => {
    const { status, stdout, stderr } = run(file, '--no-such-flag');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain("'--no-such-flag'");
    expect(stderr).toContain(`\n${name}`);
    expect(stderr).not.toContain('    at ');
  },
);

test.each([
  [COMMANDS['npm test'], ['--kind', 'unit,ant'], '--kind knows unit, integration, sim, e2e, lab; not ant'],
  [COMMANDS['npm run check'], ['ants'], 'no such check: ants'],
  [
    COMMANDS['npm run sim'],
    ['--seeds', '1e3'],
    '--seeds is a whole number from 0 to 9007199254740991, not 1e3',
  ],
  [COMMANDS['npm run sim'], ['--workers', '65'], '--workers is a whole number from 1 to 64, not 65'],
  [COMMANDS['npm run sim'], ['--kind', 'ants'], '--kind is one of oneProvider,'],
  [COMMANDS['npm run fuzz'], ['--properties', '3/2'], '--properties is none or a part, such as 1/3; not 3/2'],
  [COMMANDS['npm run fuzz'], ['ants'], 'fuzz knows parsers, not ants'],
  [COMMANDS['npm run lab'], [], 'What shall the lab do?'],
  [COMMANDS['npm run lab'], ['up', '--with', 'ants'], 'not ants'],
  [COMMANDS['npm run image'], ['one.tar', 'two.tar'], 'two.tar is one word too many'],
])('%s %j is refused: %s', (file, argv, words) => {
  const { status, stderr } = run(file, ...argv);
  expect(stderr).toContain(words);
  expect(status).toBe(2);
});
