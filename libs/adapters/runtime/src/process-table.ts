import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { delimiter, join } from 'node:path';
import type { InstanceStats } from './runtime.ts';

/** What tells a process from a later one with the same id. */
export interface ProcessMark {
  readonly pid: number;
  readonly startedAt: string;
  readonly bootId: string;
}

const CLOCK_TICKS_PER_SECOND = 100;

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Differs after each boot; where the system tells nothing, each process believes in a boot of its own. */
export const bootId = readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? randomUUID();

const linux = process.platform === 'linux';

/** Fields of /proc/<pid>/stat from the third (state) on: the second, the name, may hold blanks and brackets. */
function statFields(pid: number): string[] | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** When the process started, in whatever unit the system has; undefined when it is not there or only waits to be reaped. */
function startOf(pid: number): string | undefined {
  if (linux) {
    const fields = statFields(pid);
    return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  const listed = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const text = listed.status === 0 ? listed.stdout.trim() : '';
  return text === '' ? undefined : text;
}

/** Undefined when the process has ended already. */
export function markProcess(pid: number): ProcessMark | undefined {
  const startedAt = startOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt, bootId };
}

/** Whether the marked process, and not a later one with its id, is still there. */
export function isAlive(mark: ProcessMark): boolean {
  return mark.bootId === bootId && startOf(mark.pid) === mark.startedAt;
}

/** Resident memory and processor time of one process; undefined when it is not there. */
export function processStats(pid: number): InstanceStats | undefined {
  if (!linux) return undefined;
  const fields = statFields(pid);
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`) ?? '')?.[1];
  if (fields === undefined || resident === undefined) return undefined;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { memoryBytes: Number(resident) * 1024, cpuMs: (ticks * 1000) / CLOCK_TICKS_PER_SECOND };
}

/** The full command when it does what it is asked here: a child's own PATH has no say in it. */
function ifWorking(name: string, args: readonly string[]): readonly string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const program = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (program === undefined) return [];
  try {
    execFileSync(program, [...args, process.execPath, '-v'], { stdio: 'ignore', timeout: 10_000 });
    return [program, ...args];
  } catch {
    return [];
  }
}

let prefix: readonly string[] | undefined;

/**
 * Programs of util-linux, where they are there, that a child is started through (each replaces itself by the next, so that the
 * process id stays): the kernel kills it when its parent dies, also when it is frozen; it gains no privileges; no core dumps;
 * files bounded.
 */
export function confinement(): readonly string[] {
  prefix ??= [
    ...ifWorking('setpriv', ['--pdeathsig', 'KILL', '--no-new-privs', '--']),
    ...ifWorking('prlimit', ['--core=0', '--nofile=4096:4096', '--']),
  ];
  return prefix;
}
