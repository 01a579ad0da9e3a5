import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { DemoOptionsInput } from '@antirio/demo';

const root = path.resolve(import.meta.dirname, '../..');

/** What a command said, and how it ended. */
export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in the workspace's root, to its end. */
export async function runCommand(
  command: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<Said> {
  const child = spawn(command, [...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  // The demo ends what it started before it ends itself.
  const end = (): boolean => child.kill('SIGTERM');
  signal?.addEventListener('abort', end);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  signal?.removeEventListener('abort', end);
  return { code, stdout, stderr };
}

/** The demo as everybody starts it. */
export function runDemoCommand(options: DemoOptionsInput, signal: AbortSignal): Promise<Said> {
  const { furtherKills = [], ...rest } = options;
  const flags = Object.entries(rest).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const kills = furtherKills.flatMap(({ party, phase }) => ['--kill-party', party, '--kill-phase', phase]);
  return runCommand('npm', ['run', '-s', 'demo', '--', '--json', ...flags, ...kills], signal);
}
