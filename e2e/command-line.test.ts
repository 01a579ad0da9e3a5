import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { runCommand } from './support/command.ts';

// What the demo prints with `--json` is looked at where demos run: in handover.test.ts.

test('a flag that does not exist is refused in words, with another exit code than a failed demo', async () => {
  const said = await runCommand('npm', ['run', '-s', 'demo', '--', '--json', '--no-such-flag']);
  expect(said).toMatchObject({ code: 2, stdout: '' });
  expect(said.stderr).toContain('no-such-flag');
});

test.each([
  ['at the top', '{ "bananas": true }', 'bananas'],
  ["in a room's section", '{ "coreData": { "maxResultsCount": 5 } }', 'maxResultsCount'],
])('an unknown key %s of a configuration stops the start and is named', async (_where, text, named) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'antirio-config-'));
  try {
    const config = path.join(folder, 'antirio.jsonc');
    writeFileSync(config, text);
    const said = await runCommand('npx', ['antirio', 'up', '--config', config, '--data-dir', folder]);
    expect(said).toMatchObject({ code: 1, stdout: '' });
    expect(said.stderr).toContain(named);
    expect(said.stderr).not.toContain('    at ');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
