import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { workspaceRoot } from './root.ts';

const NAMES = { name: 'fresh', version: '0.1.0' };
const ECHO = 'console.log(JSON.stringify(process.argv.slice(2)))';
const UNTIL_TERMINATED = `
  process.on('SIGTERM', () => { console.log('terminated'); process.exit(7); });
  setInterval(() => undefined, 1000);
  console.log('ready');
`;

let root: string;
let started: ChildProcess[];

/** A fresh workspace without dependencies, in which the real setup.mjs stands. */
beforeEach(() => {
  started = [];
  root = mkdtempSync(join(tmpdir(), 'antirio-setup-'));
  mkdirSync(join(root, 'tools'));
  cpSync(join(workspaceRoot, 'tools/setup.mjs'), join(root, 'tools/setup.mjs'));
  write('echo.mjs', ECHO);
  write('wait.mjs', UNTIL_TERMINATED);
  write('package.json', {
    ...NAMES,
    workspaces: ['libs/*'],
    scripts: { 'echo:run': 'exec node echo.mjs', 'fail:run': 'exit 5', 'wait:run': 'exec node wait.mjs' },
  });
  write('package-lock.json', {
    ...NAMES,
    lockfileVersion: 3,
    requires: true,
    packages: { '': { ...NAMES, workspaces: ['libs/*'] } },
  });
});

afterEach(() => {
  for (const { pid } of started) endGroup(pid);
  rmSync(root, { recursive: true, force: true });
});

/** Ends what a failed test may have left running. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone, as it should be.
  }
}

function write(path: string, content: string | object): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(
    join(root, path),
    typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`,
  );
}

function start(...args: string[]) {
  const child = spawn(process.execPath, [join(root, 'tools/setup.mjs'), ...args], {
    cwd: tmpdir(),
    env: { ...process.env, PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  started.push(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }));
  return { child, output, ended };
}

test('sets up, then runs the task with its arguments; stdout is the task’s alone', async () => {
  const { code, stdout, stderr } = await start('echo', '--json', 'a b').ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: '["--json","a b"]\n' });
  expect(stderr).toContain('Setting up');
});

test('sets up once, and again after a change of a package.json', async () => {
  await start().ended;
  expect((await start('echo').ended).stderr).toBe('');
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as object;
  write('package.json', { ...manifest, description: 'changed' });
  expect((await start('echo').ended).stderr).toContain('Setting up');
});

test('passes the exit code of the task on', async () => {
  expect((await start('fail').ended).code).toBe(5);
});

test('says so where there is no such task', async () => {
  const { code, stderr } = await start('sing').ended;
  expect(code).toBe(1);
  expect(stderr).toContain('There is no script sing:run');
});

test('passes signals on, and waits for the task to end', async () => {
  const { child, output, ended } = start('wait');
  while (!output.stdout.includes('ready')) await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const { code, stdout } = await ended;
  expect({ code, stdout }).toEqual({ code: 7, stdout: 'ready\nterminated\n' });
});

test('refuses a lock that the install would change, and leaves the lock as it was', async () => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  write('libs/forgotten/package.json', { name: '@antirio/forgotten', version: '0.1.0' });
  const { code, stderr, stdout } = await start('echo').ended;
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('package-lock.json does not fit');
  expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).toBe(lock);
});

test('the scripts of this workspace let signals through to their task', () => {
  const { scripts } = JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const tasks = Object.entries(scripts).filter(([, command]) => /\bnode\b/.test(command));
  for (const [name, command] of tasks)
    expect([name, command]).toEqual([name, expect.stringMatching(/^exec node /)]);
});

test('says so where the tasks would run on an old Node', async () => {
  write('node_modules/.bin/node', '#!/bin/sh\necho 20.1.0\n');
  chmodSync(join(root, 'node_modules/.bin/node'), 0o755);
  const { code, stderr } = await start('echo').ended;
  expect(code).toBe(1);
  expect(stderr).toContain('Node 24 or newer is needed');
});
