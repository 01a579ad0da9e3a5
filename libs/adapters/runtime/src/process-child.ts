import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import { writeFileDurably } from '@antirio/host';
import { openBoundedLog, type BoundedLog } from './bounded-log.ts';
import { openControlGroup } from './cgroup.ts';
import type { Command } from './entrypoint.ts';
import { confinement, markProcess } from './process-table.ts';
import type { Limits } from './runtime.ts';

/** One started program, until it ends. */
export interface RunningChild {
  readonly pid: number;
  /** Resolves with an exit code or a signal's name. */
  readonly ended: Promise<string>;
  signal(name: NodeJS.Signals): void;
}

export interface ChildOptions {
  readonly command: Command;
  /** For the pid file. */
  readonly folder: string;
  readonly groupName: string;
  readonly limits: Limits;
  readonly log: BoundedLog;
}

export const PID_FILE = 'pid.json';

export function openChildLog(folder: string, maxBytes: number): BoundedLog {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return openBoundedLog(join(folder, 'log'), maxBytes);
}

/** Nothing happens where there is no such process. */
export function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH')
      throw new AntirioError('unavailable', `cannot signal process ${pid}`, { pid }, cause);
  }
}

/** Signals a child with all that it started: it leads a process group of its own. */
export function signalGroup(pid: number, name: NodeJS.Signals): void {
  signalProcess(-pid, name);
}

function spawned(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child.pid ?? 0));
    child.once('error', (cause) =>
      reject(new AntirioError('unavailable', `cannot start ${file}`, { file }, cause)),
    );
  });
}

/**
 * Starts the program with a pipe as its stdin that is never written to: it breaks when we die, however we die, and a service
 * ends itself then. Where the system can, the kernel kills it as well.
 *
 * @throws AntirioError unavailable when it cannot be started.
 */
export async function startChild(options: ChildOptions): Promise<RunningChild> {
  const { command, log } = options;
  const [file = command.file, ...args] = [...confinement(), command.file, ...command.args];
  const child = spawn(file, args, {
    cwd: command.cwd,
    env: command.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdin.on('error', () => undefined);
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => log.write(chunk));
  const group = openControlGroup(options.groupName, options.limits);
  const pidFile = join(options.folder, PID_FILE);
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      group.remove();
      rmSync(pidFile, { force: true });
      resolve(signal ?? String(code));
    });
  });
  let pid: number;
  try {
    pid = await spawned(child, file);
  } catch (error) {
    group.remove();
    throw error;
  }
  group.add(pid);
  const mark = markProcess(pid);
  if (mark !== undefined && child.exitCode === null) writeFileDurably(pidFile, JSON.stringify(mark));
  return {
    pid,
    ended,
    signal: (name) => {
      if (child.exitCode === null && child.signalCode === null) signalGroup(pid, name);
    },
  };
}
