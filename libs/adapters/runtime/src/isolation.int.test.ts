import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { findEngines, localNodeFiles, onEachEngine } from '@antirio/testing';
import { createDockerRuntime } from './docker-runtime.ts';
import { HOSTILE } from './escapes.fixture.ts';
import type { Runtime, ServiceSpec } from './runtime.ts';
import { buildLayer, writeImageArchive } from './test-image.ts';

const TOOLS = ['/bin/sleep', '/usr/bin/unshare', '/usr/sbin/chroot'];
/** Node, the 64 MB that a container's /tmp may take of it, and what the memory bomb gets before it is stopped. */
const MEMORY = 192 << 20;
const PIDS = 40;

interface Found {
  readonly files: { readonly refusal: string; readonly mb: number };
  readonly forks: { readonly refusal: string; readonly started: number };
  readonly memory: { readonly signal: string; readonly mb: number; readonly whole: boolean };
  readonly writable: readonly string[];
}

/** What a service says on its socket, once. */
const say = (path: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    let heard = '';
    createConnection(path)
      .on('data', (chunk) => (heard += chunk.toString()))
      .on('end', () => resolve(heard))
      .on('error', () => resolve(undefined));
  });

const listening = (server: Server, where: string | number): Promise<void> =>
  new Promise((resolve) => {
    if (typeof where === 'string') server.listen(where, resolve);
    else server.listen(where, resolve);
  });

// the rules are the runtime's: which store the engine has its images in changes nothing of them
onEachEngine((await findEngines()).slice(0, 1), (engineTest, { isThere }) => {
  const dir = mkdtempSync(join(tmpdir(), 'rti-'));
  const abstract = `antirio-outside-${process.pid}`;
  const outside = [createServer((socket) => socket.end()), createServer((socket) => socket.end())];
  let runtime: Runtime;
  let imageId: string;
  let port = 0;

  beforeAll(async () => {
    if (!isThere) return;
    await listening(outside[0] as Server, `\0${abstract}`);
    await listening(outside[1] as Server, 0);
    port = (outside[1]?.address() as AddressInfo).port;
    runtime = await createDockerRuntime({
      ...{ graceMs: 300, clock: systemClock, log: silentLog },
      dir: join(dir, 'runtime'),
    });
    const tools = TOOLS.filter((path) => existsSync(path)).map((path) => ({
      ...{ name: path.slice(1), mode: 0o755 },
      content: readFileSync(path),
    }));
    const layers = [
      await buildLayer(localNodeFiles()),
      await buildLayer([...tools, { name: 'app/main.mjs', content: HOSTILE }]),
    ];
    await writeImageArchive(join(dir, 'image.tar'), { layers });
    ({ imageId } = await runtime.load(join(dir, 'image.tar')));
  });
  afterAll(async () => {
    for (const server of outside) server.close();
    if (isThere) {
      await runtime.close();
      await runtime.unload(imageId);
    }
    rmSync(dir, { recursive: true, force: true });
  });

  engineTest('a hostile service does not get out of its container, and its bombs go off inside', async () => {
    const folder = (name: string): string => {
      const path = join(dir, name);
      mkdirSync(path, { recursive: true });
      if (runtime.user !== undefined) chownSync(path, runtime.user.uid, runtime.user.gid);
      return path;
    };
    const spec: ServiceSpec = {
      ...{ id: `h${process.pid}`, epoch: 1, imageId },
      ...{ runDir: folder('run'), dataDir: folder('data'), secretsDir: folder('secrets') },
      env: { OUTSIDE: abstract, OUTSIDE_PORT: String(port) },
      limits: { memoryBytes: MEMORY, cpus: 1, pids: PIDS },
    };
    await runtime.prepare(spec, 'hot');
    const text = await waitFor(systemClock, 60_000, () => say(join(spec.runDir, 'svc.sock')));
    const found = JSON.parse(text ?? '{}') as Found;
    const NOT_PERMITTED = expect.stringMatching(/^[1-9]\d* Operation not permitted$/);
    const NO_WAY = expect.stringMatching(
      /^(?:ENETUNREACH|EHOSTUNREACH|ENETDOWN|ECONNREFUSED|EADDRNOTAVAIL)$/,
    );
    expect(found).toMatchObject({
      // no new namespaces, no other root
      ...{ unshare: NOT_PERMITTED, mountNamespace: NOT_PERMITTED, chroot: NOT_PERMITTED },
      // no devices, nothing of the kernel's to write, no engine
      blockDevices: [],
      kernel: Array(3).fill(expect.stringMatching(/^(?:EROFS|EACCES|ENOENT|EPERM)$/)),
      sockets: [],
      // not the host's network, nor its sockets that have no place in a file system
      ...{ abstract: NO_WAY, bridge: NO_WAY, host: NO_WAY },
      files: { refusal: 'ENOSPC' },
      forks: { refusal: 'EAGAIN' },
      memory: { signal: 'SIGKILL', whole: false },
    });
    expect(found.files.mb).toBeLessThanOrEqual(64);
    expect(found.forks.started).toBeLessThan(PIDS);
    expect(found.memory.mb << 20).toBeLessThan(MEMORY);
    // its own folders, and memory of its own
    const own = /^\/(?:run\/antirio|var\/lib\/antirio|tmp|dev\/(?:shm|mqueue))$/;
    expect(found.writable).toEqual(expect.arrayContaining(['/run/antirio', '/var/lib/antirio', '/tmp']));
    expect(found.writable.filter((path) => !own.test(path))).toEqual([]);
    // what went off inside took nothing else with it
    expect((await runtime.list()).map(({ id, state }) => [id, state])).toEqual([[spec.id, 'running']]);
    await runtime.remove(spec.id);
  });
});
