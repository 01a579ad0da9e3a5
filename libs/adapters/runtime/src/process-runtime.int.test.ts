import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { createProcessRuntime } from './process-runtime.ts';
import { isAlive, markProcess } from './process-table.ts';
import { runtimeCompliance } from './runtime-compliance.ts';
import { buildLayer, WATCHED_SERVICE, writeImageArchive } from './test-image.ts';

const base = { graceMs: 300, clock: systemClock, log: silentLog };

runtimeCompliance({
  name: 'process',
  create: (dir) => createProcessRuntime({ ...base, dir }),
  base: () => [],
  test,
  available: true,
});

/** Another process that hosts the runtime and prints its child's id. */
const HOST = `
import { createProcessRuntime } from ${JSON.stringify(join(import.meta.dirname, 'process-runtime.ts'))};
import { silentLog, systemClock } from '@antirio/host';
const { dir, archive, spec, freeze } = JSON.parse(process.env.SETTING);
const runtime = await createProcessRuntime({ dir, clock: systemClock, log: silentLog });
const { imageId } = await runtime.load(archive);
await runtime.prepare({ ...spec, imageId }, 'hot');
if (freeze) await runtime.freeze(spec.id);
console.log((await runtime.list())[0].pid);
`;

describe('a host killed with SIGKILL', () => {
  const dir = mkdtempSync(join(tmpdir(), 'rt-kill-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test.each([[false], [true]])('leaves no child behind (frozen: %s)', async (freeze) => {
    const archive = join(dir, 'service.tar');
    const layers = [await buildLayer([{ name: 'app/main.mjs', content: WATCHED_SERVICE }])];
    await writeImageArchive(archive, { layers });
    const folder = (name: string): string => {
      mkdirSync(join(dir, String(freeze), name), { recursive: true });
      return join(dir, String(freeze), name);
    };
    const [runDir, dataDir] = [folder('run'), folder('data')];
    writeFileSync(join(runDir, 'config.json'), JSON.stringify({ dataDir }));
    const spec = {
      id: 'orphan',
      epoch: 0,
      runDir,
      dataDir,
      secretsDir: folder('secrets'),
      env: {},
      limits: { memoryBytes: 128 << 20, cpus: 1, pids: 32 },
    };
    const script = join(import.meta.dirname, `host-${process.pid}-${freeze}.tmp.mjs`);
    writeFileSync(script, HOST);
    const env = { ...process.env, SETTING: JSON.stringify({ dir: join(dir, 'rt'), archive, spec, freeze }) };
    const host = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>((resolve) =>
      createInterface(host.stdout).once('line', (line) => resolve(Number(line))),
    );
    rmSync(script);
    const child = markProcess(pid);
    expect(child).toBeDefined();
    host.kill('SIGKILL');
    const gone = await waitFor(systemClock, 60_000, () => (isAlive(child!) ? undefined : true));
    expect(gone).toBe(true);
    const next = await createProcessRuntime({ ...base, dir: join(dir, 'rt') });
    expect(await next.list()).toEqual([]);
    await next.close();
  });

  test('a child that is still there is found by its pid file, and only that one', async () => {
    const stray = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const mark = markProcess(stray.pid!)!;
    const instances = join(dir, 'rt2', 'instances');
    mkdirSync(join(instances, 'left'), { recursive: true });
    mkdirSync(join(instances, 'reused'), { recursive: true });
    writeFileSync(join(instances, 'reused', 'pid.json'), JSON.stringify({ ...mark, startedAt: '1' }));
    await createProcessRuntime({ ...base, dir: join(dir, 'rt2') });
    expect(isAlive(mark)).toBe(true);
    mkdirSync(join(instances, 'left'), { recursive: true });
    writeFileSync(join(instances, 'left', 'pid.json'), JSON.stringify(mark));
    await createProcessRuntime({ ...base, dir: join(dir, 'rt2') });
    expect(isAlive(mark)).toBe(false);
    expect(existsSync(join(instances, 'left'))).toBe(false);
  });
});

test('the log of a service stays within its bound', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'rt-log-'));
  const runtime = await createProcessRuntime({ ...base, dir, logBytes: 8192 });
  const archive = join(dir, 'service.tar');
  await writeImageArchive(archive, {
    layers: [await buildLayer([{ name: 'app/main.mjs', content: WATCHED_SERVICE }])],
  });
  const spec = {
    id: 'chatty',
    epoch: 0,
    imageId: (await runtime.load(archive)).imageId,
    runDir: dir,
    dataDir: dir,
    secretsDir: dir,
    env: {},
    limits: { memoryBytes: 128 << 20, cpus: 1, pids: 32 },
  };
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ dataDir: dir, chatter: true }));
  await runtime.prepare(spec, 'hot');
  const text = await waitFor(systemClock, 60_000, async () => {
    const output = await runtime.logs('chatty', 1 << 20);
    return output.includes('line 19999') ? output : undefined;
  });
  expect(text?.length).toBeLessThanOrEqual(8192);
  expect(readFileSync(join(dir, 'instances', 'chatty', 'log')).length).toBeLessThanOrEqual(4096);
  await runtime.close();
  rmSync(dir, { recursive: true, force: true });
});
