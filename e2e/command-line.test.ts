import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { testWhen } from '@antirio/testing';
import { expectHonoured } from './support/verdicts.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** The command as a user types it: all of its stdout is one JSON object. */
async function demo(...flags: readonly string[]): Promise<unknown> {
  const args = ['-s', 'run', 'demo', '--', '--json', '--duration', '3', ...flags];
  const { stdout } = await run('npm', args, { cwd: root, timeout: 280_000, maxBuffer: 1 << 20 });
  return JSON.parse(stdout);
}

const engineAnswers = await run('docker', ['version'], { timeout: 10_000 }).then(
  () => true,
  () => false,
);

test('`npm run -s demo -- --json` prints one JSON object and nothing else', async () => {
  expectHonoured(await demo('--seed', 'command-line'));
});

testWhen(engineAnswers, 'no container engine answers')(
  'the same with the device service as a real container',
  async () => {
    expectHonoured(await demo('--seed', 'container', '--runtime', 'docker'));
  },
);

test('a flag that does not exist is refused in words, with another exit code than a failed demo', async () => {
  await expect(demo('--no-such-flag')).rejects.toMatchObject({
    stderr: expect.stringContaining('no-such-flag') as unknown,
  });
});
