import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CarReader } from '@ipld/car';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  type HttpAnswer,
  type HttpPeer,
  type HttpRim,
} from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { BlockSource, CID } from './block.ts';
import { openBlockStore, type BlockStore } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { createGateway, type GatewayOptions } from './gateway.ts';
import { collect, memory, seeded, type MemoryBlocks } from './test-blocks.ts';
import { importFile, readFile, type Stored } from './unixfs-file.ts';

/** Two stores, the second one behind a gateway on a real socket. */
export class TestGateway {
  readonly folder = mkdtempSync(join(tmpdir(), 'antirio-gateway-'));
  readonly #rims: HttpRim[] = [];
  readonly #peers: HttpPeer[] = [];
  #stores: BlockStore[] = [];
  peer!: HttpPeer;
  url!: string;

  static async open(): Promise<TestGateway> {
    const gateway = new TestGateway();
    for (const name of ['ours', 'theirs'])
      gateway.#stores.push(await openBlockStore({ folder: join(gateway.folder, name), clock: systemClock }));
    ({ peer: gateway.peer, url: gateway.url } = await gateway.serve(gateway.theirs));
    return gateway;
  }

  get ours(): BlockStore {
    return this.#stores[0] as BlockStore;
  }

  get theirs(): BlockStore {
    return this.#stores[1] as BlockStore;
  }

  /** One more gateway. */
  async serve(source: BlockSource, options: GatewayOptions = {}): Promise<{ peer: HttpPeer; url: string }> {
    const rim = createHttpRim({
      serviceKey: 'gateway',
      version: '0',
      config: () => ({}),
      health: () => ({}),
      log: silentLog,
      clock: systemClock,
    });
    rim.app.use('/ipfs', createGateway(source, options));
    this.#rims.push(rim);
    const url = `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}`;
    return { url, peer: this.peerOf(url) };
  }

  peerOf(url: string): HttpPeer {
    const peer = httpPeer({ url });
    this.#peers.push(peer);
    return peer;
  }

  /** Where the packs of a store are, all of them on the disk. */
  async packsOf(name: 'ours' | 'theirs'): Promise<string> {
    await this[name].flush();
    return join(this.folder, name, 'packs');
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await Promise.all(this.#rims.map((rim) => rim.close()));
    await Promise.all(this.#stores.map((store) => store.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const content = (size: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 7) * 13) % 256));

export async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export const storeFile = (store: BlockStore, bytes: Uint8Array): Promise<Stored> =>
  importFile(store, bytesOf(bytes), { chunker: fixedChunker(1000), maxLinks: 4 });

export const read = (store: BlockSource, cid: CID): Promise<Buffer> => collect(readFile(store, cid));

/** A file whose chunks are all different. */
export const noisyFile = (store: BlockStore, size: number): Promise<Stored> =>
  importFile(store, seeded(size, 'noise'), { chunker: fixedChunker(1000), maxLinks: 4 });

/** What a CAR that a gateway gave has, in its order. */
export interface GivenCar {
  readonly cids: string[];
  readonly blocks: MemoryBlocks;
  readonly headers: HttpAnswer['headers'];
}

/** @throws AntirioError where the answer is no 200. */
export async function carAt(
  peer: HttpPeer,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<GivenCar> {
  const answer = await peer.call({ path, headers: { accept: 'application/vnd.ipld.car', ...headers } });
  if (answer.status !== 200) throw new AntirioError('unavailable', `${path}: HTTP ${answer.status}`);
  const reader = await CarReader.fromBytes(answer.body);
  const cids: string[] = [];
  const blocks = memory();
  for await (const { cid, bytes } of reader.blocks()) {
    cids.push(cid.toString());
    await blocks.putBytes(cid, bytes);
  }
  return { cids, blocks, headers: answer.headers };
}
