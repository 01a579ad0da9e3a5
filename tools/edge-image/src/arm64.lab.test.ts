import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { bundle, nodeFlags, workspaceRoot } from '@antirio/bundle';
import { claimOffsets, testWhen } from '@antirio/testing';

const qemu = ['qemu-aarch64-static', 'qemu-aarch64'].find(
  (program) => spawnSync(program, ['--version']).status === 0,
);
const arm64Test = testWhen(qemu !== undefined, 'no qemu-aarch64-static (Debian: qemu-user-static)');
const folder = mkdtempSync(join(tmpdir(), 'antirio-arm64-'));
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

arm64Test('the bundle is an edge on arm64, with the base image’s own Node and libraries', async () => {
  const root = join(folder, 'root');
  execFileSync(join(workspaceRoot, 'tools/base-image/build'), ['--arch', 'arm64', '--into', root]);
  const { antirio = '' } = await bundle({ outDir: join(folder, 'dist'), only: ['antirio'] });
  const claimed = await claimOffsets(1);
  const env = { ...process.env, NODE_OPTIONS: '', ANTIRIO_READY_FILE: join(folder, 'ready.json') };
  const onArm64 = ['-L', root, join(root, 'usr/local/bin/node')];
  try {
    const where = ['--data-dir', join(folder, 'data'), '--port-offset', String(claimed.offsets[0])];
    const edge = spawn(qemu ?? '', [...onArm64, ...nodeFlags, antirio, 'up', ...where, '--json'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    started.push(edge);
    const [line] = (await once(edge.stdout, 'data')) as [Buffer];
    const { ready, urls } = JSON.parse(line.toString()) as { ready: boolean; urls: Record<string, string> };
    expect(ready).toBe(true);

    const event = {
      ...{ apiVersion: 'v3', id: '6b43efb7-a8a1-4a4d-9c0f-2f7d1b1a5d10', deviceName: 'gauge' },
      ...{ profileName: 'gauge', sourceName: 'strain', origin: 1_790_000_000_000_000_000 },
    };
    const reading = { ...event, id: undefined, apiVersion: undefined, resourceName: 'strain' };
    const stored = await fetch(`${urls['core-data'] ?? ''}/api/v3/event/some/gauge/gauge/strain`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'v3',
        event: { ...event, readings: [{ ...reading, valueType: 'Int32', value: '7' }] },
      }),
    });
    expect([stored.status, await stored.text()]).toEqual([201, expect.stringContaining(event.id)]);
    // All of it is slow under qemu, most of all beside other tests.
    const checked = await waitFor(systemClock, 60_000, () =>
      promisify(execFile)(qemu ?? '', [...onArm64, 'docker/healthcheck.mjs'], { env }).catch(() => undefined),
    );
    expect(checked?.stdout).toBe('14 services are ready\n');
    edge.kill('SIGTERM');
    expect(await once(edge, 'exit')).toEqual([0, null]);
  } finally {
    claimed.release();
  }
});
