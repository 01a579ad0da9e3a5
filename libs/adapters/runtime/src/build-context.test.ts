import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { writeBuildContext } from './build-context.ts';
import { buildLayer, writeImageArchive, type TestImage } from './test-image.ts';

describe('an image as a build context', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ctx-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const made = async (settings: Partial<TestImage>): Promise<string> => {
    const layers = [await buildLayer([{ name: 'app/main.mjs', content: 'run' }])];
    await writeImageArchive(join(dir, 'image.tar'), { layers, ...settings });
    await writeBuildContext(join(dir, 'image.tar'), join(dir, 'out'), 1 << 20);
    return readFileSync(join(dir, 'out', 'Dockerfile'), 'utf8');
  };

  test('has its files and what starts them', async () => {
    expect(await made({ env: ['PATH=/bin', 'A_B=x=$y'] })).toBe(
      [
        'FROM scratch',
        'COPY rootfs/ /',
        'ENV PATH="/bin"',
        'ENV A_B="x=\\$y"',
        'WORKDIR /app',
        'ENTRYPOINT ["node","/app/main.mjs"]',
        '',
      ].join('\n'),
    );
  });

  // A line of its own would have the fleet build and run what nobody fetched by content id
  test.each([
    ['a working folder with a line', { workingDir: '/app\nFROM evil' }],
    ['a working folder with a variable', { workingDir: '/$HOME' }],
    ['a variable whose name has a line', { env: ['A\nRUN evil=1'] }],
    ['a variable whose name has a blank', { env: ['A B=1'] }],
    ['a variable whose value has a line', { env: ['A=1\nRUN evil'] }],
    ['a command with a line', { entrypoint: ['node', 'x\nRUN evil'] }],
  ])('is not made of %s', async (_what, settings) => {
    await expect(made(settings)).rejects.toMatchObject({ code: 'invalidInput' });
    expect(existsSync(join(dir, 'out'))).toBe(false);
  });
});
