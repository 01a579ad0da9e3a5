// `npm run check`: everything that can be said of the sources without running them.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readCommandLine, UsageError } from '@antirio/command-line';
import { workspaceRoot } from './root.ts';

const CACHE = join(workspaceRoot, 'node_modules/.cache/antirio');

interface Check {
  readonly name: string;
  readonly says: string;
  readonly command: readonly [string, ...string[]];
}

const ESLINT_CACHE = ['--cache', '--cache-strategy', 'content', '--cache-location', `${CACHE}/eslint`];
const PRETTIER_CACHE = ['--cache', '--cache-strategy', 'content', '--cache-location', `${CACHE}/prettier`];

/** The longest first: two run at a time. */
const CHECKS: readonly Check[] = [
  { name: 'lint', says: 'lint and module boundaries', command: ['eslint', ...ESLINT_CACHE, '.'] },
  { name: 'types', says: 'types', command: ['tsc', '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'unused', says: 'unused files, exports and dependencies', command: ['knip', '--no-config-hints'] },
  { name: 'audit', says: 'dependencies', command: ['node', 'tools/workspace/src/audit.ts'] },
  { name: 'duplicates', says: 'duplicates', command: ['jscpd', '.'] },
  {
    name: 'format',
    says: 'formatting',
    command: ['prettier', '--check', '--log-level=warn', ...PRETTIER_CACHE, '.'],
  },
];

interface Outcome {
  readonly check: Check;
  readonly ok: boolean;
}

function run(check: Check): Promise<Outcome> {
  const [command, ...args] = check.command;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: workspaceRoot, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => output.push(data));
    child.on('error', (error) => output.push(Buffer.from(`${error.message}\n`)));
    child.on('close', (code) => {
      const took = ((performance.now() - started) / 1000).toFixed(1);
      const ok = code === 0;
      console.log(`${ok ? 'ok    ' : 'FAILED'} ${check.says} (${took} s)`);
      const text = Buffer.concat(output).toString('utf8');
      if (!ok) console.log(text);
      else for (const [note] of text.matchAll(/^note: .*$/gm)) console.log(`       ${note}`);
      resolve({ check, ok });
    });
  });
}

async function worker(queue: Check[], outcomes: Outcome[]): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) outcomes.push(await run(next));
}

const USAGE = `npm run check [-- names]: whether the code is as it should be; with names, only these checks.

${CHECKS.map(({ name, says }) => `  ${name.padEnd(14)}${says}`).join('\n')}
`;

function chosen(names: readonly string[]): Check[] {
  const unknown = names.filter((name) => !CHECKS.some((check) => check.name === name));
  if (unknown.length > 0) throw new UsageError(`no such check: ${unknown.join(', ')}`);
  return CHECKS.filter(({ name }) => names.length === 0 || names.includes(name));
}

mkdirSync(CACHE, { recursive: true });
const queue = readCommandLine({
  usage: USAGE,
  flags: {},
  positionals: Infinity,
  read: ({ positionals }) => chosen(positionals),
});
const outcomes: Outcome[] = [];
const workers = Math.min(2, availableParallelism());
await Promise.all(Array.from({ length: workers }, () => worker(queue, outcomes)));
const failed = outcomes.filter(({ ok }) => !ok).map(({ check }) => check.name);
console.log(failed.length === 0 ? 'All checks pass.' : `Failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
