import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { nodeEnvironment, nodeFlags, workspaceRoot } from '@antirio/bundle';
import { dockerfileFor } from './build-image.ts';

const read = (path: string): string => readFileSync(join(workspaceRoot, path), 'utf8');
const dockerfile = read('docker/Dockerfile');
const instructions = dockerfile
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line.trim() !== '');

describe('docker/Dockerfile', () => {
  test('starts Node as the product is started elsewhere', () => {
    const entrypoint = instructions.find((line) => line.startsWith('ENTRYPOINT '))?.slice(11) ?? '';
    expect(JSON.parse(entrypoint)).toEqual(['node', ...nodeFlags, '/app/antirio/antirio.mjs']);
    for (const [name, value] of Object.entries(nodeEnvironment))
      expect(dockerfile).toContain(`${name}=${value}`);
  });

  test('has nothing that only newer builders know, or that needs a shell', () => {
    expect(dockerfile).not.toMatch(/RUN --|COPY --(?!from|chown)|<<|--start-interval|^# syntax/m);
    const commands = instructions.filter((line) => /^(?:RUN|CMD|ENTRYPOINT)\b/.test(line));
    expect(commands.length).toBeGreaterThan(2);
    for (const line of commands) expect(line).toMatch(/^[A-Z]+ \[/);
  });

  test('ends as nobody in particular, with a health check', () => {
    const last = (name: string): string => instructions.findLast((line) => line.startsWith(name)) ?? '';
    expect(last('USER')).toBe('USER 1000:1000');
    expect(last('HEALTHCHECK')).toContain('/app/healthcheck.mjs');
  });
});

test('only an engine that knows how is told to look more often while a container starts', () => {
  for (const old of ['1.41', '1.43', '']) expect(dockerfileFor(old, dockerfile)).toBe(dockerfile);
  const told = dockerfileFor('1.44', dockerfile);
  expect(told.match(/--start-interval=500ms/g)).toHaveLength(1);
  expect(told).toContain('\nHEALTHCHECK --start-interval=500ms --interval=10s ');
  expect(dockerfileFor('1.51', dockerfile)).toBe(told);
});

test('the base image has the Node of the workspace', () => {
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: { node: string } };
  expect(read('tools/base-image/build')).toContain(`version=${devDependencies.node}\n`);
});
