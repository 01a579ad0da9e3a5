import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage } from '@antirio/content-store';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type HttpAnswer,
  type HttpPeer,
} from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createFilecoinInterface, filecoinInterfaceOptions } from './index.ts';
import { Neighbourhood, type Edge, type Json } from './test-neighbourhood.ts';

/** Rooms of some edges and what is around them, in a folder that goes with them. */
export class Scene {
  readonly folder: string;
  readonly around = new Neighbourhood();
  #way: HttpPeer | undefined;

  static newFolder(): string {
    return mkdtempSync(join(tmpdir(), 'antirio-filecoin-'));
  }

  constructor(folder = Scene.newFolder()) {
    this.folder = folder;
  }

  async start(id: string, more: object = {}): Promise<Edge> {
    this.#way ??= await this.around.open();
    const dataDir = join(this.folder, id);
    const settings = { port: 0, dataDir, edgeId: id, firstRetryMs: 5, maxRetryMs: 50, ...more };
    const peers = { orchestrator: this.#way, edge2edge: this.#way };
    const ports = { clock: systemClock, random: systemRandom, log: silentLog, peers };
    const room = createFilecoinInterface(filecoinInterfaceOptions.parse(settings), ports);
    await room.start();
    const edge = { id, dataDir, room, http: httpPeer({ url: `http://127.0.0.1:${room.port}` }) };
    this.around.edges.set(id, edge);
    return edge;
  }

  async stop(edge: Edge): Promise<void> {
    edge.http.close();
    await edge.room.stop();
  }

  async close(): Promise<void> {
    await Promise.all([...this.around.edges.values()].map((edge) => this.stop(edge)));
    this.#way?.close();
    await this.around.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const content = (size: number, seed = 1): Uint8Array =>
  new Uint8Array(size).map((_, i) => (i * seed + (i >> 8) * 31) % 256);

export const build = (edge: Edge, fileName: string, size = 300_000) =>
  buildImage(join(edge.dataDir, 'images', fileName), {
    files: [{ path: 'app/main.mjs', content: content(size, 7) }],
    entrypoint: ['node', '/app/main.mjs'],
    repoTags: ['lora-device-service:1'],
  });

/** A resource of the thesis. */
export const post = (edge: Edge, path: string, json: unknown): Promise<HttpAnswer> =>
  edge.http.call({ method: 'POST', path: `/filecoin_interface/${path}`, json, timeoutMs: 20_000 });
export const get = async (edge: Edge, path: string): Promise<unknown> =>
  (await edge.http.call({ path: `/filecoin_interface/${path}` })).json();

export const until = async <T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const value = await waitFor(systemClock, 60_000, what, 10);
  if (value === undefined) throw new AntirioError('timeout', 'it never came to it');
  return value;
};

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A resource of the v3 API. */
export const v3 = (edge: Edge, method: Method, path: string, json?: unknown): Promise<HttpAnswer> =>
  edge.http.call({ method, path: `/api/v3/storage/${path}`, json, timeoutMs: 20_000 });

export const objectOf = async (edge: Edge, cid: string): Promise<Json> =>
  ((await v3(edge, 'GET', `object/${cid}`)).json() as { object: Json }).object;

export const put = async (edge: Edge, json: unknown): Promise<{ cid: string; size: number }> =>
  ((await v3(edge, 'POST', 'object', json)).json() as { object: { cid: string; size: number } }).object;

export const inState = (edge: Edge, cid: string, state: string): Promise<Json> =>
  until(async () => {
    const object = await objectOf(edge, cid);
    return object['state'] === state ? object : undefined;
  });

/** An ordered image, once it is stored or failed. */
export const stored = (edge: Edge, name: string): Promise<Json> =>
  until(async () => {
    const image = (await get(edge, `orchestrator/image?imageName=${name}`)) as Json;
    return image['status'] === 'WAITING' ? undefined : image;
  });

export const packsOf = (edge: Edge): string => join(edge.dataDir, 'filecoin-interface', 'packs');

export const order = {
  imageName: 'LoRa-device-service',
  storageDuration: 7,
  fileName: 'LoRa-device-service.tar',
};
