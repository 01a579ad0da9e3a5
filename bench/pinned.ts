// Which core a process runs on: what is measured has one to itself, and whoever loads it another.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Where the two sides of a benchmark run; undefined where there is one core only, or no `taskset`. */
export interface Cores {
  readonly measured: number;
  readonly load: number;
}

/** Cores of a list such as `0-2,5`. */
function coresIn(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first = NaN, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

const allowedOf = (pid: number): string =>
  /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';

/** All threads of a process, and those that they start. */
function pin(pid: number, list: string): void {
  execFileSync('taskset', ['-a', '-p', '-c', list, String(pid)], { stdio: 'ignore' });
}

/** Pins this process to a core of its own until `release`. */
export interface Pinning {
  readonly cores: Cores | undefined;
  /** Gives a process the core that is measured. */
  measure(pid: number): void;
  release(): void;
}

export function openPinning(): Pinning {
  const allowed = allowedOf(process.pid);
  const [measured, load] = coresIn(allowed);
  const nothing = { cores: undefined, measure: () => undefined, release: () => undefined };
  if (measured === undefined || load === undefined) return nothing;
  try {
    pin(process.pid, String(load));
  } catch {
    return nothing;
  }
  return {
    cores: { measured, load },
    measure: (pid) => pin(pid, String(measured)),
    release: () => pin(process.pid, allowed),
  };
}
