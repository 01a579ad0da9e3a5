import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';

const folder = mkdtempSync(join(tmpdir(), 'antirio-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

const host = JSON.stringify(join(import.meta.dirname, 'index.ts'));
let scripts = 0;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a service made of these pieces of source as a process; `signals` are sent as it says `ready`. */
function run(
  parts: { start?: string; stop?: string; then?: string },
  signals: readonly NodeJS.Signals[] = [],
): Promise<Ended> {
  const file = join(folder, `${scripts++}.ts`);
  writeFileSync(
    file,
    `import { createLog, runAlone } from ${host};
     const keep = setInterval(() => undefined, 1000);
     await runAlone(createLog('test'), () => ({
       name: 'test',
       async start() { ${parts.start ?? ''} },
       async stop() { console.log('stopped'); ${parts.stop ?? ''} },
       health: () => ({}),
     }));
     console.log('ready');
     ${parts.then ?? ''}`,
  );
  const child = spawn('node', [file], { env: { ...process.env, NODE_OPTIONS: '' } });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    if (chunk.toString().includes('ready')) for (const signal of signals) child.kill(signal);
  });
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

describe('a service that is its whole process', () => {
  test('ends in order on a signal', async () => {
    expect(await run({}, ['SIGTERM'])).toMatchObject({ code: 0, out: 'ready\nstopped\n' });
    expect(await run({}, ['SIGINT'])).toMatchObject({ code: 0, out: 'ready\nstopped\n' });
  });

  test('ends at once on a second one', async () => {
    const stop = `await new Promise(() => undefined);`;
    const then = `process.once('SIGTERM', () => setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50));`;
    expect(await run({ stop, then }, ['SIGTERM'])).toMatchObject({ code: 1, out: 'ready\nstopped\n' });
  });

  test('says why it could not start', async () => {
    const { code, err } = await run({ start: `throw new Error('planted');` });
    expect([code, err]).toEqual([1, expect.stringContaining('planted')]);
  });

  test('ends, and says why, when nobody caught an error', async () => {
    for (const then of [
      `setTimeout(() => { throw new Error('planted'); }, 10);`,
      `Promise.reject(new Error('planted'));`,
    ]) {
      const { code, err } = await run({ then });
      expect([code, err]).toEqual([1, expect.stringContaining('planted')]);
    }
  });
});
