import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { claimOffsets } from '@antirio/testing/port-offsets';
import { workspaceRoot } from '../root.ts';
import type { Metric, ServiceMetrics } from './document.ts';

const MAIN = join(workspaceRoot, 'apps/edge/src/main.ts');

interface Ready {
  readonly urls: Readonly<Record<string, string>>;
}

/** All services of a role, in a process of their own. */
async function start(role: string, folder: string, offset: number): Promise<[ChildProcess, Ready]> {
  const dataDir = join(folder, role);
  const config = join(folder, `${role}.jsonc`);
  // what is told of another network server only where there is one
  const more = role === 'edge' ? { deviceLora: { chirpStack: {} } } : {};
  writeFileSync(config, JSON.stringify({ dataDir, role, portOffset: offset, logLevel: 'error', ...more }));
  const child = spawn(process.execPath, [MAIN, 'up', '--config', config, '--json'], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([text]) => String(text)),
    once(child, 'close').then(([code]) => {
      throw new Error(`the ${role} ended with ${code} before it was ready`);
    }),
  ]);
  return [child, JSON.parse(line) as Ready];
}

async function listOf(url: string): Promise<readonly Metric[]> {
  const answer = await fetch(`${url}/api/v3/metrics/list`, { signal: AbortSignal.timeout(10_000) });
  return ((await answer.json()) as { metrics: readonly Metric[] }).metrics;
}

/** What every service of an edge and of a centre has registered; a service that both have has what either has. */
export async function registeredMetrics(): Promise<ServiceMetrics> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-metrics-'));
  const claimed = await claimOffsets(2);
  const children: ChildProcess[] = [];
  try {
    const found = new Map<string, Map<string, Metric>>();
    await Promise.all(
      ['edge', 'central'].map(async (role, at) => {
        const [child, { urls }] = await start(role, folder, claimed.offsets[at] ?? 0);
        children.push(child);
        for (const [service, url] of Object.entries(urls)) {
          const known = found.get(service) ?? new Map<string, Metric>();
          for (const metric of await listOf(url)) known.set(metric.name, metric);
          found.set(service, known);
        }
      }),
    );
    return Object.fromEntries([...found].map(([service, metrics]) => [service, [...metrics.values()]]));
  } finally {
    await Promise.all(
      children.map(async (child) => {
        const closed = once(child, 'close');
        child.kill('SIGKILL');
        await closed;
      }),
    );
    claimed.release();
    rmSync(folder, { recursive: true, force: true });
  }
}
