#!/usr/bin/env node
// Sets up the workspace where that is needed, then runs the script `<task>:run` of package.json.
//
// It runs on whatever Node (18 or newer) the machine has, before anything is installed: no dependencies. The task
// runs in a new shell with node_modules/.bin first in the PATH, where the `node` package has put Node 24. This is
// what `npm run -s <task>:run -- <arguments>` would do, but for old versions of npm not passing signals on. The
// scripts say `exec`, so that a signal reaches the task and not only a shell in between.
// All output of the set-up goes to stderr; stdout belongs to the task.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const workspaceRoot = dirname(dirname(fileURLToPath(import.meta.url)));

const NODE_MAJOR = 24;
const INSTALL_ATTEMPTS = 3;
const bin = join(workspaceRoot, 'node_modules', '.bin');
const lockFile = join(workspaceRoot, 'package-lock.json');
const stampFile = join(workspaceRoot, 'node_modules', '.cache', 'antirio', 'installed');

/** A reason to stop that is told to the user without a stack. */
class SetupError extends Error {}

function say(text) {
  process.stderr.write(`${text}\n`);
}

/** The child's environment: the workspace's own binaries come first. */
export function environment() {
  const path = [bin, process.env.PATH ?? ''].filter(Boolean).join(delimiter);
  return { ...process.env, PATH: path };
}

/** The Node that tasks run on, or undefined where it is missing or too old. */
export function taskNode() {
  const found = spawnSync('node', ['-p', 'process.versions.node'], {
    encoding: 'utf8',
    env: environment(),
    cwd: workspaceRoot,
  });
  const version = found.status === 0 ? found.stdout.trim() : undefined;
  return version !== undefined && Number(version.split('.')[0]) >= NODE_MAJOR ? version : undefined;
}

function manifest() {
  return JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8'));
}

function manifestsOf(pattern) {
  if (!pattern.endsWith('/*')) return [join(pattern, 'package.json')];
  const folder = pattern.slice(0, -2);
  const absolute = join(workspaceRoot, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute)
    .sort()
    .map((name) => join(folder, name, 'package.json'));
}

/** What an install depends on: the lock, every manifest, and the platform. */
function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  const manifests = (manifest().workspaces ?? []).flatMap(manifestsOf);
  for (const file of ['package-lock.json', 'package.json', '.npmrc', ...manifests]) {
    const absolute = join(workspaceRoot, file);
    if (existsSync(absolute)) hash.update(`${file}\n`).update(readFileSync(absolute));
  }
  return hash.digest('hex');
}

function isInstalled() {
  return (
    existsSync(stampFile) && readFileSync(stampFile, 'utf8') === fingerprint() && taskNode() !== undefined
  );
}

/** Which version with which bytes stands where. Notes that versions of npm write differently are left out. */
function decisions(lock) {
  return Object.entries(JSON.parse(lock).packages).map(([path, { version, integrity, optional }]) => ({
    optional: optional === true,
    decision: [path, version, integrity].join(' '),
  }));
}

/**
 * Whether an install kept to the committed lock. A lock may lack packages for foreign platforms that the registry
 * it was made with did not have: finding them elsewhere changes nothing.
 */
function keepsTo(committed, after) {
  const wanted = new Set(decisions(committed).map(({ decision }) => decision));
  const found = decisions(after);
  const additions = found.filter(({ decision }) => !wanted.has(decision));
  return found.length - additions.length === wanted.size && additions.every(({ optional }) => optional);
}

function npmInstall(extra) {
  const before = readFileSync(lockFile, 'utf8');
  const flags = ['--no-audit', '--no-fund', '--loglevel=error', ...extra];
  const { status, error } = spawnSync('npm', ['install', ...flags], {
    cwd: workspaceRoot,
    // npm's stdout to our stderr.
    stdio: ['ignore', 2, 2],
  });
  const after = readFileSync(lockFile, 'utf8');
  if (after !== before) {
    writeFileSync(lockFile, before);
    if (!keepsTo(before, after)) {
      throw new SetupError(
        'package-lock.json does not fit the package.json files: the install would have changed it. ' +
          'Run `npm install` and commit the lock.',
      );
    }
  }
  if (error) throw new SetupError(`npm cannot be started: ${error.message}`);
  return status === 0;
}

/** Installs what the lock says, with these further flags of npm's; throws where that cannot be done. */
export function installOrThrow(extra = []) {
  for (let attempt = 1; attempt <= INSTALL_ATTEMPTS; attempt += 1) {
    if (npmInstall(extra)) return;
    say(`npm install failed (attempt ${attempt} of ${INSTALL_ATTEMPTS}).`);
  }
  throw new SetupError('npm install failed: see its messages above.');
}

/** Brings node_modules to what the lock says; does nothing where it is already there. */
export function ensureInstalled() {
  if (isInstalled()) return;
  say('Setting up: npm install (once per change of the lock) ...');
  rmSync(stampFile, { force: true });
  installOrThrow();
  if (taskNode() === undefined) {
    throw new SetupError(
      `Node ${NODE_MAJOR} or newer is needed and node_modules/.bin/node is missing or older. Its install script ` +
        'may have been blocked: run `npm rebuild node`, or install Node 24 and try again.',
    );
  }
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, fingerprint());
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Runs a command in our place: its stdio, its signals and its exit code are ours. */
export function become(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', env: environment(), ...options });
  const forward = (signal) => {
    // A terminal's Ctrl-C reaches the whole process group by itself: once is enough.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, forward);
  child.on('error', (error) => {
    say(`${command} cannot be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('close', (code, signal) => {
    for (const name of SIGNALS) process.off(name, forward);
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

/** The script that does a task, as package.json has it. */
function scriptOf(task) {
  const script = manifest().scripts?.[`${task}:run`];
  if (script === undefined) throw new SetupError(`There is no script ${task}:run in package.json.`);
  return script;
}

/** Runs a step that may end in a SetupError. */
export function told(step) {
  try {
    step();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

function main([task, ...args]) {
  told(() => {
    ensureInstalled();
    if (task === undefined) return;
    become('sh', ['-c', `${scriptOf(task)} "$@"`, 'sh', ...args], { cwd: workspaceRoot });
  });
}

const startedAs = process.argv[1];
if (startedAs !== undefined && realpathSync(startedAs) === fileURLToPath(import.meta.url))
  main(process.argv.slice(2));
