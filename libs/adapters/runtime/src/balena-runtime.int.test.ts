import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import Docker from 'dockerode';
import { silentLog, systemClock } from '@antirio/host';
import { findEngines, localNodeFiles, onEachEngine } from '@antirio/testing';
import { createBalenaRuntime } from './balena-runtime.ts';
import { runtimeCompliance } from './runtime-compliance.ts';
import type { Runtime, ServiceSpec } from './runtime.ts';
import { startLocalSupervisor, type LocalSupervisor } from './supervisor.fixture.ts';
import { buildLayer, WATCHED_SERVICE, writeImageArchive } from './test-image.ts';

const OWN = { name: 'edge', commit: 'localcommit', releaseId: 1, services: {}, volumes: {}, networks: {} };

// How images are named is the engines' difference, and the other suite's matter
const engines = (await findEngines()).filter(({ store }) => store === 'graph driver');

onEachEngine(engines, (engineTest, { isThere }) => {
  const dir = mkdtempSync(join(tmpdir(), 'rtb-'));
  const appFile = join(dir, 'app.json');
  let supervisor: LocalSupervisor;
  let docker: Docker;

  const create = (folder: string, overrideLocks = false): Promise<Runtime> =>
    createBalenaRuntime({
      ...{ dir: folder, graceMs: 300, clock: systemClock, log: silentLog },
      balena: { address: supervisor.address, apiKey: supervisor.apiKey, appId: '1', appFile, overrideLocks },
    });

  beforeAll(async () => {
    if (!isThere) return;
    docker = new Docker();
    writeFileSync(appFile, JSON.stringify(OWN));
    supervisor = await startLocalSupervisor(docker);
  });
  afterAll(async () => {
    if (isThere) await supervisor.close();
    rmSync(dir, { recursive: true, force: true });
  });

  runtimeCompliance({
    name: 'balena',
    create: (folder) => create(folder),
    base: localNodeFiles,
    test: (name, run) => engineTest(name, run, 60_000),
    available: isThere,
  });

  describe('a balena device', () => {
    let runtime: Runtime;
    let imageId: string;
    let count = 0;
    beforeAll(async () => {
      if (!isThere) return;
      runtime = await create(join(dir, 'runtime'));
      const layers = [
        await buildLayer(localNodeFiles()),
        await buildLayer([{ name: 'app/main.mjs', content: WATCHED_SERVICE }]),
      ];
      const env = ['PATH=/usr/local/bin:/usr/bin', 'SUITE=a balena device'];
      await writeImageArchive(join(dir, 'image.tar'), { layers, env });
      ({ imageId } = await runtime.load(join(dir, 'image.tar')));
    });
    afterAll(async () => {
      if (!isThere) return;
      await runtime.close();
      await runtime.unload(imageId);
      expect(await namesOf(`antirio-b${process.pid}-*`)).toEqual([]);
    });
    const namesOf = async (reference: string): Promise<string[]> => {
      const found = await docker.listImages({ filters: { reference: [reference] } });
      return found.flatMap(({ RepoTags: tags }) => tags ?? []);
    };
    const specOf = (epoch = 1): ServiceSpec => {
      const id = `b${process.pid}-${++count}`;
      const folders = {
        runDir: join(dir, id, 'r'),
        dataDir: join(dir, id, 'd'),
        secretsDir: join(dir, id, 's'),
      };
      for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o777 });
      writeFileSync(join(folders.runDir, 'config.json'), JSON.stringify({ dataDir: '/tmp' }));
      return {
        id,
        epoch,
        imageId,
        ...folders,
        env: {},
        limits: { memoryBytes: 128 << 20, cpus: 0.5, pids: 64 },
      };
    };
    const newest = () => supervisor.targets.at(-1)?.local;

    engineTest('keeps its name, its configuration and its own services', async () => {
      const own = {
        '1': {
          serviceName: 'edge',
          serviceId: 1,
          imageId: 1,
          image: 'edge:1',
          running: false,
          labels: {},
          environment: {},
        },
      };
      const file = join(dir, 'own.json');
      writeFileSync(file, JSON.stringify({ ...OWN, services: own }));
      supervisor.createsStopped = false;
      const other = await createBalenaRuntime({
        ...{ dir: join(dir, 'other'), graceMs: 300, clock: systemClock, log: silentLog },
        balena: { ...supervisor, appId: '1', appFile: file, overrideLocks: false },
      });
      await other.load(join(dir, 'image.tar'));
      const spec = specOf(7);
      await other.prepare(spec, 'warm');
      expect(newest()).toMatchObject({ name: 'local', config: { SUPERVISOR_LOCAL_MODE: 'true' } });
      const { services = {} } = newest()?.apps['1'] ?? {};
      expect(services['1']).toMatchObject(own['1']);
      expect(Object.values(services)).toHaveLength(2);
      expect(Object.values(services)[1]).toMatchObject({
        running: false,
        network_mode: 'none',
        cap_drop: ['ALL'],
        read_only: true,
        restart: 'no',
        labels: { 'antirio.epoch': '7' },
      });
      // A supervisor that makes no container before it is to run: it is created all the same, and starts
      expect(await other.instance(spec.id)).toMatchObject({ state: 'created', epoch: 7 });
      await other.start(spec.id);
      expect(await other.instance(spec.id)).toMatchObject({ state: 'running', epoch: 7 });
      await other.close();
      expect(Object.keys(newest()?.apps['1']?.services ?? {})).toEqual(['1']);
      supervisor.createsStopped = true;
    });

    engineTest('gives each release a name of its own', async () => {
      const [one, two] = [specOf(), specOf()];
      await runtime.prepare(one, 'warm');
      await runtime.remove(one.id);
      await runtime.prepare({ ...two, id: one.id, epoch: 2 }, 'warm');
      const named = supervisor.targets.flatMap(({ local }) =>
        Object.values(local.apps['1']?.services ?? {}).map(({ image }) => image),
      );
      expect(new Set(named.filter((name) => name.includes(one.id))).size).toBe(2);
      await runtime.remove(one.id);
      expect((await docker.listVolumes()).Volumes.filter(({ Name }) => Name.includes(one.id))).toEqual([]);
      // The engine would remove an image with its last name: it stays until it is unloaded
      await runtime.prepare({ ...two, id: one.id, epoch: 3 }, 'warm');
      await runtime.remove(one.id);
      expect(await runtime.loaded(imageId)).toBe(true);
      expect((await namesOf(`antirio-${one.id}`)).length).toBeLessThanOrEqual(1);
    });

    engineTest('waits for an update lock, or overrides it where it is told to', async () => {
      const spec = specOf();
      supervisor.locked.add('edge');
      setTimeout(() => supervisor.locked.clear(), 300);
      await runtime.prepare(spec, 'hot');
      expect(supervisor.refused.some((line) => line.startsWith('423'))).toBe(true);
      await runtime.remove(spec.id);
      supervisor.locked.add('edge');
      const told = await runtime.prepare(spec, 'warm').catch((error: unknown) => error);
      expect(told).toMatchObject({ code: 'locked' });
      const bold = await create(join(dir, 'bold'), true);
      await bold.load(join(dir, 'image.tar'));
      await bold.prepare(spec, 'hot');
      expect(await bold.instance(spec.id)).toMatchObject({ state: 'running' });
      await bold.close();
      supervisor.locked.clear();
    });

    engineTest('outlives a supervisor that starts anew; says what keeps it out otherwise', async () => {
      const spec = specOf();
      supervisor.failing = 2;
      await runtime.prepare(spec, 'warm');
      await runtime.remove(spec.id);
      supervisor.localMode = false;
      const outside = await runtime.prepare(spec, 'warm').catch((error: unknown) => String(error));
      expect(outside).toMatch(/local mode/);
      supervisor.localMode = true;
      const stranger = createBalenaRuntime({
        ...{ dir: join(dir, 'stranger'), clock: systemClock, log: silentLog },
        balena: {
          address: supervisor.address,
          apiKey: 'guessed',
          appId: '1',
          appFile,
          overrideLocks: false,
        },
      });
      const other = await stranger;
      await other.load(join(dir, 'image.tar'));
      expect(String(await other.prepare(spec, 'warm').catch((error: unknown) => error))).toMatch(
        /io\.balena\.features\.supervisor-api/,
      );
      await other.close();
    });
  });
});
