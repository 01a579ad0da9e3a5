import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Where `tools/kubo/build` puts it; outside of what git knows. */
const BUILT = resolve(import.meta.dirname, '../../../node_modules/.cache/antirio/kubo/ipfs');

/** The `ipfs` of a real Kubo: what KUBO_BIN names, else the one that was built; undefined where there is none. */
export function findKubo(): string | undefined {
  const named = process.env['KUBO_BIN'];
  return [named, BUILT].find((path) => path !== undefined && path !== '' && existsSync(path));
}

export interface KuboDaemon {
  /** Of its RPC. */
  readonly url: string;
  readonly folder: string;
  /** Runs `ipfs` on the same repository. */
  ipfs(...args: readonly string[]): string;
  stop(): Promise<void>;
}

export interface KuboDaemonOptions {
  /** Settings, as `ipfs config --json` takes them. */
  readonly config?: Readonly<Record<string, string>>;
}

const START_MS = 30_000;

/** A Kubo of its own in a folder: offline, on ports of its own choice on the loopback address, with no peers. */
export async function startKubo(
  program: string,
  folder: string,
  options: KuboDaemonOptions = {},
): Promise<KuboDaemon> {
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, IPFS_PATH: folder, IPFS_TELEMETRY: 'off' };
  const ipfs = (...args: readonly string[]): string =>
    execFileSync(program, args, {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 20_000,
    });
  if (!existsSync(join(folder, 'config'))) {
    ipfs('init', '--profile=server,test');
    ipfs('config', '--json', 'Bootstrap', '[]');
    for (const [name, value] of Object.entries(options.config ?? {})) ipfs('config', '--json', name, value);
  }
  rmSync(join(folder, 'api'), { force: true });
  const child = spawn(program, ['daemon', '--offline'], { env, stdio: 'ignore' });
  const url = await listening(child, join(folder, 'api')).catch(async (error: unknown) => {
    await ended(child);
    throw error;
  });
  return { url, folder, ipfs, stop: () => ended(child) };
}

async function listening(child: ChildProcess, apiFile: string): Promise<string> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const told = existsSync(apiFile) ? readFileSync(apiFile, 'utf8') : '';
    const [, host, port] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(told) ?? [];
    const url = `http://${host ?? ''}:${port ?? ''}`;
    if (port !== undefined && (await answers(url))) return url;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Kubo did not start (exit code ${child.exitCode ?? 'none'})`);
}

async function answers(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/api/v0/version`, { method: 'POST' }).catch(() => undefined);
  // 403: it asks for credentials.
  return answer !== undefined && [200, 403].includes(answer.status);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), 5000);
  await closed;
  clearTimeout(insist);
}
