import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import { ROOM_KEYS, roomOf } from './rooms.ts';

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

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** An offset with all ports free, above the range that outgoing connections take theirs from. */
export async function freeOffset(): Promise<number> {
  const ports = ROOM_KEYS.flatMap((key) => Object.values(roomOf(key).ports));
  for (let tries = 0; tries < 50; tries++) {
    const offset = 1400 + Math.floor(Math.random() * 3000);
    const free = await Promise.all(ports.map((port) => isFree(port + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new AntirioError('unavailable', 'no port offset is free');
}
