import { join } from 'node:path';
import { AntirioError, canonicalBytes, isAntirioError } from '@antirio/kernel';
import {
  defaultImageLimits,
  exportImage,
  fetchDag,
  importFile,
  importImageStream,
  readFile,
  verifyDag,
  writeStreamDurably,
  type BlockProvider,
  type BlockSink,
  type BlockStore,
  type CID,
  type DagLimits,
  type ExportedImage,
  type Fetched,
  type FetchProgress,
  type WrittenFile,
} from '@antirio/content-store';
import {
  dagOf,
  receiveDag,
  type ReceiveOptions,
  type Dag,
  type StorageNetwork,
} from '@antirio/storage-network';
import { isDirectory, requireGoing, totalOf, watched, type OnSeen } from './reading.ts';

/** What an object is: its root, and what it weighs. */
export interface StoredObject {
  readonly cid: CID;
  /** Bytes of content. */
  readonly size: number;
}

/** The name under which something is kept, which may depend on what it turns out to be. */
export type NameOf = (cid: CID) => string;

/** Where this edge keeps objects and makes them whole. Names keep objects: what no name keeps may be cleaned up. */
export interface LocalStorage {
  /**
   * @param openArchive asked again where room has to be made first
   * @throws AntirioError invalidInput | corrupt | tooLarge | storageFull | notFound, and what the archive throws
   */
  putImage(
    name: NameOf,
    openArchive: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<StoredObject & { readonly imageId: string }>;
  putFile(
    name: NameOf,
    openFile: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<StoredObject>;
  putJson(name: NameOf, value: unknown): Promise<StoredObject>;
  /**
   * Makes an object whole here. Kept under the name from the first block on, so that what has come survives clean-ups. Who is in a
   * storage network is asked first, then the providers.
   */
  fetch(
    name: string,
    cid: CID,
    providers: readonly BlockProvider[],
    watch: FetchWatch,
    beyond?: Beyond,
  ): Promise<Fetched>;
  drop(name: string): boolean;
  /** Drops all names but those that are wanted. */
  keepOnly(isWanted: (name: string) => boolean): void;
  /** A whole object as storage networks take it; its bytes are counted, by reading it, unless they are known. */
  dagOf(cid: CID, bytes?: number): Promise<Dag>;
  /** Reads every block, telling of each. @throws AntirioError notFound | corrupt */
  verify(cid: CID, options?: VerifyOptions): Promise<{ blocks: number; bytes: number }>;
  /** Writes an image as a docker archive, anything else as a file, from verified blocks. */
  export(cid: CID, file: string, options?: ExportOptions): Promise<WrittenFile | ExportedImage>;
  /** Bytes freed; 0 while something is being stored. */
  cleanUp(): Promise<number>;
}

export interface VerifyOptions {
  readonly onBlock?: (cid: CID) => void;
  readonly onSeen?: OnSeen;
  readonly signal?: AbortSignal | undefined;
}

export interface ExportOptions {
  /** Of an image, in place of its own. */
  readonly repoTags?: readonly string[] | undefined;
  readonly onSeen?: OnSeen;
  readonly signal?: AbortSignal | undefined;
}

/** By which an object is known in a storage network. */
export interface Beyond {
  readonly network: StorageNetwork;
  readonly providers: readonly string[];
  readonly pieceCid?: string | undefined;
}

export interface FetchWatch {
  /** The total is what the root says, where it is here. */
  readonly onProgress?: (progress: FetchProgress, totalBytes: number | undefined) => void;
  readonly signal?: AbortSignal;
}

export interface LocalStorageOptions {
  readonly maxImageBytes: number;
  readonly maxBlocks: number;
  readonly blocksAtOnce: number;
  readonly blockTimeoutMs: number;
}

const MAX_JSON_BYTES = 1 << 20;

export function localStorage(store: BlockStore, options: LocalStorageOptions): LocalStorage {
  const limits: DagLimits = { maxDepth: 32, maxBlocks: options.maxBlocks, maxBytes: options.maxImageBytes };
  const maxBytes = options.maxImageBytes;
  const imageLimits = { ...defaultImageLimits, maxLayerBytes: maxBytes, maxBytes };
  const kept = <T extends StoredObject>(name: NameOf, put: () => Promise<T>): Promise<T> =>
    withRoom(store, () =>
      store.session(async () => {
        const ref = await put();
        await store.pin(name(ref.cid), ref.cid);
        return ref;
      }),
    );
  return {
    putImage: (name, openArchive, signal) =>
      kept(name, () => importImageStream(stoppable(store, signal), openArchive(), { limits: imageLimits })),
    putFile: (name, openFile, signal) =>
      kept(name, () => importFile(stoppable(store, signal), openFile(), { maxBytes })),
    putJson: (name, value) => kept(name, () => importFile(store, one(jsonBytes(value)))),
    async fetch(name, cid, providers, watch, beyond) {
      await store.pin(name, cid);
      const { blocksAtOnce, blockTimeoutMs } = options;
      const total = totalOf(store, cid);
      const onProgress = (progress: FetchProgress): void => watch.onProgress?.(progress, total());
      if (beyond !== undefined) {
        const receiving = { ...watch, onProgress, limits, idleMs: blockTimeoutMs };
        const received = await withRoom(store, () => receive(store, cid, beyond, receiving)).catch(
          unlessOthers(providers, watch.signal),
        );
        if (received !== undefined) return received;
      }
      const fetching = { ...watch, onProgress, limits, parallel: blocksAtOnce, blockTimeoutMs };
      return withRoom(store, () => fetchDag(store, cid, providers, fetching));
    },
    drop: (name) => store.unpin(name),
    keepOnly(isWanted) {
      for (const { name } of store.pins()) if (!isWanted(name)) store.unpin(name);
    },
    dagOf: (cid, bytes) => dagOf(store, cid, { limits, bytes }),
    verify(cid, { onBlock, onSeen, signal } = {}) {
      const total = totalOf(store, cid);
      let [blocks, bytes] = [0, 0];
      return verifyDag(store, cid, limits, (block, size) => {
        requireGoing(signal);
        onBlock?.(block);
        onSeen?.({ bytes: (bytes += size), blocks: ++blocks, totalBytes: total() });
      });
    },
    async export(cid, file, { repoTags, onSeen, signal } = {}) {
      const source = await watched(store, cid, onSeen, signal);
      if (!(await isDirectory(store, cid)))
        return writeStreamDurably(file, readFile(source, cid, { maxBytes }));
      const tags = repoTags === undefined ? {} : { repoTags };
      return exportImage(source, cid, file, { ...tags, limits: imageLimits });
    },
    cleanUp: () => freedBytes(store),
  };
}

async function receive(
  store: BlockStore,
  cid: CID,
  { network, providers, pieceCid }: Beyond,
  options: ReceiveOptions,
): Promise<Fetched> {
  const ref = { cid, providers, ...(pieceCid === undefined ? {} : { pieceCid }) };
  const received = await receiveDag(store, network, ref, options);
  const { fetchedBlocks: blocks, fetchedBytes: bytes } = received;
  return { ...received, providers: [{ name: network.kind, blocks, bytes }] };
}

/** A network that fails is no failure where there are providers besides. */
function unlessOthers(providers: readonly BlockProvider[], signal: AbortSignal | undefined) {
  return (error: unknown): undefined => {
    if (providers.length === 0 || signal?.aborted === true || isAntirioError(error, 'storageFull'))
      throw error;
  };
}

/** Where the store is full of what nobody needs any more, that is cleaned up and the work done again, once. */
async function withRoom<T>(store: BlockStore, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isAntirioError(error, 'storageFull') || (await freedBytes(store)) === 0) throw error;
    return work();
  }
}

/** 0 while something is being stored. */
async function freedBytes(store: BlockStore): Promise<number> {
  try {
    return (await store.collect()).freedBytes;
  } catch (error) {
    if (isAntirioError(error, 'busy')) return 0;
    throw error;
  }
}

/** A sink that takes no more once it was told to stop. */
function stoppable(store: BlockStore, signal: AbortSignal | undefined): BlockSink {
  return {
    async put(block) {
      requireGoing(signal);
      await store.put(block);
    },
  };
}

function jsonBytes(value: unknown): Uint8Array {
  const bytes = canonicalBytes(value);
  if (bytes.length > MAX_JSON_BYTES)
    throw new AntirioError('tooLarge', `a JSON object of over ${MAX_JSON_BYTES} bytes: store it as a file`);
  return bytes;
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The file of a name that was checked to be one. */
export function imageFile(dataDir: string, name: string): string {
  return join(dataDir, 'images', name);
}
