import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
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
  while (countUplinks(await readTruth(file('truth.jsonl'))).heard === 0) await sleep(50);
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

const replayed = (): string[] =>
  server.datagrams.flatMap(({ body }) => body.rxpk ?? []).map(({ data, freq }) => `${data} ${String(freq)}`);

test('a truth log is sent again, frame by frame, over real sockets', async () => {
  const first = run(config(), '--log', file('truth.jsonl'), '--start');
  await server.waitFor(() => replayed().length >= 8);
  first.say({ cmd: 'quit' });
  await first.exited;
  const { identities } = await readTruth(file('truth.jsonl'));
  const heard = countUplinks({ identities }).heard;
  const original = replayed();
  const before = server.datagrams.length;
  const again = run(config(), '--replay', file('truth.jsonl'), '--speed', '50');
  const report = await again.event();
  expect(await again.exited).toEqual([0, null]);
  expect(heard).toBeGreaterThan(0);
  expect(report).toMatchObject({ event: 'replayed', unreadableLines: 0 });
  const frames = server.datagrams.slice(before).flatMap(({ body }) => body.rxpk ?? []);
  expect(report).toMatchObject({ frames: frames.length, acked: frames.length });
  const sentAgain = frames.map(({ data, freq }) => `${data} ${String(freq)}`);
  // What was heard last may not have been pushed any more when the first run ended.
  expect(sentAgain.slice(0, original.length)).toEqual(original);
});

test('a recorded trace keeps its intervals, or is sent faster, and its tmst where wanted', async () => {
  const lines = [0, 400, 800].map((at, index) =>
    JSON.stringify({
      at: 5_000 + at,
      gateway: '00000000AABBCCDD',
      rxpk: { tmst: 7 + index, freq: 868.1, data: 'AQI=' },
    }),
  );
  writeFileSync(file('trace.jsonl'), `${lines.join('\n')}\n\n{"at":`);
  const arrivals: number[] = [];
  server.onPacket = () => arrivals.push(performance.now());
  const running = run(config(), '--replay', file('trace.jsonl'), '--speed', '2', '--keep-tmst');
  expect(await running.event()).toMatchObject({ event: 'replayed', frames: 3, acked: 3, unreadableLines: 1 });
  await running.exited;
  const packets = server.datagrams.flatMap(({ body }) => body.rxpk ?? []);
  expect(packets.map(({ tmst }) => tmst)).toEqual([7, 8, 9]);
  // 400 ms at double speed; a busy machine makes it later, never sooner.
  expect(arrivals[2]! - arrivals[0]!).toBeGreaterThan(350);
});

test.each([
  [
    'of a gateway that nobody configured',
    '{"at":1,"gateway":"ffffffffffffffff","rxpk":{"data":"AQI="}}',
    'line 1: gateway',
  ],
  ['without a time', '\n{"gateway":"00000000aabbccdd","rxpk":{"data":"AQI="}}', 'line 2'],
  ['without data', '{"at":1,"gateway":"00000000aabbccdd","rxpk":{}}', 'rxpk.data'],
])('a trace %s ends it with a clear error', async (_, trace, message) => {
  writeFileSync(file('trace.jsonl'), trace);
  const running = run(config(), '--replay', file('trace.jsonl'));
  expect(await running.event()).toMatchObject({
    ...{ event: 'error', code: 'badTrace' },
    message: expect.stringContaining(message),
  });
  expect(await running.exited).toEqual([1, null]);
});

test.each([
  ['no trace', ['--replay', '/nowhere/trace.jsonl'], 'badTrace'],
  ['no speed', ['--replay', '/nowhere/trace.jsonl', '--speed', '0'], 'badConfig'],
  ['a log of a replay', ['--replay', '/nowhere/trace.jsonl', '--log', '/nowhere/log'], 'badConfig'],
  ['a log of no size', ['--log', '/nowhere/log', '--log-max-mb', 'much'], 'badConfig'],
])('%s is refused', async (_, args, code) => {
  const running = run(config(), ...args);
  expect(await running.event()).toMatchObject({ event: 'error', code });
  expect(await running.exited).toEqual([1, null]);
});

test('motes are asked about, moved and made to join by command', async () => {
  const gateways = [{ id: '00000000aabbccdd', port: server.port, position: { lat: 38.2, lon: 21.7 } }];
  const running = run({ motes: 2, otaa: 0.5, gateways });
  await running.event();
  const ask = async (command: object): Promise<Record<string, unknown>> => {
    running.say(command);
    return running.event();
  };
  expect(await ask({ cmd: 'mote', mote: 'mote-0002' })).toMatchObject({
    event: 'mote',
    joined: false,
    devAddr: null,
  });
  expect(await ask({ cmd: 'rejoin', mote: 'mote-0002' })).toEqual({ event: 'rejoin', mote: 'mote-0002' });
  expect(await ask({ cmd: 'rejoin', mote: 'mote-0001' })).toMatchObject({ code: 'notOtaa' });
  const position = { lat: 38.2, lon: 21.7 };
  expect(await ask({ cmd: 'moveMote', mote: 'mote-0001', position })).toMatchObject({ event: 'moveMote' });
  expect(await ask({ cmd: 'mote', mote: 'mote-0001' })).toMatchObject({ position: { x: 0, y: 0 } });
  expect(await ask({ cmd: 'moveMote', mote: 'mote-0001', position: { x: 1 } })).toMatchObject({
    code: 'badCommand',
  });
  expect(await ask({ cmd: 'moveMote', mote: 'mote-0001', position: { x: 1, y: 1 } })).toMatchObject({
    code: 'badCommand',
    message: 'positions are in degrees here',
  });
  expect(await ask({ cmd: 'moveGateway', gateway: 'ff'.repeat(8), position })).toMatchObject({
    code: 'unknownGateway',
  });
  expect(await ask({ cmd: 'mote', mote: 'nobody' })).toMatchObject({ code: 'unknownMote' });
});

test.each([
  ['a bad configuration', { gateways: [] }],
  ['no JSON', '{'],
])('%s ends it with a clear error', async (_, bad) => {
  const running = run(bad);
  expect(await running.event()).toMatchObject({ event: 'error', code: 'badConfig' });
  expect(await running.exited).toEqual([1, null]);
});
