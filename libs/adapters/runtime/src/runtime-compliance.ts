import { createConnection } from 'node:net';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { waitFor, systemClock } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { Runtime, ServiceSpec } from './runtime.ts';
import { buildLayer, WATCHED_SERVICE, writeImageArchive, type LayerEntry } from './test-image.ts';

export interface Candidate {
  readonly name: string;
  /** A runtime with a grace of 300 ms. */
  readonly create: (dir: string) => Promise<Runtime>;
  /** What an image needs below the service for its `node` to be there. */
  readonly base: () => readonly LayerEntry[];
  readonly test: (name: string, run: () => Promise<void>) => void;
  readonly available: boolean;
}

const LIMITS = { memoryBytes: 256 << 20, cpus: 1, pids: 64 };

function ask(socketPath: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let text = '';
    createConnection(socketPath)
      .on('data', (chunk) => (text += chunk.toString()))
      .on('end', () => resolve(JSON.parse(text) as Record<string, unknown>))
      .on('error', reject);
  });
}

/** What every runtime must do. */
export function runtimeCompliance(candidate: Candidate): void {
  const { test } = candidate;
  describe(`runtime ${candidate.name}`, () => {
    let dir: string;
    let runtime: Runtime;
    let archive: string;
    let imageId: string;
    let count = 0;

    const code = async (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'none',
        (error: unknown) => (error instanceof AntirioError ? error.code : String(error)),
      );
    const give = (path: string): void => {
      if (runtime.user !== undefined) chownSync(path, runtime.user.uid, runtime.user.gid);
    };
    const newSpec = (config: Record<string, unknown> = {}): ServiceSpec => {
      const id = `c${process.pid}-${++count}`;
      const spec = {
        id,
        epoch: 3,
        imageId,
        runDir: join(dir, id, 'run'),
        dataDir: join(dir, id, 'data'),
        secretsDir: join(dir, id, 'secrets'),
        env: { GREETING: 'kalimera' },
        limits: LIMITS,
      };
      for (const folder of [spec.runDir, spec.dataDir, spec.secretsDir]) {
        mkdirSync(folder, { recursive: true });
        give(folder);
      }
      const view = runtime.view(spec);
      const content = { dataDir: view.dataDir, secretsFile: `${view.secretsDir}/keys.json`, ...config };
      writeFileSync(join(spec.runDir, 'config.json'), JSON.stringify(content));
      return spec;
    };
    const stateOf = async (id: string): Promise<string | undefined> => (await runtime.instance(id))?.state;
    const ticks = (spec: ServiceSpec): number => {
      const path = join(spec.dataDir, 'ticks');
      return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
    };
    const until = async (what: () => boolean | Promise<boolean>): Promise<void> => {
      const met = await waitFor(systemClock, 60_000, async () => ((await what()) ? true : undefined));
      expect(met).toBe(true);
    };
    const untilTicking = (spec: ServiceSpec): Promise<void> => {
      const before = ticks(spec);
      return until(() => ticks(spec) > before + 1);
    };
    const started = async (config: Record<string, unknown> = {}): Promise<ServiceSpec> => {
      const spec = newSpec(config);
      await runtime.prepare(spec, 'hot');
      await untilTicking(spec);
      return spec;
    };

    beforeAll(async () => {
      if (!candidate.available) return;
      dir = mkdtempSync(join(tmpdir(), 'rt-'));
      runtime = await candidate.create(join(dir, 'runtime'));
      archive = join(dir, 'service.tar');
      const app = await buildLayer([{ name: 'app/main.mjs', content: WATCHED_SERVICE }]);
      const base = candidate.base();
      const layers = base.length === 0 ? [app] : [await buildLayer(base), app];
      // Its own in each suite: they share engines, and each removes its image in the end
      const env = ['PATH=/usr/local/bin:/usr/bin', `SUITE=${candidate.name}`];
      imageId = await writeImageArchive(archive, { layers, env });
      expect(await runtime.load(archive)).toMatchObject({ imageId });
    });

    afterAll(async () => {
      if (!candidate.available) return;
      await runtime.close();
      await runtime.unload(imageId);
      rmSync(dir, { recursive: true, force: true });
    });

    test('loading again gives the same image id', async () => {
      expect(await runtime.load(archive, imageId)).toMatchObject({
        imageId,
        loadedLayers: 0,
        fellBack: false,
      });
      expect(await runtime.loaded(imageId)).toBe(true);
      expect(await runtime.loaded(`sha256:${'0'.repeat(64)}`)).toBe(false);
    });

    test('another image than the expected one, changed layers and what is no archive are refused', async () => {
      expect(await code(runtime.load(archive, `sha256:${'0'.repeat(64)}`))).toBe('corrupt');
      const bad = join(dir, 'bad.tar');
      const layers = [await buildLayer([{ name: 'app/main.mjs', content: 'original' }])];
      const storedLayers = [await buildLayer([{ name: 'app/main.mjs', content: 'tampered' }])];
      const id = await writeImageArchive(bad, { layers, storedLayers });
      expect(await code(runtime.load(bad))).toBe('corrupt');
      expect(await runtime.loaded(id)).toBe(false);
      writeFileSync(bad, 'this is no tar at all '.repeat(100));
      expect(await code(runtime.load(bad))).toBe('corrupt');
      expect(await code(runtime.load(join(dir, 'absent.tar')))).toBe('notFound');
    });

    test('an image that is not loaded cannot be prepared, a bad id never', async () => {
      const spec = newSpec();
      expect(await code(runtime.prepare({ ...spec, imageId: `sha256:${'1'.repeat(64)}` }, 'warm'))).toBe(
        'notFound',
      );
      expect(await code(runtime.prepare({ ...spec, id: '../up' }, 'warm'))).toBe('invalidInput');
      expect(await code(runtime.start('nobody'))).toBe('notFound');
    });

    test('warm is created and does not run; preparing twice changes nothing; another spec is a conflict', async () => {
      const spec = newSpec();
      await runtime.prepare(spec, 'warm');
      await runtime.prepare(spec, 'warm');
      expect(await stateOf(spec.id)).toBe('created');
      expect(await code(runtime.prepare({ ...spec, epoch: 4 }, 'warm'))).toBe('conflict');
      expect(await code(runtime.freeze(spec.id))).toBe('conflict');
      expect(await code(runtime.unload(imageId))).toBe('conflict');
      await runtime.start(spec.id);
      await untilTicking(spec);
      const [there] = (await runtime.list()).filter(({ id }) => id === spec.id);
      expect(there).toMatchObject({ state: 'running', epoch: 3, imageId });
      expect(await runtime.instance(spec.id)).toEqual(there);
      await runtime.remove(spec.id);
    });

    test('the service sees its folders, its environment and secrets given later, and nothing of ours', async () => {
      process.env['ANTIRIO_TEST_PRIVATE'] = 'ours';
      const spec = await started();
      const keys = join(spec.secretsDir, 'keys.json');
      writeFileSync(keys, 'opened', { mode: 0o600 });
      give(keys);
      const seen = await ask(join(spec.runDir, 'svc.sock'));
      expect(seen['secret']).toBe('opened');
      expect(seen['env']).toMatchObject({ GREETING: 'kalimera', ANTIRIO_RUN_DIR: runtime.view(spec).runDir });
      expect(seen['env']).not.toHaveProperty('ANTIRIO_TEST_PRIVATE');
      expect(String(seen['cwd'])).toMatch(/\/app$/);
      await runtime.remove(spec.id);
    });

    test('a frozen service does nothing, a thawed one goes on where it was', async () => {
      const spec = await started();
      await runtime.freeze(spec.id);
      await runtime.freeze(spec.id);
      expect(await stateOf(spec.id)).toBe('frozen');
      const before = ticks(spec);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(ticks(spec) - before).toBeLessThanOrEqual(1);
      await runtime.thaw(spec.id);
      await untilTicking(spec);
      expect(readFileSync(join(spec.dataDir, 'starts'), 'utf8')).toBe('1');
      await runtime.freeze(spec.id);
      await runtime.start(spec.id);
      expect(await stateOf(spec.id)).toBe('running');
      await runtime.remove(spec.id);
    });

    test('stopping asks first and then insists, also of a frozen service; its data is there at the next start', async () => {
      const polite = await started();
      await runtime.freeze(polite.id);
      await runtime.stop(polite.id);
      await runtime.stop(polite.id);
      expect((await runtime.list()).find(({ id }) => id === polite.id)).toMatchObject({
        state: 'exited',
        exit: '0',
      });
      await runtime.start(polite.id);
      await until(() => readFileSync(join(polite.dataDir, 'starts'), 'utf8') === '2');
      const stubborn = await started({ stubborn: true });
      await runtime.stop(stubborn.id);
      expect(await stateOf(stubborn.id)).toBe('exited');
      await runtime.remove(stubborn.id);
      await runtime.remove(polite.id);
      await runtime.remove(polite.id);
      expect(await stateOf(polite.id)).toBe(undefined);
    });

    test('a service that ends by itself is seen, with its exit code', async () => {
      const ended: string[] = [];
      runtime.onExit((id) => ended.push(id));
      const spec = newSpec({ exitCode: 7 });
      await runtime.prepare(spec, 'hot');
      await until(async () => (await stateOf(spec.id)) === 'exited');
      expect((await runtime.list()).find(({ id }) => id === spec.id)).toMatchObject({ exit: '7' });
      await until(() => ended.includes(spec.id));
      expect(await code(runtime.thaw(spec.id))).toBe('conflict');
      await runtime.remove(spec.id);
    });

    test('output is kept up to a bound, use of memory and processor is told', async () => {
      const spec = await started({ chatter: true });
      const stats = await runtime.stats(spec.id);
      expect(stats.memoryBytes).toBeGreaterThan(1 << 20);
      expect(stats.cpuMs).toBeGreaterThanOrEqual(0);
      await until(async () => (await runtime.logs(spec.id, 1 << 20)).includes('line '));
      expect((await runtime.logs(spec.id, 100)).length).toBeLessThanOrEqual(100);
      await runtime.remove(spec.id);
      expect(await code(runtime.stats(spec.id))).toBe('notFound');
    });
  });
}
