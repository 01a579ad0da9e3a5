import { Readable } from 'node:stream';
import {
  carOf,
  decodeCid,
  linksOf,
  MAX_BLOCK_BYTES,
  placeKey,
  RAW,
  readCar,
  type Block,
  type CID,
} from '@antirio/content-store';
import { AntirioError, isAntirioError, type Random } from '@antirio/kernel';
import { burstsOf } from './bursts.ts';
import { showBlocks } from './dag-of.ts';
import type { KuboQuery, KuboRpc } from './kubo-rpc.ts';
import { missingBlocks } from './missing-blocks.ts';
import type { Dag, PutWatch, UncheckedBlock } from './storage-network.ts';

export interface KuboPin {
  /** Empty where it has none. */
  readonly name: string;
}

export interface NamedPin extends KuboPin {
  readonly cid: CID;
}

export interface KuboGet {
  readonly signal?: AbortSignal | undefined;
  readonly idleMs?: number | undefined;
}

/** What we ask of one Kubo node; nothing that it does not hold itself is looked for elsewhere unless that is said. */
export interface KuboNode {
  readonly name: string;
  readonly rpc: KuboRpc;
  has(cid: CID, signal?: AbortSignal): Promise<boolean>;
  /** Looks for it in the whole IPFS network for so long where `searchMs` is given. */
  block(cid: CID, get?: KuboGet & { searchMs?: number }): Promise<Uint8Array>;
  /** All below a root as it comes. */
  export(cid: CID, maxBytes: number, get?: KuboGet): AsyncIterable<UncheckedBlock>;
  /** Has the blocks that it does not have sent to it; nothing keeps them yet. */
  send(dag: Dag, watch: PutWatch & { all?: boolean }): Promise<void>;
  sendBlock(block: Block, signal?: AbortSignal): Promise<void>;
  /** Undefined where it is not pinned with all that is below it. */
  pinned(cid: CID): Promise<KuboPin | undefined>;
  /** Those that are recursive, and whose names begin so. */
  pins(prefix: string): Promise<NamedPin[]>;
  /** @throws AntirioError notFound where it has not all of it */
  pin(cid: CID, name: string, signal?: AbortSignal): Promise<void>;
  unpin(cid: CID): Promise<void>;
  /** Has it remove one block; where pins keep it, the root of one of them, and nothing is removed. */
  forget(cid: CID): Promise<CID | undefined>;
  /** Has it show blocks drawn by chance. @throws AntirioError notFound | corrupt */
  show(cid: CID, paths: number, random: Random): Promise<void>;
  /** Its peer id: who it is, whatever its address. */
  identity(): Promise<string>;
  /** Where other IPFS nodes reach it. */
  addresses(): Promise<string[]>;
  /** Lets it know where another node is; that it cannot be reached is no failure. */
  connect(address: string): Promise<void>;
  /** @throws AntirioError storageFull where it has no room */
  requireWell(): Promise<string>;
}

const MAX_SECTIONS_OVERHEAD = 1 << 20;
/** Of a list of pins: some 100,000. */
const MAX_PINS_BYTES = 16 << 20;
const GAPS_WITHIN_IDLE = 4;

export function kuboNode(rpc: KuboRpc): KuboNode {
  return new RpcNode(rpc);
}

class RpcNode implements KuboNode {
  readonly rpc: KuboRpc;
  readonly name: string;

  constructor(rpc: KuboRpc) {
    this.rpc = rpc;
    this.name = `kubo:${rpc.url}`;
  }

  has(cid: CID, signal?: AbortSignal): Promise<boolean> {
    return isThere(() => this.rpc.ask('block/stat', { arg: cid.toString(), offline: true }, { signal }));
  }

  block(cid: CID, { searchMs, signal, idleMs }: KuboGet & { searchMs?: number } = {}): Promise<Uint8Array> {
    const search: KuboQuery = searchMs === undefined ? { offline: true } : { timeout: `${searchMs}ms` };
    const patience = searchMs === undefined ? idleMs : searchMs + (idleMs ?? 0) + 1000;
    const call = { signal, idleMs: patience, maxBytes: MAX_BLOCK_BYTES };
    return this.rpc.bytes('block/get', { arg: cid.toString(), ...search }, call);
  }

  export(cid: CID, maxBytes: number, get: KuboGet = {}): AsyncIterable<UncheckedBlock> {
    const query = { arg: cid.toString(), offline: true, progress: false };
    return readCar(this.rpc.stream('dag/export', query, get), maxBytes + MAX_SECTIONS_OVERHEAD);
  }

  async send(dag: Dag, { signal, onProgress, all = false }: PutWatch & { all?: boolean }): Promise<void> {
    const known = all ? async () => false : (cid: CID) => this.has(cid, signal);
    const missing = missingBlocks(dag.blocks(), known, { signal, onProgress });
    const query = { 'pin-roots': false, stats: true, 'fast-provide-root': false };
    // No import is open while blocks are only read and asked about, which may take longer than a connection may be silent.
    for await (const blocks of burstsOf(missing, this.rpc.idleMs / GAPS_WITHIN_IDLE))
      await this.rpc.ask('dag/import', query, { signal, file: carOf(dag.root, blocks) });
  }

  async sendBlock({ cid, bytes }: Block, signal?: AbortSignal): Promise<void> {
    const query = { 'cid-codec': cid.code === RAW ? 'raw' : 'dag-pb', mhtype: 'sha2-256' };
    await this.rpc.ask('block/put', query, { signal, file: Readable.from([bytes]) });
  }

  async pinned(cid: CID): Promise<KuboPin | undefined> {
    try {
      const query = { arg: cid.toString(), type: 'recursive', names: true };
      const [answer] = await this.rpc.ask('pin/ls', query);
      const keys = answer?.['Keys'] as Record<string, { Name?: unknown }> | undefined;
      const [pin] = Object.values(keys ?? {});
      return pin === undefined ? undefined : { name: typeof pin.Name === 'string' ? pin.Name : '' };
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  }

  async pins(prefix: string): Promise<NamedPin[]> {
    const query = { type: 'recursive', names: true, name: prefix, stream: true };
    const lines = await this.rpc.ask('pin/ls', query, { maxBytes: MAX_PINS_BYTES });
    return lines.flatMap(({ Cid: cid, Name: name }) =>
      typeof cid === 'string' && typeof name === 'string' && name.startsWith(prefix)
        ? [{ cid: decodeCid(cid), name }]
        : [],
    );
  }

  async pin(cid: CID, name: string, signal?: AbortSignal): Promise<void> {
    const query = { arg: cid.toString(), name, recursive: true, offline: true, progress: true };
    const lines = await this.rpc.ask('pin/add', query, { signal });
    if (!lines.some((line) => Array.isArray(line['Pins'])))
      throw new AntirioError('unavailable', `${this.name} did not say that ${cid.toString()} is pinned`);
  }

  async unpin(cid: CID): Promise<void> {
    await isThere(() => this.rpc.ask('pin/rm', { arg: cid.toString(), recursive: true }));
  }

  async forget(cid: CID): Promise<CID | undefined> {
    const answer = await this.rpc.ask('block/rm', { arg: cid.toString(), force: true });
    const refused = answer.map((line) => line['Error']).find((each) => each !== undefined && each !== '');
    if (refused === undefined) return undefined;
    const reason = JSON.stringify(refused);
    const [, root] = /pinned via (\w+)/.exec(reason) ?? [];
    if (root !== undefined) return decodeCid(root);
    if (reason.includes('pinned: recursive')) return cid;
    throw new AntirioError('conflict', `${this.name} keeps a damaged block: ${reason}`);
  }

  show(cid: CID, paths: number, random: Random): Promise<void> {
    return showBlocks((block) => this.block(block), cid, paths, random);
  }

  async identity(): Promise<string> {
    const [answer] = await this.rpc.ask('id');
    const id = answer?.['ID'];
    if (typeof id !== 'string' || id === '')
      throw new AntirioError('unavailable', `${this.name} does not say who it is`);
    return id;
  }

  async addresses(): Promise<string[]> {
    const [answer] = await this.rpc.ask('id');
    const addresses = answer?.['Addresses'];
    return Array.isArray(addresses) ? addresses.filter((each) => typeof each === 'string') : [];
  }

  async connect(address: string): Promise<void> {
    await this.rpc.ask('swarm/connect', { arg: address, timeout: '10s' }).catch(() => undefined);
  }

  async requireWell(): Promise<string> {
    const [[said], [room]] = await Promise.all([
      this.rpc.ask('version'),
      this.rpc.ask('repo/stat', { 'size-only': true }),
    ]);
    const used = Number(room?.['RepoSize']);
    const most = Number(room?.['StorageMax']);
    const version = said?.['Version'];
    if (typeof version !== 'string' || !Number.isFinite(used))
      throw new AntirioError('unavailable', `${this.name} answers, but not as Kubo does`);
    // Kubo takes more than StorageMax, and collects what is not pinned beyond it: full is where all of that is pinned.
    return `${this.name} ${version}, ${used} of ${most} bytes`;
  }
}

async function isThere(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return false;
    throw error;
  }
}

/** The leaves of one node, of those that a node exports: each once, in the order in which they come. */
export async function* leavesOf(
  blocks: AsyncIterable<UncheckedBlock>,
  wanted: Set<string>,
): AsyncGenerator<UncheckedBlock> {
  for await (const block of blocks) {
    if (!wanted.delete(placeKey(block.cid))) continue;
    yield block;
    if (wanted.size === 0) return;
  }
}

/** Whose blocks they are is not known yet: what is no node has no links. */
export function linksUnchecked(block: UncheckedBlock | Block): CID[] {
  return linksOf(block.cid, block.bytes).map((link) => link.cid);
}
