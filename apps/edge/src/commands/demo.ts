import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';

/** Folders above the command, sources or bundle, in which the workspace may be. */
const ABOVE = ['../../../..', '../../..', '../..'];

/** Runs the demo of the workspace in our place. Gives its exit code. */
export async function demo(args: readonly string[]): Promise<number> {
  const main = ABOVE.map((up) => join(import.meta.dirname, up, 'tools/demo/src/main.ts')).find(existsSync);
  if (main === undefined)
    throw new AntirioError('notFound', 'the demo needs the whole repository: run it there with npm run demo');
  const child = spawn(process.execPath, [main, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      // A terminal's Ctrl-C has reached the child already.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
