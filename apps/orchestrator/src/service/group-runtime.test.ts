import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { Instance, InstanceState, Runtime, ServiceSpec } from '@antirio/runtime';
import { groupRuntime, socketOf, type Companion, type GroupRuntime } from './group-runtime.ts';

const MAIN = 'contract';
const LIMITS = { memoryBytes: 1 << 24, cpus: 1, pids: 16 };
let linksDir: string;
let servers: Server[];
let did: string[];
let states: Map<string, InstanceState>;
let listeners: ((id: string) => void)[];
/** Companions that never listen. */
let mute: Set<string>;
/** Companions that end as soon as they are started. */
let brief: Set<string>;
let group: GroupRuntime;

const nameOf = (id: string): string => (id === MAIN ? 'main' : id.endsWith('1') ? 'db' : 'cache');

/** Remembers what it was asked for; who is started listens. */
function fakeRuntime(): Runtime {
  const become = (what: string, state: InstanceState) => async (id: string) => {
    if (!states.has(id)) throw new AntirioError('notFound', id);
    did.push(`${what} ${nameOf(id)}`);
    const listens = what === 'start' && id !== MAIN && states.get(id) !== 'frozen' && !mute.has(nameOf(id));
    states.set(id, brief.has(nameOf(id)) ? 'exited' : state);
    if (listens) await listen(nameOf(id));
  };
  const instanceOf = (id: string, state: InstanceState): Instance => ({
    id,
    epoch: 0,
    imageId: `of ${nameOf(id)}`,
    state,
  });
  const runtime = {
    prepare: async ({ id }: ServiceSpec) => void states.set(id, 'created'),
    start: become('start', 'running'),
    stop: become('stop', 'exited'),
    freeze: become('freeze', 'frozen'),
    thaw: become('thaw', 'running'),
    async remove(id: string) {
      if (states.delete(id)) did.push(`remove ${nameOf(id)}`);
    },
    unload: async (imageId: string) => void did.push(`unload ${imageId}`),
    instance: async (id: string) => {
      const state = states.get(id);
      return state === undefined ? undefined : instanceOf(id, state);
    },
    list: async () => [...states].map(([id, state]) => instanceOf(id, state)),
    onExit: (listener: (id: string) => void) => listeners.push(listener),
  };
  return runtime as unknown as Runtime;
}

function listen(name: string): Promise<void> {
  const server = createServer((socket) => socket.end());
  servers.push(server);
  return new Promise((resolve) => server.listen(join(linksDir, `${name}.sock`), resolve));
}

const companion = (name: string, id: string, more: Partial<Companion> = {}): Companion => ({
  name,
  spec: {
    ...{ id, epoch: 0, imageId: `of ${name}`, linksDir, env: {}, limits: LIMITS },
    ...{ runDir: linksDir, dataDir: linksDir, secretsDir: linksDir },
  },
  ready: 'socket',
  readyWithinMs: 200,
  ...more,
});
const both = [companion('db', `${MAIN}-s0000000001`), companion('cache', `${MAIN}-s0000000002`)];

beforeEach(async () => {
  linksDir = mkdtempSync(join(tmpdir(), 'links-'));
  [servers, did, listeners] = [[], [], []];
  states = new Map();
  mute = new Set();
  brief = new Set();
  for (const one of both) Object.assign(one.spec, { linksDir });
  group = groupRuntime(fakeRuntime(), systemClock, silentLog);
  await group.prepareGroup(MAIN, both);
  states.set(MAIN, 'created');
});
afterEach(() => {
  for (const server of servers) server.close();
  rmSync(linksDir, { recursive: true, force: true });
});

test('all start in their order and the service itself last; they stop the other way round', async () => {
  await group.start(MAIN);
  await group.stop(MAIN);
  expect(did).toEqual(['start db', 'start cache', 'start main', 'stop main', 'stop cache', 'stop db']);
});

test('they are frozen after it, and thawed before it', async () => {
  await group.start(MAIN);
  did = [];
  await group.freeze(MAIN);
  await group.thaw(MAIN);
  expect(did).toEqual(['freeze main', 'freeze cache', 'freeze db', 'start db', 'start cache', 'thaw main']);
});

test('one that does not listen in its time keeps those after it from starting', async () => {
  mute.add('db');
  await expect(group.start(MAIN)).rejects.toThrow('db does not listen within 200 ms');
  expect(did).toEqual(['start db']);
});

test('one that ends before it listens is not waited for any longer', async () => {
  mute.add('db');
  brief.add('db');
  await group.prepareGroup(MAIN, [companion('db', `${MAIN}-s0000000001`, { readyWithinMs: 60_000 })]);
  await expect(group.start(MAIN)).rejects.toThrow('db has ended by itself');
});

test('one that is only to run is not waited for', async () => {
  mute.add('db');
  await group.prepareGroup(MAIN, [companion('db', `${MAIN}-s0000000001`, { ready: 'started' })]);
  await group.start(MAIN);
  expect(did).toEqual(['start db', 'start main']);
});

test('where one ends by itself, the service that needs it is stopped, to be started again', async () => {
  await group.start(MAIN);
  states.set(`${MAIN}-s0000000001`, 'exited');
  for (const listener of listeners) listener(`${MAIN}-s0000000001`);
  const stopped = await waitFor(systemClock, 5000, () => (did.includes('stop main') ? true : undefined));
  expect(stopped).toBe(true);
});

test('the end of another contract’s, of the service itself, or of one that runs again changes nothing', async () => {
  await group.start(MAIN);
  did = [];
  for (const id of ['other-s0000000001', MAIN, `${MAIN}-s0000000001`])
    for (const listener of listeners) listener(id);
  await new Promise((resolve) => setImmediate(resolve));
  expect(did).toEqual([]);
});

test('a socket that one left behind does not pass for its successor', async () => {
  await listen('db');
  const [db] = both;
  expect(socketOf(db as Companion)).toBe(join(linksDir, 'db.sock'));
  mute.add('db');
  await expect(group.start(MAIN)).rejects.toThrow('db does not listen');
});

test('all are removed with it, also those of an earlier run, and their images with them', async () => {
  const later = groupRuntime(fakeRuntime(), systemClock, silentLog);
  states.set('other', 'running');
  await later.remove(MAIN);
  expect(did).toEqual(['remove main', 'remove cache', 'remove db', 'unload of cache', 'unload of db']);
  expect([...states.keys()]).toEqual(['other']);
});
