import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeEnvironment, nodeFlags } from '@antirio/bundle';
import { BenchError } from './benchmark.ts';
import { monotonic } from './clock.ts';

/** Core-data with a broker in a process of its own, on an empty store. */
export interface RunningCore {
  readonly pid: number;
  /** Ports on 127.0.0.1. */
  readonly http: number;
  readonly mqtt: number;
  eventCount(): Promise<number>;
  /** Waits until core-data has so many events; resolves with when that was seen. Throws when nothing comes any more. */
  untilStored(events: number): Promise<number>;
  /** SIGKILL; resolves when the process is gone. Its folder stays until `stop`. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, 'core-host.ts');
const STARTS_WITHIN_MS = 120_000;
const STILL_MS = 3_000;
const POLL_MS = 20;

interface Ports {
  readonly http: number;
  readonly mqtt: number;
}

async function portsOf(child: ChildProcess): Promise<Ports> {
  const ended = once(child, 'exit').then((): never => {
    throw new BenchError('core-data ended before it had started');
  });
  const [ports] = (await Promise.race([
    once(child, 'message', { signal: AbortSignal.timeout(STARTS_WITHIN_MS) }),
    ended,
  ])) as [Ports];
  return ports;
}

async function countAt(http: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${http}/api/v3/event/count`);
  return ((await response.json()) as { count: number }).count;
}

async function untilStored(events: number, countNow: () => Promise<number>): Promise<number> {
  let [count, since] = [-1, monotonic()];
  for (;;) {
    const now = await countNow();
    if (now >= events) return monotonic();
    if (now !== count) [count, since] = [now, monotonic()];
    if (monotonic() - since > STILL_MS) return Infinity;
    await sleep(POLL_MS);
  }
}

/** A new, empty data folder. */
export function newCoreFolder(): string {
  return mkdtempSync(join(tmpdir(), 'antirio-bench-core-'));
}

/** Runs from the sources with the flags of the product. Its folder goes with it, unless it was given. */
export async function startCore(given?: string): Promise<RunningCore> {
  const folder = given ?? newCoreFolder();
  const env = { ...nodeEnvironment, ...process.env, NODE_OPTIONS: '' };
  const child = fork(PROGRAM, [folder], { execArgv: nodeFlags, env });
  const end = async (how: () => void): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    how();
    await once(child, 'exit');
  };
  const stop = async (): Promise<void> => {
    await end(() => child.disconnect());
    if (given === undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { http, mqtt } = await portsOf(child);
    const eventCount = (): Promise<number> => countAt(http);
    return {
      pid: child.pid ?? 0,
      http,
      mqtt,
      eventCount,
      untilStored: (events) => untilStored(events, eventCount),
      kill: () => end(() => child.kill('SIGKILL')),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
