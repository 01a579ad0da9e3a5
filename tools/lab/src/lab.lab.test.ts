import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { buildImage as packImage } from '@antirio/content-store';
import { emptyStage } from '@antirio/demo/scenes';
import { buildImage, docker, run } from '@antirio/edge-image';
import { findEngines, testWhen } from '@antirio/testing';
import {
  composeFiles,
  containersOf,
  down,
  findCompose,
  handover,
  LAB_FAILURES,
  OVERRIDES,
  readState,
  up,
  type ComposeCommand,
  type LabOptions,
  type Override,
} from './index.ts';
import { askEverything } from './lab-postman.ts';
import type { LabState } from './lab-state.ts';

const engine = (await findEngines()).find(({ isThere }) => isThere);
const compose = await findCompose();
const missing = engine === undefined ? 'no container engine answers' : 'there is no Docker Compose';
const labTest = testWhen(engine !== undefined && compose !== undefined, missing);
/** Into another's network namespace nobody else is let. */
const isRoot = process.getuid?.() === 0;
const rootTest = isRoot ? labTest : testWhen(false, 'ways are cut by root');
const usual = process.env['DOCKER_HOST'];
const IMAGE = 'antirio:lab-test';
const MOST_MEMORY = 700e6;
/** Thirty containers start, fourteen of them twice: a minute or two, on a machine that does nothing else. */
const WITHIN_MS = 540_000;
/** One lab is what there is time for: with everything, and every other day with nothing that people do not ask for. */
const SECURED = 'tls,redis,mosquitto';
const PLAIN = '';
const chosen = (names: string): Override[] => OVERRIDES.filter((name) => names.split(',').includes(name));
/** Ways are cut by the kernel, one way of it each day. */
const KILLS = ['partition', 'one-way', 'loss'] as const;
const today = KILLS[new Date().getUTCDate() % KILLS.length];
const kill = LAB_FAILURES.find((one) => one === process.env['LAB_TEST_KILL']) ?? today;
const options: LabOptions = {
  ...{ project: `antirio-lab-test-${process.pid}`, seed: '1', image: IMAGE, stage: emptyStage },
  subnets: { betweenEdges: '10.213.19', air: '10.213.20' },
  overrides: chosen(process.env['LAB_TEST_WITH'] ?? (new Date().getUTCDate() % 2 === 0 ? PLAIN : SECURED)),
};

beforeAll(async () => {
  if (engine === undefined || compose === undefined) return;
  process.env['DOCKER_HOST'] = engine.host;
  await buildImage(IMAGE);
});
afterAll(async () => {
  if (engine === undefined || compose === undefined) return;
  await down(options.project);
  await run('docker', ['image', 'rm', '--force', IMAGE]);
  if (usual === undefined) delete process.env['DOCKER_HOST'];
  else process.env['DOCKER_HOST'] = usual;
});

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, KiB: 1024, MiB: 1 << 20, GiB: 2 ** 30 };

/** What `docker stats` says that containers use: without what of files could go at once. */
async function memoryOf(ids: readonly string[]): Promise<number> {
  const told = await docker(['stats', '--no-stream', '--format', '{{.MemUsage}}', ...ids]);
  const sizes = told.split('\n').map((line) => {
    const [, size = '', unit = ''] = /^([\d.]+)(\w+)/.exec(line) ?? [];
    return Number(size) * (UNITS[unit] ?? NaN);
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

const isWith = (name: Override): boolean => options.overrides?.includes(name) === true;

function stateOf(project: string): LabState {
  const state = readState(project);
  if (state === undefined) throw new TypeError('the lab has no state');
  return state;
}

/** Nobody was refused what its own token has to allow, and no token is where others see it. */
async function expectNoLeaks(ids: readonly string[]): Promise<void> {
  const told = await docker(['inspect', '--format', '{{json .Config.Env}} {{json .Args}}', ...ids]);
  const logs = await Promise.all(ids.map((id) => run('docker', ['logs', id])));
  for (const text of [told, ...logs.map(({ out, err }) => out + err)]) {
    expect(text).not.toMatch(/has not the scope|a token is wanted/);
    expect(text).not.toMatch(/antirio_[0-9a-f]{12}_|PRIVATE KEY/);
  }
}

const startsOf = async (ids: readonly string[]): Promise<string[]> =>
  (await docker(['inspect', '--format', '{{.State.StartedAt}}', ...ids])).split('\n');

/** Every Compose of this machine: v2 and 1.29 read the same files in different ways. */
async function composes(): Promise<ComposeCommand[]> {
  const old = await findCompose({ COMPOSE_BIN: 'docker-compose' });
  return [compose, old].filter((one) => one !== undefined);
}

describe('the lab', () => {
  labTest('does not begin with an image for another machine, and says what to do', async () => {
    const own = await docker(['image', 'inspect', '--format', '{{.Architecture}}', IMAGE]);
    const other = own === 'amd64' ? 'arm64' : 'amd64';
    const foreign = `${IMAGE}-${other}`;
    const archive = join(tmpdir(), `antirio-foreign-${process.pid}.tar`);
    await packImage(archive, { files: [], entrypoint: ['node'], architecture: other, repoTags: [foreign] });
    await docker(['load', '--input', archive]);
    rmSync(archive);
    const told = `the image ${foreign} is for ${other}, and this machine is ${own}: remove it`;
    await expect(up({ ...options, image: foreign })).rejects.toThrow(told);
    await docker(['image', 'rm', foreign]);
  });

  labTest(
    'is understood by each Compose, with all that may be in place of what it has by itself',
    async () => {
      const files = composeFiles(OVERRIDES).flatMap((file) => ['--file', file]);
      const found = await composes();
      expect(found.length).toBeGreaterThan(0);
      for (const [command, ...before] of found) {
        const { code, out, err } = await run(command, [...before, ...files, 'config']);
        expect([code, err]).toEqual([0, expect.not.stringContaining('rror')]);
        expect(out).toContain('redis://redis:6379');
      }
    },
  );

  labTest(
    'has every service in a container of its own, and outlives the death of all of edge A’s',
    async () => {
      await up(options);
      const containers = await containersOf(options.project);
      const of = (party: string): [string, string][] =>
        [...containers].filter(([service]) => service.startsWith(`${party}-`));
      const [ofA, ofB] = [of('a').map(([, id]) => id), of('b').map(([, id]) => id)];
      const more = isWith('redis') ? 1 : 0;
      expect([ofA.length, ofB.length, containers.size]).toEqual([14 + more, 14 + more, 30 + 2 * more]);
      for (const [service, id] of of('a').filter(([name]) => !/redis|mosquitto/.test(name)))
        expect(`${service}: ${await docker(['exec', id, 'node', '/app/healthcheck.mjs'])}`).toBe(
          `${service}: 1 services are ready`,
        );
      expect(containers.has('a-mosquitto')).toBe(isWith('mosquitto'));
      expect(await memoryOf(ofA)).toBeLessThan(MOST_MEMORY);

      const [before, beforeB] = [await startsOf(ofA), await startsOf(ofB)];
      const { report, faults } = await handover(options);
      expect({ faults, ok: report.ok }).toEqual({ faults: [], ok: true });
      expect(report.uplinks).toMatchObject({ lost: 0, doubled: 0, forged: 0 });
      expect(report.settlement.state).toBe('SETTLED');
      const after = await startsOf(ofA);
      expect(after.filter((start, index) => start === before[index])).toEqual([]);
      expect(await startsOf(ofB)).toEqual(beforeB);

      // what Postman is given is asked of edge A, which has everything back
      const asked = await askEverything(stateOf(options.project), 'a');
      expect(asked.failures.map(({ source, error }) => `${source?.name}: ${error.message}`)).toEqual([]);
      expect(asked.stats.requests.total).toBeGreaterThan(200);
      await expectNoLeaks([...containers.values()]);

      await down(options.project);
      expect((await containersOf(options.project)).size).toBe(0);
      const left = ['volume', 'ls', '--quiet', '--filter', `name=${options.project}`];
      expect(await docker(left)).toBe('');
    },
    WITHIN_MS,
  );

  rootTest(
    'loses nothing where the kernel cuts edge A off, or loses three packets in ten of all that it says and hears',
    async () => {
      const { report, faults } = await handover({ ...options, overrides: [], kill });
      expect({ kill, faults, ok: report.ok }).toEqual({ kill, faults: [], ok: true });
      expect(report.uplinks).toMatchObject({ lost: 0, doubled: 0, forged: 0 });
      await down(options.project);
    },
    WITHIN_MS,
  );
});
