import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const workspaceRoot = join(import.meta.dirname, '../../..');
const REQUIREMENTS = join(import.meta.dirname, '../requirements.txt');
const ATTEMPTS = 3;

/** Why there is no schemathesis here. */
export class NotInstalled extends Error {}

function run(command: string, args: readonly string[]): boolean {
  // What it says goes to stderr; stdout is for the results.
  const { status, error } = spawnSync(command, [...args], { stdio: ['ignore', 2, 2] });
  if (error) throw new NotInstalled(`${command} cannot be started: ${error.message}`);
  return status === 0;
}

/** The folder of a virtual environment with exactly these versions, made once for each change of the list. */
function environmentFolder(): string {
  const digest = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12);
  return join(workspaceRoot, 'node_modules/.cache/antirio/schemathesis', digest);
}

/**
 * The `schemathesis` command, installed from PyPI where it is not here yet.
 * @throws NotInstalled where Python 3 with its venv module is missing, or PyPI does not answer
 */
export function ensureSchemathesis(): string {
  const folder = environmentFolder();
  const command = join(folder, 'bin/schemathesis');
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return command;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (!run('python3', ['-m', 'venv', folder]))
    throw new NotInstalled('python3 has no venv module: Debian has it in python3-venv');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (run(join(folder, 'bin/python'), pip)) {
      writeFileSync(stamp, '');
      return command;
    }
  }
  throw new NotInstalled('pip could not install schemathesis: see its messages above');
}
