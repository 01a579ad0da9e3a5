import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { claimOffsets } from '@antirio/testing';
import { bundle, digestOf, keptBundle, MutationError } from './index.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'antirio-bundle-'));
afterAll(() => rmSync(folder, { recursive: true }));

const VERSION = {
  file: 'apps/edge/src/cli.ts',
  find: `const VERSION = '0.1.0';`,
  replace: `const VERSION = '9.9.9';`,
};
const only = ['antirio'] as const;
const env = { ...process.env, NODE_OPTIONS: '' };

describe('the bundle', () => {
  test('runs where there are no sources and no packages', async () => {
    const { antirio = '' } = await bundle({ outDir: join(folder, 'plain'), only });
    const { stdout } = await run('node', [antirio, '--version'], { cwd: folder, env });
    expect(stdout.trim()).toBe('0.1.0');
    await run('node', [antirio, 'init', '--data-dir', join(folder, 'data')], { cwd: folder, env });
    expect(readFileSync(join(folder, 'data', 'antirio.jsonc'), 'utf8')).toContain('"coreData"');
  });

  test('is made once for all who want the same, where what Node compiles is kept', async () => {
    const { NODE_COMPILE_CACHE: before } = process.env;
    process.env['NODE_COMPILE_CACHE'] = join(folder, 'kept');
    try {
      const wanted = { outDir: join(folder, 'unused'), only: ['device-lora'] } as const;
      const [one, two] = await Promise.all([keptBundle(wanted), keptBundle(wanted)]);
      expect(one).toEqual(two);
      expect(existsSync(one['device-lora'] ?? '')).toBe(true);
      expect(readdirSync(join(folder, 'kept'))).toHaveLength(1);
      const mutate = [{ file: 'libs/domain/lorawan/src/cayenne-lpp.ts', find: ' / 2', replace: ' / 3' }];
      expect(await keptBundle({ ...wanted, mutate })).not.toEqual(one);
    } finally {
      if (before === undefined) delete process.env['NODE_COMPILE_CACHE'];
      else process.env['NODE_COMPILE_CACHE'] = before;
    }
  });

  test('has each service in a chunk of its own, so that one is loaded without the others', async () => {
    const { antirio = '' } = await bundle({ outDir: join(folder, 'chunks'), only });
    expect(readFileSync(antirio, 'utf8')).not.toContain('CREATE TABLE');
    expect(readdirSync(join(folder, 'chunks/antirio/chunks')).length).toBeGreaterThan(5);
  });

  test('has services that find each other by the broker, each in a process of its own', async () => {
    const { antirio = '' } = await bundle({ outDir: join(folder, 'apart'), only });
    const claimed = await claimOffsets(1);
    const where = ['--data-dir', join(folder, 'apart-data'), '--port-offset', String(claimed.offsets[0])];
    const started: ChildProcess[] = [];
    const serve = async (room: string): Promise<string> => {
      const child = spawn('node', [antirio, 'serve', room, ...where, '--json'], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      started.push(child);
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      return (JSON.parse(line.toString()) as { urls: Record<string, string> }).urls[room] ?? '';
    };
    try {
      await serve('broker');
      const keeper = await serve('core-keeper');
      const ready = await waitFor(systemClock, 60_000, async () => {
        const { status } = await fetch(`${keeper}/api/v3/ready`);
        return status === 200 ? status : undefined;
      });
      expect(ready).toBe(200);
    } finally {
      for (const child of started) child.kill('SIGKILL');
      claimed.release();
    }
  });

  test('carries messages of the checks in English only', async () => {
    const { 'device-lora': main = '' } = await bundle({
      outDir: join(folder, 'lean'),
      only: ['device-lora'],
    });
    const code = readFileSync(main, 'utf8');
    expect(code).toContain('Invalid input: expected ');
    expect(code).not.toContain('Ongeldige invoer');
  });

  test('is the same when it is made again, elsewhere, and says what it is made of', async () => {
    const [one, two] = ['plain', 'once/more'].map((name) => join(folder, name));
    await bundle({ outDir: two ?? '', only });
    expect(digestOf(two ?? '')).not.toBe(digestOf(join(two ?? '', 'antirio/chunks')));
    expect(digestOf(join(two ?? '', 'antirio'))).toBe(digestOf(join(one ?? '', 'antirio')));
    const bill = JSON.parse(readFileSync(join(two ?? '', 'antirio/sbom.cdx.json'), 'utf8')) as {
      components: { name: string }[];
    };
    const names = bill.components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['aedes', 'express', 'zod']));
    expect(names).not.toContain('jest');
  });

  test('is made with a source changed, and the source stays as it is', async () => {
    const { antirio = '' } = await bundle({ outDir: join(folder, 'mutated'), only, mutate: [VERSION] });
    const { stdout } = await run('node', [antirio, '--version'], { env });
    expect(stdout.trim()).toBe('9.9.9');
    expect(readFileSync('apps/edge/src/cli.ts', 'utf8')).toContain(VERSION.find);
  });

  test('takes several changes of one file, one after the other', async () => {
    const second = { ...VERSION, find: `'9.9.9'`, replace: `'1.2.3'` };
    const { antirio = '' } = await bundle({ outDir: join(folder, 'twice'), only, mutate: [VERSION, second] });
    expect((await run('node', [antirio, '--version'], { env })).stdout.trim()).toBe('1.2.3');
  });

  test('is not made when a change does not fit exactly once', async () => {
    const outDir = join(folder, 'none');
    const misfits = [
      { ...VERSION, find: 'nowhere to be found' },
      { ...VERSION, find: 'const' },
      { ...VERSION, find: '' },
    ];
    for (const mutation of misfits)
      await expect(bundle({ outDir, only, mutate: [mutation] })).rejects.toThrow(MutationError);
    const elsewhere = { file: 'tools/bundle/src/main.ts', find: 'sizes.reduce', replace: 'sizes.map' };
    await expect(bundle({ outDir, only, mutate: [elsewhere] })).rejects.toThrow('in none of the bundles');
    await expect(bundle({ outDir, only, mutate: [{ ...VERSION, file: 'no/such.ts' }] })).rejects.toThrow(
      'ENOENT',
    );
  });
});
