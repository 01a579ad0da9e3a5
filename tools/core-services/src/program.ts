import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { once } from 'node:events';

export interface ProgramOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Where its output goes; what is there stays. */
  readonly log: string;
  readonly cwd?: string;
  /** Beside this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A program that runs until it is ended. */
export interface Program {
  isRunning(): boolean;
  /** Sends the signal and waits until it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** The last lines of its output. */
  lastWords(): string;
}

const TOLD_CHARACTERS = 4000;

export function startProgram({ command, args, log, cwd, env }: ProgramOptions): Program {
  const output = openSync(log, 'a');
  let child: ChildProcess;
  try {
    child = spawn(command, [...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
  let failure = '';
  child.on('error', (error) => (failure = error.message));
  const isRunning = (): boolean =>
    child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    isRunning,
    async end(signal = 'SIGTERM') {
      if (!isRunning()) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
    lastWords: () => `${failure}${readFileSync(log, 'utf8').slice(-TOLD_CHARACTERS)}`,
  };
}
