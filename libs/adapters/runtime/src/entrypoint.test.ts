import { describe, expect, test } from '@jest/globals';
import { commandOf } from './entrypoint.ts';

const files = new Set(['/img/app/main.mjs', '/img/usr/bin/tool', '/img/app/local']);

function command(Entrypoint: string[], Cmd: string[] = [], Env: string[] = []) {
  return commandOf({
    config: { config: { Entrypoint, Cmd, Env, WorkingDir: '/app' }, rootfs: { diff_ids: [] } },
    root: '/img',
    node: '/our/node',
    memoryBytes: 128 << 20,
    env: { GIVEN: '1' },
    exists: (path) => files.has(path),
  });
}

describe('what an entrypoint means without a container', () => {
  test('node is our Node, paths of the image are the unpacked ones, the heap is limited', () => {
    const { file, args, cwd, env } = command(
      ['node', '/app/main.mjs'],
      ['--level', '/not/there'],
      ['A=b=c', 'bad'],
    );
    expect(file).toBe('/our/node');
    const flags = ['--max-old-space-size=96', '--max-semi-space-size=1'];
    expect(args).toEqual([...flags, '/img/app/main.mjs', '--level', '/not/there']);
    expect(cwd).toBe('/img/app');
    expect(env).toMatchObject({ A: 'b=c', GIVEN: '1' });
    expect(Object.keys(env).sort()).toEqual(['A', 'GIVEN', 'PATH']);
    expect(command(['/usr/local/bin/node', 'main.mjs']).file).toBe('/our/node');
  });

  test('other programs come from the image only', () => {
    expect(command(['tool']).file).toBe('/img/usr/bin/tool');
    expect(command(['./local']).file).toBe('/img/app/local');
    expect(() => command(['sh'])).toThrow('no program sh');
    expect(() => command(['../../bin/sh'])).toThrow('no program');
    expect(() => command([])).toThrow('no entrypoint');
  });
});
