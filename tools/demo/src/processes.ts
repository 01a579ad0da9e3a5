import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DemoError } from './errors.ts';

/** A program to be run as a process of its own. */
export interface ProcessSpec {
  readonly name: string;
  /** Arguments of this very Node binary. */
  readonly args: readonly string[];
  /** Its stdin and stdout are ours, to be talked with; else both outputs go to the log. */
  readonly talks?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** One process that we started. */
export interface OwnProcess {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** Resolves when it is gone, however it went. */
  readonly ended: Promise<void>;
  isRunning(): boolean;
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
    const out = spec.talks === true ? 'pipe' : log;
    const child = spawn(process.execPath, [...spec.args], {
      stdio: [spec.talks === true ? 'pipe' : 'ignore', out, log],
      env: { ...process.env, ...spec.env },
      // Out of the terminal's process group: Ctrl-C is for us, and we end them in order.
      detached: true,
    });
    closeSync(log);
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => {
        reject(new DemoError('process', `${spec.name} cannot be started: ${cause.message}`, { cause }));
      });
    });
    return this.#own(spec.name, child, logFile, ended);
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

  #own(name: string, child: ChildProcess, logFile: string, ended: Promise<void>): OwnProcess {
    const pid = child.pid ?? 0;
    let told = false;
    const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
    const own: OwnProcess = {
      ...{ name, pid, child, logFile, ended, isRunning },
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
