import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { portOf, type OwnProcess } from '@antirio/demo';
import { makeIdentityFile } from '@antirio/host';
import { BenchError } from './benchmark.ts';
import { configure, openBundled, type Bundled, type Place, type RunningCommand } from './bundled.ts';
import { monotonic } from './clock.ts';
import { cpuSecondsOf } from './kernel.ts';

/** All that an edge needs to keep content and to give it to another. */
const ROOMS = ['broker', 'filecoin-interface', 'edge2edge'] as const;
const HTTP = ['filecoinInterface', 'edge2edge'] as const;
const POLL_MS = 20;

/** An edge that stands by itself: its keys, its data, its ports. */
export interface StoragePlace extends Place {
  readonly edgeId: string;
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

function edgeOf({ process, url: urlOf, stop }: RunningCommand, signal: AbortSignal): StorageEdge {
  const url = `${urlOf('filecoinInterface')}/api/v3/storage`;
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
    stop,
  };
}

function makePlace(bundled: Bundled, name: string, number: number): StoragePlace {
  const place = bundled.place(name, number);
  mkdirSync(join(place.folder, 'images'));
  return { ...place, edgeId: makeIdentityFile(join(place.folder, 'identity.json')).edgeId };
}

const neighbour = ({ edgeId, offset }: StoragePlace) => ({
  [edgeId]: { url: `http://127.0.0.1:${portOf('edge2edgePublic', offset)}` },
});

/** Bundles the product and makes two edges, which know each other's address and need no centre. */
export async function openEdges(
  signal: AbortSignal,
  moreFlags: readonly string[] = [],
): Promise<EdgesSetting> {
  const bundled = await openBundled(2);
  const [giver, taker] = [makePlace(bundled, 'giver', 0), makePlace(bundled, 'taker', 1)];
  return {
    giver,
    taker,
    async start(place, edge2edge = {}) {
      configure(place, {
        logLevel: 'warn',
        neighbours: neighbour(place === giver ? taker : giver),
        edge2edge: { devices: { enabled: false }, ...edge2edge },
      });
      return edgeOf(await bundled.start(place, ['serve', ...ROOMS], HTTP, moreFlags), signal);
    },
    empty: (place) => rmSync(join(place.folder, 'filecoin-interface'), { recursive: true, force: true }),
    close: () => bundled.close(),
  };
}
