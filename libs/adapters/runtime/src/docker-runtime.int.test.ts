import { spawnSync } from 'node:child_process';
import { chownSync, createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Docker from 'dockerode';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { findEngines, localNodeFiles, onEachEngine } from '@antirio/testing';
import { createDockerRuntime } from './docker-runtime.ts';
import { verifyImageArchive } from './image-archive.ts';
import { runtimeCompliance } from './runtime-compliance.ts';
import type { Runtime, ServiceSpec } from './runtime.ts';
import { buildLayer, writeImageArchive } from './test-image.ts';

const base = { graceMs: 300, clock: systemClock, log: silentLog };

/** Tries what a foreign service must not be able to do, and tells how it went. */
const INTRUDER = `
import { readFileSync, writeFileSync, readdirSync, existsSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { networkInterfaces } from 'node:os';
process.stdin.resume();
const run = process.env.ANTIRIO_RUN_DIR;
const attempt = (work) => { try { work(); return 'done'; } catch (error) { return error.code ?? String(error); } };
const status = readFileSync('/proc/self/status', 'utf8');
const line = (name) => new RegExp('^' + name + ':\\\\s*(.*)$', 'm').exec(status)?.[1];
const found = {
  root: attempt(() => writeFileSync('/intruded', 'x')),
  app: attempt(() => writeFileSync('/app/main.mjs', 'x')),
  secrets: attempt(() => writeFileSync('/run/antirio-secrets/x', 'x')),
  data: attempt(() => writeFileSync(process.env.HOME + '/kept', 'x')),
  tmp: attempt(() => writeFileSync('/tmp/x', 'x')),
  become: attempt(() => process.setuid(0)),
  uid: process.getuid(),
  capabilities: [line('CapPrm'), line('CapEff'), line('CapBnd')],
  noNewPrivileges: line('NoNewPrivs'),
  interfaces: Object.keys(networkInterfaces()).filter((name) => name !== 'lo'),
  engineSocket: existsSync('/var/run/docker.sock'),
};
const socket = connect({ host: '172.17.0.1', port: 22 });
socket.on('error', (error) => { found.network = error.code; serve(); });
socket.on('connect', () => { found.network = 'connected'; serve(); });
function serve() { createServer((s) => s.end(JSON.stringify(found))).listen(run + '/svc.sock'); }
`;

onEachEngine(await findEngines(), (engineTest, { isThere }) => {
  runtimeCompliance({
    name: 'docker',
    create: (dir) => createDockerRuntime({ ...base, dir }),
    base: localNodeFiles,
    test: (name, run) => engineTest(name, run, 60_000),
    available: isThere,
  });

  describe('a container', () => {
    const dir = mkdtempSync(join(tmpdir(), 'rtd-'));
    let docker: Docker;
    let runtime: Runtime;
    let imageId: string;

    beforeAll(async () => {
      if (!isThere) return;
      docker = new Docker();
      runtime = await createDockerRuntime({ ...base, dir: join(dir, 'runtime') });
      const layers = [
        await buildLayer(localNodeFiles()),
        await buildLayer([{ name: 'app/main.mjs', content: INTRUDER }]),
      ];
      await writeImageArchive(join(dir, 'image.tar'), { layers, repoTags: ['antirio-test-stolen:name'] });
      ({ imageId } = await runtime.load(join(dir, 'image.tar')));
    });
    afterAll(async () => {
      if (isThere) {
        await runtime.close();
        await runtime.unload(imageId);
      }
      rmSync(dir, { recursive: true, force: true });
    });

    const specOf = (id: string, epoch = 1): ServiceSpec => {
      const folder = (name: string): string => {
        const path = join(dir, id, name);
        mkdirSync(path, { recursive: true });
        if (runtime.user !== undefined) chownSync(path, runtime.user.uid, runtime.user.gid);
        return path;
      };
      return {
        id,
        epoch,
        imageId,
        runDir: folder('run'),
        dataDir: folder('data'),
        secretsDir: folder('secrets'),
        env: {},
        limits: { memoryBytes: 128 << 20, cpus: 0.5, pids: 32 },
      };
    };

    engineTest('can do nothing but write its data and serve its socket', async () => {
      const spec = specOf(`i${process.pid}`);
      await runtime.prepare(spec, 'hot');
      const text = await waitFor(
        systemClock,
        60_000,
        () =>
          new Promise<string | undefined>((resolve) => {
            let heard = '';
            createConnection(join(spec.runDir, 'svc.sock'))
              .on('data', (chunk) => (heard += chunk.toString()))
              .on('end', () => resolve(heard))
              .on('error', () => resolve(undefined));
          }),
      );
      const found = JSON.parse(text ?? '{}') as Record<string, unknown>;
      const nothing = '0000000000000000';
      expect(found).toMatchObject({
        root: 'EROFS',
        app: 'EROFS',
        secrets: 'EROFS',
        data: 'done',
        tmp: 'done',
        become: 'EPERM',
        capabilities: [nothing, nothing, nothing],
        noNewPrivileges: '1',
        interfaces: [],
        engineSocket: false,
      });
      expect(found['uid']).not.toBe(0);
      expect(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN']).toContain(found['network']);
    });

    engineTest('carries its contract and epoch, and the limits of the contract', async () => {
      const spec = specOf(`l${process.pid}`, 7);
      await runtime.prepare(spec, 'warm');
      const all = await docker.listContainers({
        all: true,
        filters: { label: [`antirio.contract=${spec.id}`] },
      });
      expect(all.map(({ Labels }) => Labels['antirio.epoch'])).toEqual(['7']);
      const { HostConfig } = await docker.getContainer(all[0]!.Id).inspect();
      expect(HostConfig).toMatchObject({
        Memory: 128 << 20,
        NanoCpus: 5e8,
        PidsLimit: 32,
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        Privileged: false,
      });
      await runtime.remove(spec.id);
    });

    engineTest(
      'of a second version the engine is given the layer that it lacks, and gives the image back as it is',
      async () => {
        const path = join(dir, 'version.tar');
        const base = await buildLayer([{ name: 'base', content: dir.repeat(1000) }]);
        const version = async (content: string) =>
          writeImageArchive(path, { layers: [base, await buildLayer([{ name: 'app', content }])] });
        await version('first');
        const first = await runtime.load(path);
        expect(first).toMatchObject({ loadedLayers: 2, skippedLayers: 0, fellBack: false });
        const id = await version('second');
        const loaded = await runtime.load(path);
        expect(loaded.imageId).toBe(id);
        expect(loaded).toMatchObject({ loadedLayers: 1, skippedLayers: 1, fellBack: false });
        const saved = join(dir, 'saved.tar');
        await pipeline(await runtime.export(id), createWriteStream(saved));
        expect(await verifyImageArchive(saved)).toBe(id);
        await runtime.unload(first.imageId);
        await runtime.unload(id);
        expect(await runtime.loaded(id)).toBe(false);
        await expect(runtime.export('antirio-test-nothing:here')).rejects.toMatchObject({ code: 'notFound' });
      },
    );

    engineTest('takes no names that its archive claims', async () => {
      await expect(docker.getImage('antirio-test-stolen:name').inspect()).rejects.toMatchObject({
        statusCode: 404,
      });
      expect(await runtime.loaded(imageId)).toBe(true);
    });

    engineTest('of an earlier run is removed by the next, and only those of the same edge', async () => {
      const other = await createDockerRuntime({ ...base, dir: join(dir, 'other') });
      await other.load(join(dir, 'image.tar'));
      const ours = specOf(`o${process.pid}`);
      await runtime.prepare(ours, 'hot');
      await runtime.freeze(ours.id);
      const theirs = specOf(`t${process.pid}`);
      await other.prepare(theirs, 'hot');
      const again = await createDockerRuntime({ ...base, dir: join(dir, 'runtime') });
      expect(await again.list()).toEqual([]);
      expect(await again.loaded(imageId)).toBe(true);
      expect((await other.list()).map(({ id, state }) => [id, state])).toEqual([[theirs.id, 'running']]);
      await again.close();
      await other.close();
    });
  });
});

test('the engine’s client is loaded only by those who want an engine', () => {
  const script = `
    import { createRequire } from 'node:module';
    import { createRuntime } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    import { silentLog, systemClock } from '@antirio/host';
    import { mkdtempSync, rmSync } from 'node:fs';
    const dir = mkdtempSync('/tmp/rt-lazy-');
    const options = { dir, clock: systemClock, log: silentLog };
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('dockerode'));
    await (await createRuntime('process', options)).close();
    const before = loaded();
    const refused = await createRuntime('docker', options).then(() => 'engine', (error) => error.code);
    rmSync(dir, { recursive: true });
    console.log(JSON.stringify([before, loaded(), refused]));`;
  const env = { ...process.env, NODE_OPTIONS: '', DOCKER_HOST: 'unix:///nowhere/docker.sock' };
  const args = ['--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: import.meta.dirname,
    env,
    encoding: 'utf8',
  });
  expect([stderr, stdout.trim()]).toEqual(['', '[false,true,"unavailable"]']);
});
