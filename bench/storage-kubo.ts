import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { BenchError } from './benchmark.ts';
import { monotonic } from './clock.ts';

export type Profile = 'unixfs-v0-2015' | 'unixfs-v1-2025';

/** The Kubo that figures are compared with. Its repositories know nobody, and reach no network. */
export interface Kubo {
  readonly version: string;
  /** A new repository, with the imports of a profile. */
  init(profile: Profile): KuboRepository;
  /** Ends all daemons. */
  close(): Promise<void>;
}

export interface KuboRepository {
  /** Adds a file as `ipfs add` does, by the daemon where one runs; resolves with its CID. */
  add(file: string): Promise<string>;
  /** Takes a CAR and pins its root; resolves with how long it took, ms. */
  importCar(car: AsyncIterable<Uint8Array>): Promise<number>;
  /** From the start of the program to its end where it adds nothing to speak of, ms. */
  startMs(): Promise<number>;
  daemon(): Promise<KuboDaemon>;
  remove(): void;
}

export interface KuboDaemon {
  readonly pid: number;
  readonly gateway: string;
  readonly rpc: string;
}

const STOP_WITHIN_MS = 10_000;

const urlOf = (multiaddress: string): string => {
  const [, host = '', port = ''] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(multiaddress) ?? [];
  return `http://${host}:${port}`;
};

export function openKubo(path: (name: string) => string, signal: AbortSignal): Kubo | undefined {
  const program = process.env['KUBO_BIN'];
  if (program === undefined || program === '' || program === 'absent') return undefined;
  const daemons: ChildProcess[] = [];
  let repositories = 0;
  return {
    version: execFileSync(program, ['version'], { encoding: 'utf8' }).trim(),
    init(profile) {
      const folder = path(`kubo-${repositories++}`);
      const env = { ...process.env, IPFS_PATH: folder };
      execFileSync(program, ['init', `--profile=server,test,${profile}`], { env, stdio: 'ignore' });
      return new Repository({ program, folder, env, signal, daemons });
    },
    async close() {
      await Promise.all(daemons.map(stop));
    },
  };
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  const late = setTimeout(() => daemon.kill('SIGKILL'), STOP_WITHIN_MS);
  await ended;
  clearTimeout(late);
}

interface RepositoryParts {
  readonly program: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly daemons: ChildProcess[];
}

class Repository implements KuboRepository {
  readonly #parts: RepositoryParts;

  constructor(parts: RepositoryParts) {
    this.#parts = parts;
  }

  add(file: string): Promise<string> {
    return this.#run(['add', '-Q', file]);
  }

  async importCar(car: AsyncIterable<Uint8Array>): Promise<number> {
    const began = monotonic();
    await this.#run(['dag', 'import'], car);
    return monotonic() - began;
  }

  async startMs(): Promise<number> {
    const file = `${this.#parts.folder}/nothing`;
    writeFileSync(file, '');
    const began = monotonic();
    await this.add(file);
    return monotonic() - began;
  }

  async daemon(): Promise<KuboDaemon> {
    const { program, env, daemons } = this.#parts;
    const daemon = spawn(program, ['daemon', '--offline'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    daemons.push(daemon);
    const says = { gateway: '', rpc: '' };
    for await (const line of createInterface({ input: daemon.stdout })) {
      const [, what, at = ''] = /^(Gateway|RPC API) server listening on (\S+)/.exec(line) ?? [];
      if (what !== undefined) says[what === 'Gateway' ? 'gateway' : 'rpc'] = urlOf(at);
      if (line.startsWith('Daemon is ready')) return { pid: daemon.pid ?? 0, ...says };
    }
    throw new BenchError('the Kubo daemon does not start');
  }

  remove(): void {
    rmSync(this.#parts.folder, { recursive: true, force: true });
  }

  async #run(args: readonly string[], input?: AsyncIterable<Uint8Array>): Promise<string> {
    const { program, env, signal } = this.#parts;
    const child = spawn(program, args, { env, signal, stdio: ['pipe', 'pipe', 'ignore'] });
    const ended = once(child, 'exit');
    const said = child.stdout.toArray();
    await pipeline(Readable.from(input ?? []), child.stdin);
    const [code] = (await ended) as [number | null];
    if (code !== 0) throw new BenchError(`ipfs ${args.join(' ')} failed`);
    return Buffer.concat((await said) as Buffer[])
      .toString()
      .trim();
  }
}

/** The body of an answer as it comes. */
export async function openBody(url: string, method = 'GET'): Promise<AsyncIterable<Uint8Array>> {
  const response = await fetch(url, { method });
  if (!response.ok || response.body === null) throw new BenchError(`${url}: HTTP ${response.status}`);
  return Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
}

/** Reads a body to its end and throws it away; resolves with its bytes and how long it took, ms. */
export async function readAway(url: string, method = 'GET'): Promise<{ bytes: number; ms: number }> {
  const began = monotonic();
  let bytes = 0;
  for await (const piece of await openBody(url, method)) bytes += piece.length;
  return { bytes, ms: monotonic() - began };
}
