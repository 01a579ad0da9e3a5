import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';

const MAIN = join(import.meta.dirname, 'main.ts');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The `antirio` command as a process. */
export class Antirio {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  out = '';
  err = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn('node', [MAIN, ...args], { env: { ...process.env, NODE_OPTIONS: '', ...env } });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code) => resolve({ code, out: this.out, err: this.err }));
    });
  }

  /** The line that says that all is started. */
  async ready(): Promise<{ edgeId: string; startMs: number; urls: Record<string, string>; role: string }> {
    const stdout = this.child.stdout;
    const ended = this.ended.then(({ err }) => {
      throw new AntirioError('unavailable', `it ended before it was ready: ${err}`);
    });
    while (!this.out.includes('\n'))
      await Promise.race([new Promise((resolve) => stdout?.once('data', resolve)), ended]);
    return JSON.parse(this.out) as Awaited<ReturnType<Antirio['ready']>>;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

export function antirio(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Antirio(args, env).ended;
}
