import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundle, nodeFlags } from '@antirio/bundle';
import {
  CENTRAL_ROOMS,
  claimOffsets,
  createProcesses,
  EDGE_ROOMS,
  portOf,
  startWarden,
  type OwnProcess,
  type Processes,
  type Room,
} from '@antirio/demo';
import { BenchError } from './benchmark.ts';

export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;

/** A data folder and a port offset: what makes an edge that edge. */
export interface Place {
  readonly name: string;
  readonly folder: string;
  readonly offset: number;
}

export interface RunningParty extends Place {
  readonly process: OwnProcess;
  /** From the start of the process to the 200 of the last of its rooms' /api/v3/ready, ms. */
  readonly healthyMs: number;
  url(room: Room): string;
  stop(): Promise<void>;
}

/** Bundled product, a centre that runs, and room for one edge at a time. Nothing of it outlives `close`. */
export interface Setting {
  readonly folder: string;
  readonly processes: Processes;
  /** A new, empty data folder with this configuration, besides what makes the centre known. */
  place(name: string, config: Readonly<Record<string, unknown>>): Place;
  start(place: Place): Promise<RunningParty>;
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
export async function healthy(urls: readonly string[], own: OwnProcess, startedAt: number): Promise<number> {
  for (const url of urls.toReversed())
    while (!(await isReady(url))) {
      if (!own.isRunning()) throw new BenchError(`${own.name} ended before it was healthy: ${own.logFile}`);
      if (monotonic() - startedAt > HEALTHY_WITHIN_MS)
        throw new BenchError(`${own.name} was not healthy in time (${url}): ${own.logFile}`);
      await sleep(POLL_MS);
    }
  return monotonic() - startedAt;
}

interface Started {
  readonly processes: Processes;
  readonly antirio: string;
}

async function startParty(
  { processes, antirio }: Started,
  place: Place,
  role: string,
): Promise<RunningParty> {
  const { name, folder, offset } = place;
  const startedAt = monotonic();
  const own = await processes.start({
    name,
    args: [
      ...nodeFlags,
      ...[antirio, 'up', '--role', role, '--data-dir', folder, '--port-offset', String(offset), '--json'],
    ],
  });
  const url = (room: Room): string => `http://127.0.0.1:${portOf(room, offset)}`;
  const rooms = role === 'central' ? CENTRAL_ROOMS : EDGE_ROOMS;
  const healthyMs = await healthy(rooms.map(url), own, startedAt);
  return {
    ...place,
    process: own,
    healthyMs,
    url,
    async stop() {
      own.signal('SIGTERM');
      await own.ended;
    },
  };
}

function writeConfig(folder: string, config: Readonly<Record<string, unknown>>): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'antirio.jsonc'), JSON.stringify(config), { mode: 0o600 });
}

/** Keys for the centre, before it starts: its id belongs into the edges' configuration. */
function initCentral(antirio: string, folder: string): string {
  execFileSync(process.execPath, [antirio, 'init', '--role', 'central', '--data-dir', folder]);
  const { edgeId } = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8')) as { edgeId: string };
  writeConfig(folder, { edge2edge: { vetted: 'all' } });
  return edgeId;
}

/** Bundles the product and starts a centre. */
export async function openSetting(): Promise<Setting> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-'));
  const { antirio } = await bundle({ outDir: join(folder, 'bundle'), only: ['antirio'] });
  if (antirio === undefined) throw new BenchError('the command could not be bundled');
  const claimed = await claimOffsets(2);
  const [centralOffset = 0, offset = 0] = claimed.offsets;
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  const warden = await startWarden(processes, logs);
  const close = async (): Promise<void> => {
    await processes.stopAll();
    warden.dismiss();
    claimed.release();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const centre = { name: 'central', folder: join(folder, 'central'), offset: centralOffset };
    const edgeId = initCentral(antirio, centre.folder);
    await startParty({ processes, antirio }, centre, 'central');
    const central = {
      edgeId,
      url: `http://127.0.0.1:${portOf('edge2edgePublic', centralOffset)}`,
      udp: { host: '127.0.0.1', port: portOf('edge2edgePublic', centralOffset) + 1 },
    };
    return {
      folder,
      processes,
      place(name, config) {
        const place = { name, folder: join(folder, name), offset };
        writeConfig(place.folder, { central, ...config });
        return place;
      },
      start: (place) => startParty({ processes, antirio }, place, 'edge'),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
