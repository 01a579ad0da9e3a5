import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Limits } from './runtime.ts';

/** A control group that holds one service to its limits. */
export interface ControlGroup {
  add(pid: number): void;
  /** Once its processes have ended. */
  remove(): void;
}

const ROOT = '/sys/fs/cgroup';
const PREFIX = 'antirio-';
const PERIOD_US = 100_000;
/** A group is empty between its making and its first process, and after its last. */
const EMPTY_SINCE_MS = 60_000;

interface Setting {
  readonly folder: string;
  readonly values: Readonly<Record<string, string>>;
}

const quota = (cpus: number): number => Math.max(1000, Math.round(cpus * PERIOD_US));

function version2(limits: Limits): Setting[] {
  const values = {
    'memory.max': String(limits.memoryBytes),
    'memory.swap.max': '0',
    'pids.max': String(limits.pids),
    'cpu.max': `${quota(limits.cpus)} ${PERIOD_US}`,
  };
  return [{ folder: ROOT, values }];
}

function version1(limits: Limits): Setting[] {
  return [
    { folder: join(ROOT, 'memory'), values: { 'memory.limit_in_bytes': String(limits.memoryBytes) } },
    { folder: join(ROOT, 'pids'), values: { 'pids.max': String(limits.pids) } },
    {
      folder: join(ROOT, 'cpu'),
      values: { 'cpu.cfs_period_us': String(PERIOD_US), 'cpu.cfs_quota_us': String(quota(limits.cpus)) },
    },
  ];
}

function settings(limits: Limits): Setting[] {
  const controllers = join(ROOT, 'cgroup.controllers');
  if (!existsSync(controllers)) return version1(limits);
  return readFileSync(controllers, 'utf8').includes('memory') ? version2(limits) : [];
}

function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** Removes what edges that were killed left behind: groups that have been empty for a while. */
export function sweepControlGroups(now: number): void {
  for (const root of [ROOT, ...['memory', 'pids', 'cpu'].map((controller) => join(ROOT, controller))])
    attempt(() => {
      for (const name of readdirSync(root).filter((entry) => entry.startsWith(PREFIX))) {
        const group = join(root, name);
        // One that is not empty stays whatever we ask
        if (now - statSync(group).mtimeMs > EMPTY_SINCE_MS) attempt(() => rmdirSync(group));
      }
    });
}

/** Makes one group, with as many of the limits as the system lets us set: none without the rights to. */
export function openControlGroup(name: string, limits: Limits): ControlGroup {
  const made: string[] = [];
  for (const { folder, values } of settings(limits)) {
    const group = join(folder, PREFIX + name);
    if (!attempt(() => mkdirSync(group, { recursive: true }))) continue;
    const set = Object.entries(values).filter(([file, value]) =>
      attempt(() => writeFileSync(join(group, file), value)),
    );
    if (set.length > 0) made.push(group);
    else attempt(() => rmdirSync(group));
  }
  return {
    add(pid) {
      for (const group of made) attempt(() => writeFileSync(join(group, 'cgroup.procs'), String(pid)));
    },
    remove() {
      for (const group of made) attempt(() => rmdirSync(group));
    },
  };
}
