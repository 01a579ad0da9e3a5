import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const workspaceRoot = join(import.meta.dirname, '../../..');

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Every `of`th file, from the `part`th on. */
export interface Part {
  readonly part: number;
  readonly of: number;
}

function propertyTests({ part, of }: Part): string[] {
  return globSync('{apps,libs,tools}/**/*.test.ts', { cwd: workspaceRoot })
    .filter((path) => !path.includes('node_modules') && !path.endsWith('.int.test.ts'))
    .filter((path) => readFileSync(join(workspaceRoot, path), 'utf8').includes("from 'fast-check'"))
    .sort()
    .filter((_path, index) => index % of === part - 1);
}

/** The test files with properties, drawing other examples than `npm test` does. */
export function runProperties(which: Part, seed: number): Promise<Counts> {
  const runner = join(workspaceRoot, 'tools/workspace/src/test.ts');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [runner, '--kind', 'unit', ...propertyTests(which)], {
      cwd: workspaceRoot,
      env: { ...process.env, PROPERTY_SEED: String(seed) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      const [, passed, failed, skipped] = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(said) ?? [];
      const counted = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
      if (code === 0) console.log(`ok     properties, seed ${seed}: ${counted.passed} tests`);
      else console.log(`FAILED properties, PROPERTY_SEED=${seed}\n${said}`);
      const unexplained = passed === undefined || (code !== 0 && counted.failed === 0);
      resolve(unexplained ? { passed: 0, failed: 1, skipped: 0 } : counted);
    });
  });
}
