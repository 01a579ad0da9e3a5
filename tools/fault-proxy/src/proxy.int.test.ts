import { afterEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { LinkOptionsInput } from './faults.ts';
import { FaultProxyError } from './errors.ts';
import { createFaultProxy } from './proxy.ts';

const target = { host: '127.0.0.1', port: 9 };
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const action of cleanUp.splice(0)) await action();
});

async function withLinks(
  ...links: Partial<LinkOptionsInput>[]
): Promise<ReturnType<typeof createFaultProxy>> {
  const proxy = createFaultProxy();
  cleanUp.push(() => proxy.close());
  for (const link of links) await proxy.addLink({ name: 'x', kind: 'udp', target, ...link });
  return proxy;
}

const codeOf = async (action: () => unknown): Promise<string> => {
  try {
    await action();
    return 'none';
  } catch (error) {
    return error instanceof FaultProxyError ? error.code : String(error);
  }
};

test('a group is switched together, and nothing else with it', async () => {
  const proxy = await withLinks(
    { name: 'a-central', kind: 'tcp', groups: ['a'] },
    { name: 'a-b', groups: ['a', 'b'] },
    { name: 'b-central', groups: ['b'] },
  );
  proxy.cut({ group: 'a' });
  expect(proxy.status().map(({ cut }) => cut !== null)).toEqual([true, true, false]);
  proxy.heal({ link: 'a-b' });
  expect(proxy.status().map(({ cut }) => cut !== null)).toEqual([true, false, false]);
  await proxy.removeLink('a-central');
  expect(proxy.status().map(({ name }) => name)).toEqual(['a-b', 'b-central']);
});

test('what cannot be done is refused with a reason', async () => {
  const proxy = await withLinks({});
  const { port } = proxy.status()[0]!;
  /** Those that are closed go with the next turns. */
  const sockets = async (): Promise<number> => {
    for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
    return process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWrap').length;
  };
  const before = await sockets();
  const add = (link: object): Promise<unknown> => proxy.addLink({ name: 'y', kind: 'udp', target, ...link });
  expect(await codeOf(() => add({ name: 'x' }))).toBe('linkExists');
  expect(await codeOf(() => add({ kind: 'sctp' }))).toBe('badOptions');
  expect(await codeOf(() => add({ faults: { loss: 2 } }))).toBe('badOptions');
  expect(await codeOf(() => add({ lag: 2 }))).toBe('badOptions');
  expect(await codeOf(() => add({ target: { host: 'no-such-host.invalid', port: 1 } }))).toBe('badTarget');
  expect(await codeOf(() => add({ listenPort: port }))).toBe('cannotListen');
  expect(await sockets()).toBe(before);
  expect(await codeOf(() => add({ kind: 'tcp', listenHost: '192.0.2.1' }))).toBe('cannotListen');
  expect(await codeOf(() => proxy.cut({ link: 'nowhere' }))).toBe('unknownLink');
  expect(await codeOf(() => proxy.cut({ group: 'nobody' }))).toBe('unknownLink');
  expect(await codeOf(() => proxy.setFaults({ all: true }, { delayMs: -1 }))).toBe('badOptions');
  expect(await codeOf(() => proxy.removeLink('nowhere'))).toBe('unknownLink');
  expect(await codeOf(() => add({}))).toBe('none');
});

test('as a process it obeys the commands on its standard input', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'fault-proxy-'));
  const echo = createSocket('udp4');
  echo.on('message', (bytes, from) => echo.send(bytes, from.port, from.address));
  echo.bind(0, '127.0.0.1');
  await once(echo, 'listening');
  const config = path.join(folder, 'links.json');
  const echoTarget = { host: '127.0.0.1', port: echo.address().port };
  writeFileSync(config, JSON.stringify({ links: [{ name: 'first', kind: 'udp', target: echoTarget }] }));
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'main.ts'), '--config', config]);
  const client = createSocket('udp4');
  cleanUp.push(
    () => child.kill('SIGKILL'),
    () => echo.close(),
    () => client.close(),
    () => rmSync(folder, { recursive: true }),
  );
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const event = async (): Promise<Record<string, unknown>> =>
    JSON.parse((await lines.next()).value as string) as Record<string, unknown>;
  const say = async (command: object): Promise<Record<string, unknown>> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    return event();
  };

  const ready = await event();
  expect(ready).toMatchObject({ event: 'ready', links: [{ name: 'first' }] });
  const [{ port }] = ready.links as [{ port: number }];
  client.send('ping', port, '127.0.0.1');
  const [answer] = (await once(client, 'message')) as [Buffer];
  expect(answer.toString()).toBe('ping');

  const link = { name: 'second', kind: 'tcp', target: echoTarget, groups: ['g'] };
  expect(await say({ cmd: 'add', link })).toMatchObject({ event: 'add', link: { name: 'second' } });
  expect(await say({ cmd: 'cut', group: 'g', mode: 'reset' })).toEqual({ event: 'cut' });
  expect(await say({ cmd: 'set', link: 'first', faults: { loss: 1 }, direction: 'toTarget' })).toEqual({
    event: 'set',
  });
  const status = await say({ cmd: 'status' });
  expect(status.links).toMatchObject([
    { name: 'first', cut: null, faults: { toTarget: { loss: 1 }, toClient: { loss: 0 } } },
    { name: 'second', cut: { mode: 'reset' } },
  ]);
  expect(await say({ cmd: 'heal', all: true })).toEqual({ event: 'heal' });
  expect(await say({ cmd: 'retarget', link: 'first', host: '127.0.0.1', port: 9 })).toMatchObject({
    event: 'retarget',
  });
  expect(await say({ cmd: 'cut' })).toMatchObject({ event: 'error', code: 'badCommand' });
  expect(await say({ cmd: 'cut', all: true, mode: 'gently' })).toMatchObject({
    event: 'error',
    code: 'badOptions',
  });
  expect(await say({ cmd: 'explode' })).toMatchObject({ event: 'error', code: 'badCommand' });
  expect(await say({ cmd: 'remove', link: 'second' })).toMatchObject({ event: 'remove' });
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});
