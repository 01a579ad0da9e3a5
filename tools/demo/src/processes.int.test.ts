import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { talkWith } from './command-line-process.ts';
import { createProcesses, type Processes } from './processes.ts';
import { startWarden } from './warden.ts';

let folder = '';
let processes: Processes;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'demo-processes-'));
  processes = createProcesses(folder);
});
afterEach(async () => {
  await processes.stopAll();
  rmSync(folder, { recursive: true });
});

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(20);
}

const FOREVER = 'setInterval(() => undefined, 1000)';
// Answers every line with an event of its name.
const ECHO = `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) =>
  console.log(JSON.stringify({ event: line.includes('bad') ? 'error' : JSON.parse(line).cmd })))`;

test('a process that ends by itself is a surprise, one that is killed is none', async () => {
  const killed = await processes.start({ name: 'killed', args: ['-e', FOREVER] });
  killed.signal('SIGKILL');
  await killed.ended;
  processes.check();
  const failing = await processes.start({
    name: 'failing',
    args: ['-e', 'console.error("no disk"); process.exit(3)'],
  });
  await failing.ended;
  expect(() => processes.check()).toThrow(/failing ended by itself with code 3[\s\S]*no disk/);
});

test('what is frozen, and what does not want to end, is ended as well', async () => {
  const frozen = await processes.start({ name: 'frozen', args: ['-e', FOREVER] });
  frozen.signal('SIGSTOP');
  await processes.stopAll();
  expect(frozen.isRunning()).toBe(false);
});

test('a tool is asked by lines; what it cannot do, and its end, are errors', async () => {
  const tool = talkWith(await processes.start({ name: 'tool', args: ['-e', ECHO], talks: true }));
  await expect(tool.ask({ cmd: 'status' }, 'status')).resolves.toEqual({ event: 'status' });
  await expect(tool.ask({ cmd: 'bad' }, 'status')).rejects.toThrow('error');
  await expect(tool.next('never', 50)).rejects.toThrow('within 50 ms');
  const asked = tool.next('drained', 20_000);
  tool.process.signal('SIGKILL');
  await expect(asked).rejects.toThrow('ended before drained');
});

test('nothing outlives a demo that is killed itself', async () => {
  const script = path.join(folder, 'demo.mts');
  const source = (name: string): string => JSON.stringify(path.join(import.meta.dirname, name));
  writeFileSync(
    script,
    `import { createProcesses } from ${source('processes.ts')};
     import { startWarden } from ${source('warden.ts')};
     const processes = createProcesses(${JSON.stringify(folder)});
     const tool = await processes.start({ name: 'tool', args: ['-e', ${JSON.stringify(ECHO)}], talks: true });
     await startWarden(processes, ${JSON.stringify(folder)});
     const edge = await processes.start({ name: 'edge', args: ['-e', ${JSON.stringify(FOREVER)}] });
     edge.signal('SIGSTOP');
     console.log(edge.pid, tool.pid);
     setInterval(() => undefined, 1000);`,
  );
  const demo = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await new Promise<Buffer>((resolve) => demo.stdout.once('data', resolve)))
    .toString()
    .split('\n');
  const pids = (line ?? '').split(' ').map(Number);
  expect(pids.map(isAlive)).toEqual([true, true]);
  demo.kill('SIGKILL');
  for (const pid of pids) await gone(pid);
});

test('kept processes go on without the demo, until the warden is told to end', async () => {
  const own = await processes.start({ name: 'tool', args: ['-e', ECHO], talks: true });
  const tool = talkWith(own);
  const warden = await startWarden(processes, folder);
  warden.keep();
  await sleep(300);
  expect(isAlive(own.pid)).toBe(true);
  await expect(tool.ask({ cmd: 'status' }, 'status')).resolves.toEqual({ event: 'status' });
  // Until it has read that it is to keep them, it leaves the end to the demo: so it is told again.
  while (isAlive(own.pid)) {
    if (isAlive(warden.pid)) process.kill(warden.pid, 'SIGTERM');
    await sleep(100);
  }
  await own.ended;
});
