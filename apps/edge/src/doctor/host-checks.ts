import { readFileSync } from 'node:fs';
import { arch, totalmem } from 'node:os';
import type { Clock } from '@antirio/kernel';
import { clockFault } from '../preflight.ts';
import { megabytes, ok, problem, warning, type Finding } from './finding.ts';

const LEAST_NODE = 24;

/** @param version such as `24.21.0` */
export function judgeNode(version: string): Finding {
  const major = Number(version.split('.')[0]);
  const what = `Node ${version} on ${arch()}`;
  if (major >= LEAST_NODE) return ok('node', what);
  return problem('node', `${what}: Antirio needs Node ${LEAST_NODE} or later. Install it, or run the image`);
}

export interface Memory {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

const LEAST_MEMORY = 48 << 20;
const LITTLE_MEMORY = 128 << 20;

export function judgeMemory({ totalBytes, availableBytes }: Memory): Finding {
  const what = `${megabytes(availableBytes)} of ${megabytes(totalBytes)} memory are free`;
  if (availableBytes < LEAST_MEMORY)
    return problem(
      'memory',
      `${what}: the kernel may kill the edge at any time. Stop other programs, give the container more, or add swap`,
    );
  if (availableBytes < LITTLE_MEMORY)
    return warning(
      'memory',
      `${what}: a customer's service may not fit. Stop other programs, or lower orchestrator.limits`,
    );
  return ok('memory', what);
}

function numberIn(path: string): number | undefined {
  try {
    const value = Number(readFileSync(path, 'utf8').trim());
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Of the host, or of the container where that has less (cgroup v2, then v1). */
function memoryNow(): Memory {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  const host = { totalBytes: totalmem(), availableBytes: Number(available ?? 0) * 1024 };
  for (const [limitFile, usedFile] of [
    ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory.current'],
    ['/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory/memory.usage_in_bytes'],
  ] as const) {
    const [limit, used] = [numberIn(limitFile), numberIn(usedFile)];
    if (limit === undefined || used === undefined || limit >= host.totalBytes) continue;
    return { totalBytes: limit, availableBytes: Math.min(host.availableBytes, limit - used) };
  }
  return host;
}

const SOON_MS = 5 * 60_000;
/** Two clocks of one host that drift apart so much are being set at this moment. */
const MOST_DRIFT_MS = 50;

export interface ClockFacts {
  readonly wallMs: number;
  /** Of how much the wall clock went on while the monotonic one did so. */
  readonly drift: { readonly wallMs: number; readonly monotonicMs: number };
  /** The newest of the edge's own files. */
  readonly newestFileMs: number | undefined;
}

const span = (ms: number): string => {
  const s = Math.round(Math.abs(ms) / 1000);
  if (s < 120) return `${s} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
};

const SET_CLOCK = 'Set it (timedatectl set-ntp true)';

export function judgeClock({ wallMs, drift, newestFileMs }: ClockFacts): Finding {
  const fault = clockFault(wallMs);
  if (fault !== undefined) return problem('clock', fault);
  if (newestFileMs !== undefined && newestFileMs > wallMs + SOON_MS)
    return problem(
      'clock',
      `the clock is ${span(newestFileMs - wallMs)} behind the newest file of this edge: it was set back, or stood while the host was off. ${SET_CLOCK}`,
    );
  const apart = drift.wallMs - drift.monotonicMs;
  if (Math.abs(apart) > MOST_DRIFT_MS)
    return warning(
      'clock',
      `the wall clock went ${Math.round(apart)} ms another way than the monotonic one just now: something sets it. Look at the time service (timedatectl status)`,
    );
  return ok('clock', new Date(wallMs).toISOString());
}

/** What another edge says of the time. */
export function judgeTimeAgainst(who: string, differenceMs: number): Finding {
  const what = `the clock is ${span(differenceMs)} ${differenceMs > 0 ? 'ahead of' : 'behind'} that of ${who}`;
  if (Math.abs(differenceMs) > 30_000)
    return problem(
      'clock',
      `${what}: readings and contracts would carry wrong times on one side. ${SET_CLOCK} on the one that is wrong`,
    );
  if (Math.abs(differenceMs) > 3000) return warning('clock', `${what}. ${SET_CLOCK}`);
  return ok('clock', `it agrees with that of ${who}`);
}

const WATCHED_MS = 300;

export async function checkHost(clock: Clock, newestFileMs: number | undefined): Promise<Finding[]> {
  const before = { wall: clock.now(), monotonic: clock.monotonic() };
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  const drift = {
    wallMs: clock.now() - before.wall,
    monotonicMs: clock.monotonic() - before.monotonic,
  };
  return [
    judgeNode(process.versions.node),
    judgeMemory(memoryNow()),
    judgeClock({ wallMs: clock.now(), drift, newestFileMs }),
  ];
}
