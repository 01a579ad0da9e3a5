import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { DemoError } from './errors.ts';
import type { OwnProcess, Processes } from './processes.ts';

/** Sees to it that no process of a demo outlives it, even where the demo itself is killed. */
export interface Warden {
  readonly pid: number;
  /** The processes go on without us, until a SIGTERM to the warden's own process ends them all. */
  keep(): void;
  /** All is over: nothing is left to be looked after. */
  dismiss(): void;
}

/** Starts the warden for what runs and for what will be started. */
export async function startWarden(processes: Processes, logs: string): Promise<Warden> {
  const log = openSync(path.join(logs, 'warden.log'), 'a', 0o600);
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'warden-process.ts')], {
    stdio: ['pipe', log, log],
    detached: true,
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      reject(new DemoError('process', `the warden cannot be started: ${cause.message}`, { cause }));
    });
  });
  const { stdin } = child;
  stdin?.on('error', () => undefined);
  child.unref();
  const say = (line: string): void => void stdin?.write(`${line}\n`);
  const wardOf = (one: OwnProcess): void => {
    say(`add ${one.pid}`);
    void one.ended.then(() => say(`drop ${one.pid}`));
  };
  processes.running().forEach(wardOf);
  processes.onStart(wardOf);
  return {
    pid: child.pid ?? 0,
    keep: () => {
      say('keep');
      stdin?.end();
    },
    dismiss: () => stdin?.end(),
  };
}
