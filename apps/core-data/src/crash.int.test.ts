import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createMqttBus } from '@antirio/bus';
import { makeEnvelope } from '@antirio/edgex-contracts';
import { httpPeer, openDatabase, silentLog, systemRandom, type Bus, type HttpPeer } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { testWhen } from '@antirio/testing';
import { MIGRATIONS } from './schema.ts';

const HOST = new URL('./crash-host.fixture.ts', import.meta.url).pathname;
/** Kills in one run; 50 for the long form. */
const KILLS = Number(process.env['CRASH_KILLS'] ?? 2);
const MAX_WAL_BYTES = 32 << 20;

interface Running {
  readonly child: ChildProcess;
  readonly peer: HttpPeer;
  readonly bus: Bus;
  kill(): Promise<void>;
}

let dataDir: string;
let running: Running | undefined;
let number = 0;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-crash-'));
});
afterEach(async () => {
  await running?.kill();
  rmSync(dataDir, { recursive: true });
});

async function start(folder = dataDir): Promise<Running> {
  const child = fork(HOST, [folder], { env: { ...process.env, NODE_OPTIONS: '' }, execArgv: [] });
  const [ports] = (await once(child, 'message')) as [{ http: number; mqtt: number }];
  const peer = httpPeer({ url: `http://127.0.0.1:${ports.http}/api/v3` });
  const limits = { publishTimeoutMs: 5_000 };
  const bus = createMqttBus({ url: `mqtt://127.0.0.1:${ports.mqtt}` }, silentLog, limits);
  const started: Running = {
    child,
    peer,
    bus,
    async kill() {
      running = undefined;
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      peer.close();
      await bus.close();
    },
  };
  running = started;
  return started;
}

function requestOf(id: string, padding = ''): Record<string, unknown> {
  const n = number++;
  const names = { deviceName: `d${n % 7}`, profileName: 'p' };
  const value = `${n}${padding}`;
  const reading = { ...names, origin: 1 + n, resourceName: `r${n % 3}`, valueType: 'String', value };
  const event = { ...names, apiVersion: 'v3', id, sourceName: 's', origin: 1 + n, readings: [reading] };
  return { apiVersion: 'v3', event };
}

type Send = (id: string, padding?: string) => Promise<boolean>;

const deviceOf = (request: Record<string, unknown>): string =>
  (request['event'] as { deviceName: string }).deviceName;

/** Resolves with whether it was acknowledged. */
const byHttp =
  ({ peer }: Running): Send =>
  async (id, padding) => {
    const request = requestOf(id, padding);
    const path = `/event/svc/p/${deviceOf(request)}/s`;
    const answer = await peer.call({ method: 'POST', path, json: request }).catch(() => undefined);
    return answer?.status === 201;
  };

const byMqtt =
  ({ bus }: Running): Send =>
  async (id, padding) => {
    const request = requestOf(id, padding);
    const topic = `edgex/events/device/svc/p/${deviceOf(request)}/s`;
    const payload = makeEnvelope(request, { correlationID: id });
    return bus.publish(topic, payload, { qos: 1 }).then(
      () => true,
      () => false,
    );
  };

/** Many at once until it is killed, in the middle of them, after so many acknowledgements. Returns what was acknowledged. */
async function killedBurst(core: Running, send: Send, killAfter: number): Promise<string[]> {
  const acknowledged: string[] = [];
  let killed: Promise<void> | undefined;
  const ended = once(core.child, 'exit').then(() => false);
  const sender = async (): Promise<void> => {
    while (killed === undefined) {
      const id = uuidV4(systemRandom);
      const isAcknowledged = await Promise.race([send(id), ended]);
      if (isAcknowledged) acknowledged.push(id);
      if (acknowledged.length >= killAfter) killed ??= core.kill();
    }
  };
  await Promise.all(Array.from({ length: 64 }, sender));
  await killed;
  return acknowledged;
}

async function missing(ids: readonly string[], { peer }: Running): Promise<string[]> {
  const waiting = [...ids];
  const lost: string[] = [];
  const asker = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop())
      if ((await peer.call({ path: `/event/id/${id}` })).status !== 200) lost.push(id);
  };
  await Promise.all(Array.from({ length: 8 }, asker));
  return lost;
}

const storeFile = (suffix = '', folder = dataDir): string => join(folder, 'core-data', `events.db${suffix}`);

function expectWhole(): void {
  const db = openDatabase(storeFile(), MIGRATIONS);
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  db.close();
}

test(
  'after SIGKILLs in bursts by HTTP and by MQTT, with torn ends of the log, nothing acknowledged is missing',
  async () => {
    const acknowledged: string[] = [];
    for (let i = 0; i < KILLS; i++) {
      const core = await start();
      const send = i % 2 === 0 ? byMqtt(core) : byHttp(core);
      acknowledged.push(...(await killedBurst(core, send, 20 + ((i * 97) % 300))));
      expect(statSync(storeFile('-wal')).size).toBeLessThan(MAX_WAL_BYTES);
      // What a write that the kill or a power cut broke off leaves behind.
      if (i % 3 < 2) appendFileSync(storeFile('-wal'), systemRandom.bytes(1 + ((i * 1237) % 9000)));
    }
    const core = await start();
    expect(await missing(acknowledged, core)).toEqual([]);
    expect(await byMqtt(core)(uuidV4(systemRandom))).toBe(true);
    await core.kill();
    expectWhole();
  },
  30_000 + KILLS * 15_000,
);

test('what a kill costs of messages with QoS 0 came after the last commit', async () => {
  const core = await start();
  const sent: string[] = [];
  const publish = (): Promise<void> => {
    const id = uuidV4(systemRandom);
    const request = requestOf(id);
    sent.push(id);
    const topic = `edgex/events/device/svc/p/${deviceOf(request)}/s`;
    return core.bus.publish(topic, makeEnvelope(request, { correlationID: id }));
  };
  for (let i = 0; i < 40; i++) {
    await Promise.all(Array.from({ length: 10 }, publish));
    await delay(2);
  }
  // Long enough for a commit, even here: all of this had come.
  await delay(1000);
  const old = sent.length;
  await publish();
  await core.kill();
  const again = await start();
  expect(await missing(sent.slice(0, old), again)).toEqual([]);
});

/** A file system of its own that is soon full, with room besides for what a checkpoint needs; undefined where nobody may mount one. */
function mountSmall(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
}

function unmount(folder: string): void {
  execFileSync('umount', [folder]);
  rmSync(folder, { recursive: true });
}

function mayMount(): boolean {
  const folder = mountSmall();
  if (folder !== undefined) unmount(folder);
  return folder !== undefined;
}

/** Takes what room is left, where a small commit would still fit. */
function takeRest(file: string): void {
  try {
    for (;;) appendFileSync(file, new Uint8Array(4096));
  } catch {
    // full
  }
}

testWhen(mayMount(), 'nobody may mount a small file system here')(
  'on a full disk nothing is acknowledged that is not stored; health tells, and it goes on when there is room again',
  async () => {
    const folder = mountSmall() ?? '';
    try {
      mkdirSync(join(folder, 'data'));
      writeFileSync(join(folder, 'filler'), new Uint8Array(10 << 20));
      const core = await start(join(folder, 'data'));
      const acknowledged: string[] = [];
      const padding = 'x'.repeat(20_000);
      const fill = async (send: Send): Promise<void> => {
        for (let isFull = false; !isFull;) {
          const ids = Array.from({ length: 8 }, () => uuidV4(systemRandom));
          const taken = await Promise.all(ids.map((id) => send(id, padding)));
          acknowledged.push(...ids.filter((_, i) => taken[i]));
          isFull = taken.includes(false);
        }
      };
      await fill(byHttp(core));
      takeRest(join(folder, 'rest'));
      const refused = await core.peer.call({ method: 'POST', path: '/event/svc/p/d0/s', json: {} });
      expect(refused.status).toBe(400);
      expect((await core.peer.call({ path: '/ping' })).status).toBe(200);
      expect((await core.peer.call({ path: '/ready' })).json()).toMatchObject({
        ready: false,
        checks: { store: { ok: false } },
      });
      expect(await byMqtt(core)(uuidV4(systemRandom), padding.repeat(40))).toBe(false);
      expect(await missing(acknowledged, core)).toEqual([]);
      rmSync(join(folder, 'filler'));
      rmSync(join(folder, 'rest'));
      while ((await core.peer.call({ path: '/ready' })).status !== 200) await delay(50);
      const id = uuidV4(systemRandom);
      expect(await byHttp(core)(id)).toBe(true);
      await core.kill();
      const again = await start(join(folder, 'data'));
      expect(await missing([...acknowledged, id], again)).toEqual([]);
      await again.kill();
    } finally {
      await running?.kill();
      unmount(folder);
    }
  },
  60_000,
);
