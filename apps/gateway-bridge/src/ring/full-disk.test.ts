import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const HOST = new URL('../full-disk-host.fixture.ts', import.meta.url).pathname;

test('a ring whose disk is full says nothing that it has not written, and acknowledges nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-full-'));
  try {
    // files of 8 KiB at most, in blocks of 512 bytes
    const command = `ulimit -f 16; exec "${process.execPath}" "${HOST}" "${folder}"`;
    const env = { ...process.env, NODE_OPTIONS: '' };
    const { stdout, stderr } = spawnSync('/bin/sh', ['-c', command], {
      encoding: 'utf8',
      env,
      timeout: 15_000,
    });
    expect({ told: stdout === '' ? stderr : (JSON.parse(stdout) as unknown) }).toMatchObject({
      told: {
        failed: true,
        pulledThrough: 0,
        acknowledged: false,
        again: { position: null, isShort: true },
      },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
