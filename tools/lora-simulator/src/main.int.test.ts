import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { NetworkServer } from './network-server.test-support.ts';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { openNetworkServer } from './network-server.test-support.ts';
import { countUplinks, readTruth } from './read-truth.ts';

const MAIN = path.join(import.meta.dirname, 'main.ts');

let folder = '';
let server: NetworkServer;
const children: ChildProcessWithoutNullStreams[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'simulator-cli-'));
  server = await openNetworkServer();
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  server.close();
  rmSync(folder, { recursive: true });
});

const file = (name: string): string => path.join(folder, name);

interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<unknown[]>;
  say(command: object): void;
  event(): Promise<Record<string, unknown>>;
}

function run(config: unknown, ...args: string[]): Running {
  writeFileSync(file('sim.json'), typeof config === 'string' ? config : JSON.stringify(config));
  const child = spawn(process.execPath, [MAIN, '--config', file('sim.json'), ...args]);
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    exited: once(child, 'exit'),
    say: (command) => child.stdin.write(`${JSON.stringify(command)}\n`),
    event: async () => JSON.parse((await lines.next()).value as string) as Record<string, unknown>,
  };
}

const config = (): object => ({
  motes: 5,
  gateways: [{ id: '00000000aabbccdd', port: server.port, loss: 0 }],
});

test('it obeys its commands and leaves a complete truth', async () => {
  const running = run(config(), '--log', file('truth.jsonl'));
  expect(await running.event()).toMatchObject({ event: 'ready', motes: 5 });
  running.say({ cmd: 'start' });
  expect(await running.event()).toEqual({ event: 'started' });
  await server.waitFor(({ identifier }) => identifier === 0);
  running.say({ cmd: 'dance' });
  expect(await running.event()).toMatchObject({ event: 'error', code: 'badCommand' });
  running.say({ cmd: 'gatewayLoss', gateway: 'ffffffffffffffff', loss: 1 });
  expect(await running.event()).toMatchObject({ event: 'error', code: 'unknownGateway' });
  running.say({ cmd: 'gatewayLoss', gateway: '00000000aabbccdd', loss: 0.5 });
  expect(await running.event()).toMatchObject({ event: 'gatewayLoss' });
  running.say({ cmd: 'gatewayTarget', gateway: '00000000aabbccdd', host: '127.0.0.1', port: server.port });
  expect(await running.event()).toMatchObject({ event: 'gatewayTarget' });
  running.say({ cmd: 'pause' });
  expect(await running.event()).toEqual({ event: 'paused' });
  running.say({ cmd: 'stopTraffic' });
  running.say({ cmd: 'status' });
  expect(await running.event()).toMatchObject({ event: 'status', state: 'stopped' });
  expect(await running.event()).toMatchObject({ event: 'drained' });
  running.say({ cmd: 'quit' });
  expect(await running.event()).toEqual({ event: 'quit' });
  expect(await running.exited).toEqual([0, null]);
  const truth = await readTruth(file('truth.jsonl'));
  expect(truth.end).toBeDefined();
  expect(countUplinks(truth).covered).toBeGreaterThan(0);
});

test('it ends in order when its standard input does', async () => {
  const running = run(config(), '--log', file('truth.jsonl'), '--start');
  await server.waitFor(({ identifier }) => identifier === 0);
  running.child.stdin.end();
  expect(await running.exited).toEqual([0, null]);
  expect((await readTruth(file('truth.jsonl'))).end).toBeDefined();
});

test('it ends in order on SIGTERM', async () => {
  const running = run(config(), '--log', file('truth.jsonl'), '--start');
  await server.waitFor(({ identifier }) => identifier === 0);
  running.child.kill('SIGTERM');
  expect(await running.exited).toEqual([0, null]);
  expect((await readTruth(file('truth.jsonl'))).end).toBeDefined();
});

test('killed, it leaves a readable truth', async () => {
  const running = run(config(), '--log', file('truth.jsonl'), '--start');
  await server.waitFor(({ identifier }) => identifier === 0);
  running.child.kill('SIGKILL');
  await running.exited;
  const truth = await readTruth(file('truth.jsonl'));
  expect(countUplinks(truth).heard).toBeGreaterThan(0);
  expect(truth.end).toBeUndefined();
});

test('it writes the devices file that edges are provisioned with, for its owner alone', async () => {
  const running = run(config(), '--export-devices', file('devices.json'));
  expect(await running.exited).toEqual([0, null]);
  const devices: unknown = JSON.parse(readFileSync(file('devices.json'), 'utf8'));
  expect(devices).toEqual(devicesOf(parseConfig(config())));
  expect(statSync(file('devices.json')).mode & 0o777).toBe(0o600);
});

test.each([
  ['a bad configuration', { gateways: [] }],
  ['no JSON', '{'],
])('%s ends it with a clear error', async (_, bad) => {
  const running = run(bad);
  expect(await running.event()).toMatchObject({ event: 'error', code: 'badConfig' });
  expect(await running.exited).toEqual([1, null]);
});
