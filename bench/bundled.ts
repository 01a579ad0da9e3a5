import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundle, nodeFlags } from '@antirio/bundle';
import {
  claimOffsets,
  createProcesses,
  portOf,
  startWarden,
  type OwnProcess,
  type Processes,
  type Room,
} from '@antirio/demo';
import { BenchError } from './benchmark.ts';
import { bundledOnce } from './bundled-once.ts';
import { monotonic } from './clock.ts';

/** A data folder and a port offset: what makes a party that party. */
export interface Place {
  readonly name: string;
  readonly folder: string;
  readonly offset: number;
}

export interface RunningCommand {
  readonly process: OwnProcess;
  /** From the start of the process to the 200 of the last of its rooms' /api/v3/ready, ms. */
  readonly healthyMs: number;
  readonly url: (room: Room) => string;
  readonly stop: () => Promise<void>;
}

/** The bundled product and processes of it. Nothing of it outlives `close`. */
export interface Bundled {
  readonly folder: string;
  readonly antirio: string;
  readonly processes: Processes;
  /** A new folder with this configuration, and the offset of that number. */
  place(name: string, offset: number, config?: Readonly<Record<string, unknown>>): Place;
  /** `antirio <args>` at that place; resolves when these rooms are ready. `moreFlags`: of Node, besides the product's. */
  start(
    place: Place,
    args: readonly string[],
    rooms: readonly Room[],
    moreFlags?: readonly string[],
  ): Promise<RunningCommand>;
  close(): Promise<void>;
}

const HEALTHY_WITHIN_MS = 60_000;
const POLL_MS = 5;

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/api/v3/ready`, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** Resolves with how long it took, ms. One room is asked at a time, the last to start first, so that asking costs the edge little. */
async function healthy(urls: readonly string[], own: OwnProcess, startedAt: number): Promise<number> {
  for (const url of urls.toReversed())
    while (!(await isReady(url))) {
      if (!own.isRunning()) throw new BenchError(`${own.name} ended before it was healthy: ${own.logFile}`);
      if (monotonic() - startedAt > HEALTHY_WITHIN_MS)
        throw new BenchError(`${own.name} was not healthy in time (${url}): ${own.logFile}`);
      await sleep(POLL_MS);
    }
  return monotonic() - startedAt;
}

/** Writes what a party at that place is to be configured as, for its next start. */
export function configure({ folder }: Place, config: Readonly<Record<string, unknown>>): void {
  writeFileSync(join(folder, 'antirio.jsonc'), JSON.stringify(config), { mode: 0o600 });
}

async function bundleCommand(folder: string): Promise<string> {
  const { antirio } = await bundle({ outDir: join(folder, 'bundle'), only: ['antirio'] });
  if (antirio === undefined) throw new BenchError('the command could not be bundled');
  return antirio;
}

/** Bundles the product, with room for so many parties at a time. */
export async function openBundled(parties: number): Promise<Bundled> {
  const antirio = await bundledOnce('antirio', bundleCommand);
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-'));
  const claimed = await claimOffsets(parties);
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  const warden = await startWarden(processes, logs);
  return {
    folder,
    antirio,
    processes,
    place(name, number, config = {}) {
      const offset = claimed.offsets[number];
      if (offset === undefined) throw new BenchError(`there is no room for party ${number}`);
      const place = { name, folder: join(folder, name), offset };
      mkdirSync(place.folder, { recursive: true });
      configure(place, config);
      return place;
    },
    async start({ name, folder: dataDir, offset }, args, rooms, moreFlags = []) {
      const startedAt = monotonic();
      const where = ['--data-dir', dataDir, '--port-offset', String(offset), '--json'];
      const own = await processes.start({
        name,
        args: [...nodeFlags, ...moreFlags, antirio, ...args, ...where],
      });
      const url = (room: Room): string => `http://127.0.0.1:${portOf(room, offset)}`;
      return {
        process: own,
        healthyMs: await healthy(rooms.map(url), own, startedAt),
        url,
        async stop() {
          own.signal('SIGTERM');
          await own.ended;
        },
      };
    },
    async close() {
      await processes.stopAll();
      warden.dismiss();
      claimed.release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
