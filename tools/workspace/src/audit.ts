// `node tools/workspace/src/audit.ts`: what the dependencies are, by the lock; and what is known against them, where the registry tells.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { advisoriesIn, faultsOf, type AuditAnswer, type Lock } from './dependencies.ts';
import { workspaceRoot } from './root.ts';

const ANSWER_WITHIN_MS = 30_000;

const read = (name: string): unknown => JSON.parse(readFileSync(join(workspaceRoot, name), 'utf8'));

function ask(): AuditAnswer {
  const args = ['audit', '--omit=dev', '--json', '--fetch-retries=0'];
  const { stdout } = spawnSync('npm', args, {
    cwd: workspaceRoot,
    encoding: 'utf8',
    timeout: ANSWER_WITHIN_MS,
  });
  try {
    return JSON.parse(stdout) as AuditAnswer;
  } catch {
    return {};
  }
}

const { allowScripts = {} } = read('package.json') as { allowScripts?: Record<string, boolean> };
const known = advisoriesIn(ask());
const faults = [...faultsOf(read('package-lock.json') as Lock, allowScripts), ...(known?.grave ?? [])];
for (const fault of faults) console.log(fault);
if (known === undefined)
  console.log(
    'note: the registry tells of no advisories here: pins, hashes, licences and install scripts were looked at alone',
  );
else if (known.others > 0)
  console.log(`note: ${known.others} known vulnerabilities that are not grave (npm audit)`);
process.exitCode = faults.length === 0 ? 0 : 1;
