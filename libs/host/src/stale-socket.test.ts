import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { removeStaleSocket } from './stale-socket.ts';

let folder: string;
let path: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-socket-'));
  path = join(folder, 'a.sock');
});
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

test('the socket of a killed process is removed, nothing is where there is none', async () => {
  await removeStaleSocket(path);
  const listen = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.stdout.write('x'))`;
  const child = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(existsSync(path)).toBe(true);
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(false);
});

test('a socket that somebody listens on stays theirs', async () => {
  server = createServer().listen(path);
  await once(server, 'listening');
  await expect(removeStaleSocket(path)).rejects.toMatchObject({ code: 'unavailable' });
  expect(existsSync(path)).toBe(true);
});

test('a file is not taken for a socket', async () => {
  writeFileSync(path, 'kept');
  await expect(removeStaleSocket(path)).rejects.toMatchObject({ code: 'badConfig' });
  expect(readFileSync(path, 'utf8')).toBe('kept');
});
