import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Kubo with a repository of its own in a temporary folder; it knows nobody, and reaches no network. */
export class TestKubo {
  readonly folder = mkdtempSync(join(tmpdir(), 'antirio-kubo-'));
  readonly #program: string;
  readonly #stops: (() => Promise<void>)[] = [];

  constructor(program: string) {
    this.#program = program;
    this.run('init', '--profile=server,test');
  }

  /** What it says. */
  run(...args: string[]): string {
    return this.bytes(...args)
      .toString()
      .trim();
  }

  bytes(...args: string[]): Buffer {
    const env = { ...process.env, IPFS_PATH: join(this.folder, 'repository') };
    return execFileSync(this.#program, args, {
      env,
      maxBuffer: 256 << 20,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** The URL of its gateway, which gives what is here alone. */
  async gateway(): Promise<string> {
    this.run('config', '--json', 'Gateway.NoFetch', 'true');
    const env = { ...process.env, IPFS_PATH: join(this.folder, 'repository') };
    const daemon = spawn(this.#program, ['daemon', '--offline'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#stops.push(async () => {
      if (daemon.exitCode !== null) return;
      const ended = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await ended;
    });
    let url = '';
    for await (const line of createInterface({ input: daemon.stdout })) {
      const at = /^Gateway server listening on \/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(line);
      if (at !== null) url = `http://${at[1]}:${at[2]}`;
      if (line.startsWith('Daemon is ready')) break;
    }
    return url;
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) await stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
