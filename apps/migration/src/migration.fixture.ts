// Two edges with their stores as processes, and what is between them: images of the customer A come to the provider B.
import { createCipheriv } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { buildImage, type BuiltImage } from '@antirio/content-store';
import { AntirioError } from '@antirio/kernel';
import { systemClock, waitFor, type HttpAnswer } from '@antirio/host';
import { Between, freePort, RoomProcess, type Json } from './test-edges.ts';

export interface Edge {
  readonly id: string;
  readonly dataDir: string;
  readonly store: RoomProcess;
  readonly migration: RoomProcess;
}

export interface Prepared {
  /** In its name, and the seed of its noise. */
  readonly n: number;
  readonly name: string;
  readonly contractId: string;
  readonly built: BuiltImage;
  /** The first bytes of a block of the image. */
  readonly block: Uint8Array;
  readonly order: Json;
}

export const noise = (seed: number, size = 2_000_000): Uint8Array =>
  createCipheriv('chacha20', Buffer.alloc(32, seed), Buffer.alloc(16)).update(Buffer.alloc(size));

export const packsOf = (edge: Edge): string => join(edge.dataDir, 'filecoin-interface', 'packs');

export const call = (
  at: Edge,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  json?: unknown,
): Promise<HttpAnswer> =>
  at.migration.http.call({ method, path: `/migration/v1/${path}`, ...(json === undefined ? {} : { json }) });
export const get = async (at: Edge, path: string): Promise<Json> =>
  (await call(at, 'GET', path)).json() as Json;

export const until = async <T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const value = await waitFor(systemClock, 60_000, what, 25);
  if (value === undefined) throw new AntirioError('timeout', 'it never came to it');
  return value;
};
export const reaches = (at: Edge, path: string, key: string, ...values: string[]): Promise<Json> =>
  until(async () => {
    const now = await get(at, path).catch((): Json => ({}));
    return values.includes(String(now[key])) ? now : undefined;
  });

export const fetchOrder = ({ contractId, name }: Prepared, cids: Json): Json => ({
  contractId,
  customer: 'A',
  imageName: name,
  ...cids,
});

/** The edges of one test file. */
export class TwoEdges {
  readonly between = new Between();
  readonly folder = mkdtempSync(join(tmpdir(), 'antirio-migration-'));
  #edges: Edge[] = [];
  #count = 0;

  async open(): Promise<[Edge, Edge]> {
    await this.between.open();
    const both = await Promise.all([this.#edge('A'), this.#edge('B')]);
    this.#edges = both;
    return both;
  }
  async close(): Promise<void> {
    for (const { store, migration } of this.#edges) await Promise.all([store.kill(), migration.kill()]);
    await this.between.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
  /** As before any test. */
  reset(): void {
    this.between.told.length = 0;
    this.between.status = 202;
    this.between.tamper = false;
  }

  async #edge(id: string): Promise<Edge> {
    const dataDir = join(this.folder, id);
    const { orchestrator: ORCHESTRATOR_URL, edge2edge: EDGE2EDGE_URL } = this.between.urls(id);
    const common = { DATA_DIR: dataDir, EDGE_ID: id, ORCHESTRATOR_URL, EDGE2EDGE_URL };
    const store = new RoomProcess('filecoin-interface', await freePort(), {
      ...common,
      ATTEMPTS: 8,
      COLLECT_INTERVAL_MS: 1000,
    });
    const migration = new RoomProcess('migration', await freePort(), {
      ...common,
      FILECOIN_INTERFACE_URL: store.url,
      POLL_MS: 20,
      VERIFY_INTERVAL_MS: 300,
      CHECKS_PER_ROUND: 20,
    });
    this.between.stores.set(id, store.url);
    await Promise.all([store.start(), migration.start()]);
    return { id, dataDir, store, migration };
  }
  get #customer(): Edge {
    const [a] = this.#edges;
    if (a === undefined) throw new AntirioError('internal', 'before it was opened');
    return a;
  }

  /** An image in A's images folder that no other test has, and the order to store it. */
  readonly prepare = async (): Promise<Prepared> => {
    const n = ++this.#count;
    const name = `service-${n}`;
    const content = noise(n);
    const built = await buildImage(join(this.#customer.dataDir, 'images', `${name}.tar`), {
      files: [{ path: 'app/main.mjs', content }],
      entrypoint: ['node', '/app/main.mjs'],
      repoTags: [`${name}:1`],
    });
    const configuration = {
      serviceName: name,
      activationEvent: 'offline',
      event: { interval: '20', ip: '' },
      ports: '1880',
      volumes: '',
      depends_on: [],
    };
    const order = {
      imageId: `image-${n}`,
      imageName: name,
      fileName: `${name}.tar`,
      storageDuration: 7,
      configuration,
    };
    return { n, name, contractId: `contract-${n}`, built, block: content.subarray(0, 1000), order };
  };

  readonly stored = async ({
    order,
  }: Pick<Prepared, 'order'>): Promise<{ imageCid: string; configCid: string }> => {
    const a = this.#customer;
    expect((await call(a, 'POST', 'images', order)).status).toBe(202);
    const image = await reaches(a, `images/${String(order['imageId'])}`, 'status', 'STORED', 'COMMITTED');
    return { imageCid: String(image['imageCid']), configCid: String(image['configCid']) };
  };
}
