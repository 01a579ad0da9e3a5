import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { nodeEnvironment } from '@antirio/bundle';
import { DemoError } from './errors.ts';

/** A program to be run as a process of its own. */
export interface ProcessSpec {
  readonly name: string;
  /** Arguments of this very Node binary. */
  readonly args: readonly string[];
  /** It takes lines on its stdin and answers on its stdout; else both outputs go to the log. */
  readonly talks?: boolean;
  /** Besides our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that ends in becoming Node: it is given Node and its arguments. */
  readonly under?: readonly [command: string, ...args: string[]];
}

/**
 * How a process is talked with: a named pipe that it holds open itself, and a file with what it says. Neither ends with us, so
 * that a kept process goes on.
 */
export interface Line {
  say(text: string): void;
  readonly saidFile: string;
}

/** One process that we started. */
export interface OwnProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly line: Line | undefined;
  /** Resolves when it is gone, however it went. */
  readonly ended: Promise<void>;
  isRunning(): boolean;
  /** We need not stay for it. */
  letGo(): void;
  /** By its id alone. From here on its end is no surprise, if the signal is one that ends. */
  signal(name: NodeJS.Signals): void;
}

/** All processes of a demo. */
export interface Processes {
  start(spec: ProcessSpec): Promise<OwnProcess>;
  /** Throws `process` where one ended that nobody told to. */
  check(): void;
  running(): readonly OwnProcess[];
  /** Called with each that starts. */
  onStart(listener: (started: OwnProcess) => void): void;
  /** Asks all to end, and kills those that do not. */
  stopAll(): Promise<void>;
}

const ENDS: ReadonlySet<NodeJS.Signals> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT']);
const STOP_MS = 5_000;
const LINES_TOLD = 5;

/** The end of a log, for a reader who wants to know why a process ended. */
export function lastLines(file: string, lines = LINES_TOLD): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}

interface Talk {
  readonly stdin: number;
  readonly stdout: number;
  readonly line: Line;
  close(): void;
}

/** A named pipe for what is said to a process, opened for both directions: its end never comes by itself. */
function openTalk(base: string): Talk {
  const pipe = `${base}.in`;
  const saidFile = `${base}.out`;
  execFileSync('mkfifo', ['-m', '600', pipe]);
  const stdin = openSync(pipe, 'r+');
  const stdout = openSync(saidFile, 'a', 0o600);
  let open = true;
  return {
    stdin,
    stdout,
    line: {
      saidFile,
      say: (text) => {
        if (open) writeSync(stdin, `${text}\n`);
      },
    },
    close: () => {
      open = false;
      closeSync(stdin);
      closeSync(stdout);
    },
  };
}

class DemoProcesses implements Processes {
  readonly #logs: string;
  readonly #running = new Map<number, OwnProcess>();
  readonly #listeners: ((started: OwnProcess) => void)[] = [];
  #surprise: DemoError | undefined;
  #stopping = false;

  constructor(logs: string) {
    this.#logs = logs;
  }

  async start(spec: ProcessSpec): Promise<OwnProcess> {
    const logFile = path.join(this.#logs, `${spec.name}.log`);
    const log = openSync(logFile, 'a', 0o600);
    const talk = spec.talks === true ? openTalk(path.join(this.#logs, spec.name)) : undefined;
    const [command, ...args] = [...(spec.under ?? []), process.execPath, ...spec.args];
    const child = spawn(command, args, {
      stdio: [talk?.stdin ?? 'ignore', talk?.stdout ?? log, log],
      env: { ...nodeEnvironment, ...process.env, ...spec.env },
      // Out of the terminal's process group: Ctrl-C is for us, and we end them in order.
      detached: true,
    });
    closeSync(log);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    void ended.then(() => talk?.close());
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => {
        reject(new DemoError('process', `${spec.name} cannot be started: ${cause.message}`, { cause }));
      });
    });
    return this.#own({ name: spec.name, logFile, ended, line: talk?.line }, child);
  }

  check(): void {
    if (this.#surprise !== undefined) throw this.#surprise;
  }

  running(): readonly OwnProcess[] {
    return [...this.#running.values()];
  }

  onStart(listener: (started: OwnProcess) => void): void {
    this.#listeners.push(listener);
  }

  async stopAll(): Promise<void> {
    this.#stopping = true;
    const all = this.running();
    for (const one of all) {
      // A frozen process hears nothing else before it is woken.
      one.signal('SIGCONT');
      one.signal('SIGTERM');
    }
    const late = setTimeout(() => this.running().forEach((one) => one.signal('SIGKILL')), STOP_MS);
    await Promise.all(all.map(({ ended }) => ended));
    clearTimeout(late);
  }

  #own(about: Pick<OwnProcess, 'name' | 'logFile' | 'ended' | 'line'>, child: ChildProcess): OwnProcess {
    const pid = child.pid ?? 0;
    const { name, logFile } = about;
    let told = false;
    const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
    const own: OwnProcess = {
      ...about,
      pid,
      isRunning,
      letGo: () => child.unref(),
      signal: (signal) => {
        told ||= ENDS.has(signal);
        if (isRunning()) child.kill(signal);
      },
    };
    this.#running.set(pid, own);
    child.once('exit', (code, signal) => {
      this.#running.delete(pid);
      if (told || this.#stopping) return;
      const how = signal ?? `code ${String(code)}`;
      this.#surprise ??= new DemoError(
        'process',
        `${name} ended by itself with ${how}. The end of ${logFile}:\n${lastLines(logFile)}`,
      );
    });
    this.#listeners.forEach((listener) => listener(own));
    return own;
  }
}

/** @param logs folder for one log file per process */
export function createProcesses(logs: string): Processes {
  return new DemoProcesses(logs);
}
