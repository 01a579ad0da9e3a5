import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { httpPeer } from '@antirio/host';

type Line = Record<string, unknown>;

let dataDir: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-alone-'));
});
afterEach(async () => {
  if (child?.exitCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(dataDir, { recursive: true, force: true });
});

/** Runs it until it listens or ends; what it has logged. */
async function runUntilListening(env: Record<string, string>): Promise<Line[]> {
  const lines: Line[] = [];
  const program = spawn(process.execPath, [join(import.meta.dirname, 'alone-host.fixture.ts')], {
    env: { PATH: process.env['PATH'], ALONE_DATA: dataDir, MESSAGEBUS_PORT: '1', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child = program;
  const listening = new Promise<void>((resolve) => {
    createInterface(program.stderr).on('line', (line) => {
      lines.push(line.startsWith('{') ? (JSON.parse(line) as Line) : { line });
      if (lines.at(-1)?.['msg'] === 'listening') resolve();
    });
  });
  await Promise.race([listening, once(program, 'close')]);
  return lines;
}

async function configOf(lines: readonly Line[]): Promise<unknown> {
  const peer = httpPeer({
    url: `http://127.0.0.1:${String(lines.find(({ port }) => port !== undefined)?.['port'])}`,
  });
  try {
    return (await peer.call({ path: '/api/v3/config' })).json();
  } finally {
    peer.close();
  }
}

test('a service takes what EdgeX’s environment says, and tells what it does not', async () => {
  const lines = await runUntilListening({
    EDGEX_INSTANCE_NAME: '2',
    DRIVER_BAUD: '19200',
    DRIVER_STOPBITS: '1',
    POLLER_WRITABLE_RETRIES: '4',
    DEVICE_LABELS: 'a, b',
    DEVICE_MAXCMDVALUELEN: '256',
    SERVICE_STARTUPMSG: 'here we are',
  });
  expect(await configOf(lines)).toMatchObject({
    serviceName: 'device-alone_2',
    config: {
      custom: { Poller: { Interval: 5, Writable: { Retries: '4' } } },
      driver: { Baud: '19200', Parity: 'none' },
      device: { labels: ['a', 'b'] },
    },
  });
  expect(lines.map(({ msg }) => msg)).toContain('here we are');
  expect(lines.find(({ variables }) => variables !== undefined)).toMatchObject({
    variables: { DRIVER_STOPBITS: 'no such key is configured', DEVICE_MAXCMDVALUELEN: expect.any(String) },
  });
});

test('a broker that wants a login gets the secret, and without it the service does not start', async () => {
  const lines = await runUntilListening({
    MESSAGEBUS_AUTHMODE: 'usernamepassword',
    MESSAGEBUS_SECRETNAME: 'bus',
  });
  expect(JSON.stringify(lines)).toContain('the message bus wants the secret');
  expect(child?.exitCode).toBe(1);
});
