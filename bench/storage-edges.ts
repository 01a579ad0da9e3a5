import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundle, nodeFlags } from '@antirio/bundle';
import { claimOffsets, createProcesses, portOf, startWarden, type OwnProcess } from '@antirio/demo';
import { BenchError } from './benchmark.ts';
import { cpuSecondsOf } from './kernel.ts';
import { healthy, monotonic } from './setting.ts';

/** All that an edge needs to keep content and to give it to another. */
const ROOMS = ['broker', 'filecoin-interface', 'edge2edge'] as const;
const HTTP = ['filecoinInterface', 'edge2edge'] as const;
const POLL_MS = 20;

/** An edge that stands by itself: its keys, its data, its ports. */
export interface StoragePlace {
  readonly folder: string;
  readonly edgeId: string;
  readonly offset: number;
}

export interface StorageEdge {
  readonly process: OwnProcess;
  /** Stores an archive of the images folder. Gives its CID. */
  store(fileName: string): Promise<string>;
  /** Fetches an object, and resolves when it is STORED. */
  fetch(cid: string, from: string): Promise<FetchedObject>;
  stop(): Promise<void>;
}

export interface FetchedObject {
  readonly bytes: number;
  readonly ms: number;
  /** Of the edge's process. */
  readonly cpuMs: number;
}

/** Two edges that know each other, each in one process; nothing of them outlives `close`. */
export interface EdgesSetting {
  readonly giver: StoragePlace;
  readonly taker: StoragePlace;
  /** Starts it with these options of its room edge2edge. */
  start(place: StoragePlace, edge2edge?: Readonly<Record<string, unknown>>): Promise<StorageEdge>;
  /** Forgets what the edge has stored. */
  empty(place: StoragePlace): void;
  close(): Promise<void>;
}

interface StoredObject {
  readonly state: string;
  readonly size?: number;
  readonly error?: string;
}

async function ask(url: string, signal: AbortSignal, json?: unknown): Promise<Record<string, unknown>> {
  const post = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(json),
  };
  const response = await fetch(url, { ...(json === undefined ? {} : post), signal });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new BenchError(`${url}: ${response.status} ${String(answer['message'])}`);
  return answer;
}

const objectOf = (answer: Record<string, unknown>): StoredObject & { readonly cid: string } =>
  answer['object'] as StoredObject & { readonly cid: string };

function edgeOf(process: OwnProcess, offset: number, signal: AbortSignal): StorageEdge {
  const url = `http://127.0.0.1:${portOf('filecoinInterface', offset)}/api/v3/storage`;
  return {
    process,
    store: async (fileName) => objectOf(await ask(`${url}/object`, signal, { fileName, kind: 'image' })).cid,
    async fetch(cid, from) {
      const [began, used] = [monotonic(), cpuSecondsOf(process.pid)];
      await ask(`${url}/fetch`, signal, { cid, providers: [`/p2p/${from}`] });
      for (;;) {
        const { state, size = NaN, error } = objectOf(await ask(`${url}/object/${cid}`, signal));
        if (state === 'FAILED') throw new BenchError(`the fetch failed: ${error ?? ''}`);
        if (state === 'STORED') {
          const cpuMs = (cpuSecondsOf(process.pid) - used) * 1000;
          return { bytes: size, ms: monotonic() - began, cpuMs };
        }
        await sleep(POLL_MS, undefined, { signal });
      }
    },
    async stop() {
      process.signal('SIGTERM');
      await process.ended;
    },
  };
}

function makePlace(antirio: string, folder: string, offset: number): StoragePlace {
  mkdirSync(join(folder, 'images'), { recursive: true });
  execFileSync(process.execPath, [antirio, 'init', '--data-dir', folder]);
  const { edgeId } = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8')) as { edgeId: string };
  return { folder, edgeId, offset };
}

const neighbour = ({ edgeId, offset }: StoragePlace) => ({
  [edgeId]: { url: `http://127.0.0.1:${portOf('edge2edgePublic', offset)}` },
});

/** Bundles the product and makes two edges, which know each other's address and need no centre. */
export async function openEdges(
  signal: AbortSignal,
  moreFlags: readonly string[] = [],
): Promise<EdgesSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-edges-'));
  const { antirio } = await bundle({ outDir: join(folder, 'bundle'), only: ['antirio'] });
  if (antirio === undefined) throw new BenchError('the command could not be bundled');
  const claimed = await claimOffsets(2);
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  const warden = await startWarden(processes, logs);
  const [giver, taker] = ['giver', 'taker'].map((name, i) =>
    makePlace(antirio, join(folder, name), claimed.offsets[i] ?? 0),
  ) as [StoragePlace, StoragePlace];
  return {
    giver,
    taker,
    async start(place, edge2edge = {}) {
      const config = {
        logLevel: 'warn',
        neighbours: neighbour(place === giver ? taker : giver),
        edge2edge: { devices: { enabled: false }, ...edge2edge },
      };
      writeFileSync(join(place.folder, 'antirio.jsonc'), JSON.stringify(config), { mode: 0o600 });
      const name = place === giver ? 'giver' : 'taker';
      const where = ['--data-dir', place.folder, '--port-offset', String(place.offset), '--json'];
      const args = [...nodeFlags, ...moreFlags, antirio, 'serve', ...ROOMS, ...where];
      const startedAt = monotonic();
      const own = await processes.start({ name, args });
      const urls = HTTP.map((room) => `http://127.0.0.1:${portOf(room, place.offset)}`);
      await healthy(urls, own, startedAt);
      return edgeOf(own, place.offset, signal);
    },
    empty: (place) => rmSync(join(place.folder, 'filecoin-interface'), { recursive: true, force: true }),
    async close() {
      await processes.stopAll();
      warden.dismiss();
      claimed.release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
