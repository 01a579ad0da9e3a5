import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { freePort } from './free-port.ts';
import { testWhen } from './test-when.ts';

/** The `redis-server` of the path; undefined where there is none. */
function findRedis(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  return folders
    .map((folder) => join(folder, 'redis-server'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** A test that needs a real Redis. */
export const redisTest: ReturnType<typeof testWhen> = testWhen(
  findRedis() !== undefined,
  'no redis-server is on the path',
);

export interface RedisServer {
  readonly url: string;
  readonly pid: number;
  /** Answers a command as `redis-cli` would write it down. */
  command(...words: readonly string[]): Promise<string>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Once more on the same port and folder. */
  start(): Promise<void>;
}

export interface RedisServerOptions {
  readonly folder: string;
  /** Besides the settings that keep what is acknowledged: these win. */
  readonly settings?: Readonly<Record<string, string>>;
}

const START_MS = 15_000;
const DURABLE = { appendonly: 'yes', appendfsync: 'always', save: '' };

/** One command in a connection of its own; the answer's bytes as they are. */
function ask(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(2000, () => socket.destroy(new TypeError('no answer in time')));
    socket.once('error', reject);
    socket.once('data', (bytes) => {
      socket.destroy();
      resolve(bytes.toString());
    });
    const sent = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
    socket.write(`*${words.length}\r\n${sent}`);
  });
}

/** A Redis of its own, on a free port of the loopback address. */
export async function startRedis({ folder, settings = {} }: RedisServerOptions): Promise<RedisServer> {
  const program = findRedis();
  if (program === undefined) throw new TypeError('no redis-server');
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const all = { ...DURABLE, ...settings, port: String(port), bind: '127.0.0.1', dir: folder };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const started = spawn(program, args, { stdio: 'ignore' });
    child = started;
    const deadline = performance.now() + START_MS;
    while (started.exitCode === null && performance.now() < deadline) {
      const answer = await ask(port, ['PING']).catch(() => '');
      if (answer.startsWith('+PONG') || answer.startsWith('-NOAUTH')) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new TypeError(`redis-server did not start (exit code ${started.exitCode ?? 'none'})`);
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0;
    },
    command: (...words) => ask(port, words),
    async kill(signal) {
      const running = child;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const ended = new Promise((resolve) => running.once('exit', resolve));
      running.kill(signal);
      await ended;
    },
    start,
  };
}
