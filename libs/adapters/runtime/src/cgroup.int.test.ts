import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openControlGroup, sweepControlGroups } from './cgroup.ts';

const ROOT = '/sys/fs/cgroup';
const memory = existsSync(join(ROOT, 'cgroup.controllers')) ? ROOT : join(ROOT, 'memory');
const LIMITS = { memoryBytes: 64 << 20, cpus: 1, pids: 32 };

/** Takes 512 MiB, but not before it gets a byte: by then it is in its group. */
const GREEDY = `process.stdin.once('data', () => {
  const kept = [];
  for (let i = 0; i < 64; i++) kept.push(Buffer.alloc(8 << 20, 1));
  process.exit(0);
})`;

test('a process in a control group is ended when it takes more memory than it may, where groups can be made', async () => {
  const name = `test-${process.pid}`;
  const exists = (): boolean => existsSync(join(memory, `antirio-${name}`));
  const group = openControlGroup(name, LIMITS);
  const limited = exists();
  const child = spawn(process.execPath, ['-e', GREEDY], { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(child, 'spawn');
  group.add(child.pid!);
  child.stdin.write('x');
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect([code, signal]).toEqual(limited ? [null, 'SIGKILL'] : [0, null]);
  group.remove();
  expect(exists()).toBe(false);
});

test('groups left by the dead are swept when they have been empty for a while', () => {
  const name = `left-${process.pid}`;
  const exists = (): boolean => existsSync(join(memory, `antirio-${name}`));
  openControlGroup(name, LIMITS);
  const made = exists();
  sweepControlGroups(Date.now());
  expect(exists()).toBe(made);
  sweepControlGroups(Date.now() + 3_600_000);
  expect(exists()).toBe(false);
});
