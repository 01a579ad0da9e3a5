import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { RequestOfferSnapshot, Snapshot } from 'cosmjs-types/tendermint/abci/types';
import { z } from 'zod';
import { syncDirectory, writeFileDurably, type Log } from '@antirio/host';
import {
  AntirioError,
  canonicalJson,
  describeError,
  equalBytes,
  fromHex,
  fromUtf8,
  sha256,
  toHex,
  utf8,
} from '@antirio/kernel';
import { GROUPS, appHashOf, bucketOf, groupOf, hashGroup, type Entry } from './state-tree.ts';
import type { StateStore } from './state-store.ts';

/** A group of buckets in each chunk, as gzipped JSON: of a group's hash, which the block header proves. */
const FORMAT = 1;
const KEPT = 2;
/** CometBFT sends chunks of 16 MB at most. */
const MAX_CHUNK_BYTES = 15 << 20;
const MAX_PLAIN_BYTES = 64 << 20;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const about = z.strictObject({
  height: z.int().min(1),
  time: z.int().min(0),
  stateHash: hash,
  groups: z.array(hash).length(GROUPS),
});
type About = z.output<typeof about>;
const entries = z.array(z.tuple([z.string(), z.string()]));

const appHashIn = ({ stateHash, groups }: About): Uint8Array =>
  appHashOf(
    stateHash,
    groups.map((group) => fromHex(group, 32)),
  );

function parseAbout(bytes: Uint8Array): About | undefined {
  try {
    return about.parse(JSON.parse(fromUtf8(bytes)));
  } catch {
    return undefined;
  }
}

/** The hash of a group; undefined where an entry belongs to another one, or comes twice. */
function hashOf(group: readonly Entry[], index: number): Uint8Array | undefined {
  const buckets = new Map<number, Entry[]>();
  const seen = new Set<string>();
  for (const entry of group) {
    const bucket = bucketOf(entry[0]);
    if (groupOf(bucket) !== index || seen.has(entry[0])) return undefined;
    seen.add(entry[0]);
    const own = buckets.get(bucket) ?? [];
    own.push(entry);
    buckets.set(bucket, own);
  }
  // As SQLite has them: by their bytes.
  for (const own of buckets.values()) own.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return hashGroup(index, (bucket) => buckets.get(bucket) ?? []);
}

/** What a chunk holds, where it is what its hash says. */
function entriesIn(chunk: Uint8Array, index: number, expected: string | undefined): Entry[] | undefined {
  try {
    const plain = gunzipSync(chunk, { maxOutputLength: MAX_PLAIN_BYTES });
    const group = entries.parse(JSON.parse(fromUtf8(plain)));
    const found = hashOf(group, index);
    return found !== undefined && toHex(found) === expected ? group : undefined;
  } catch {
    return undefined;
  }
}

export interface SnapshotOptions {
  readonly folder: string;
  /** Blocks from one to the next; 0: none are taken. */
  readonly every: number;
  readonly log: Log;
}

/** What a node gives others, that they need not begin with the first block. A folder each, complete once it has its name. */
export class Snapshots {
  readonly #options: SnapshotOptions;
  #taking: Promise<void> | undefined;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    // What a crash left half made.
    for (const name of readdirSync(options.folder))
      if (name.endsWith('.new')) rmSync(join(options.folder, name), { recursive: true });
  }

  /** Beside the blocks that follow; another is taken when this one is done. */
  takeWhereDue(store: StateStore): void {
    const { every, log } = this.#options;
    if (every === 0 || store.head.height % every !== 0 || this.#taking !== undefined) return;
    this.#taking = this.#take(store)
      .catch((error: unknown) => log.error({ error: describeError(error) }, 'no snapshot was taken'))
      .finally(() => (this.#taking = undefined));
  }

  async #take(store: StateStore): Promise<void> {
    const { height, time, stateHash } = store.head;
    const groups = store.groups().map(toHex);
    const groupEntries = Array.from({ length: GROUPS }, (): (readonly [string, unknown])[] => []);
    // Records are never changed, only replaced: it is enough to know which they are now.
    for (const entry of store.state.range('')) groupEntries[groupOf(bucketOf(entry[0]))]?.push(entry);
    const making = join(this.#options.folder, `${height}.new`);
    try {
      mkdirSync(making);
      await this.#write(making, groupEntries, { height, time, stateHash, groups });
      renameSync(making, join(this.#options.folder, String(height)));
    } catch (error) {
      rmSync(making, { recursive: true, force: true });
      throw error;
    }
    syncDirectory(this.#options.folder);
    for (const old of this.#heights().slice(0, -KEPT)) this.#remove(String(old));
  }

  async #write(
    making: string,
    groupEntries: readonly (readonly (readonly [string, unknown])[])[],
    said: About,
  ): Promise<void> {
    for (const [index, group] of groupEntries.entries()) {
      const plain = utf8(JSON.stringify(group.map(([key, value]): Entry => [key, canonicalJson(value)])));
      const chunk = gzipSync(plain);
      if (chunk.length > MAX_CHUNK_BYTES || plain.length > MAX_PLAIN_BYTES)
        throw new AntirioError(
          'tooLarge',
          `a chunk of ${plain.length} bytes (${chunk.length} sent): the state is too large to be sent`,
        );
      writeFileDurably(join(making, String(index)), chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
    writeFileDurably(join(making, 'about.json'), JSON.stringify(said));
  }

  /** It loses its name first: one that is half removed is none. */
  #remove(name: string): void {
    const going = join(this.#options.folder, `${name}.new`);
    renameSync(join(this.#options.folder, name), going);
    rmSync(going, { recursive: true });
  }

  #heights(): number[] {
    return readdirSync(this.#options.folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  }

  list(): Snapshot[] {
    return this.#heights().flatMap((height) => {
      const metadata = this.#metadataOf(height);
      if (metadata === undefined) return [];
      return [{ height: BigInt(height), format: FORMAT, chunks: GROUPS, hash: sha256(metadata), metadata }];
    });
  }

  #metadataOf(height: number): Uint8Array | undefined {
    try {
      return new Uint8Array(readFileSync(join(this.#options.folder, String(height), 'about.json')));
    } catch (error) {
      const said = { error: describeError(error), height };
      this.#options.log.warn(said, 'a snapshot that cannot be read is not offered');
      return undefined;
    }
  }

  /** Empty where there is no such. */
  chunk(of: { readonly height: bigint; readonly format: number; readonly chunk: number }): Uint8Array {
    if (of.format !== FORMAT) return new Uint8Array();
    try {
      return new Uint8Array(readFileSync(join(this.#options.folder, String(of.height), String(of.chunk))));
    } catch {
      return new Uint8Array();
    }
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    await this.#taking;
  }
}

/** Takes over the state of a snapshot that others sent: each piece is believed only as far as the block header proves it. */
export class SnapshotTaker {
  readonly #store: StateStore;
  #taken: Entry[][] = [];
  #about: About | undefined;

  constructor(store: StateStore) {
    this.#store = store;
  }

  /**
   * Whether it is one that can be taken over, and is of the state that `appHash` proves. Also where there is a state: a node offers one only
   * where it has none of its own, as after its end between our having taken one over and its having noted that.
   */
  offer({ snapshot, appHash }: RequestOfferSnapshot): boolean {
    this.#about = undefined;
    if (snapshot === undefined) return false;
    if (snapshot.format !== FORMAT || snapshot.chunks !== GROUPS) return false;
    const said = parseAbout(snapshot.metadata);
    if (said === undefined || BigInt(said.height) !== snapshot.height) return false;
    if (!equalBytes(appHashIn(said), appHash)) return false;
    this.#about = said;
    this.#taken = [];
    return true;
  }

  /** Whether it is the chunk that it should be. With the last of them the state is in the store. */
  apply(index: number, chunk: Uint8Array): boolean {
    const said = this.#about;
    if (said === undefined) throw new AntirioError('conflict', 'a chunk of no snapshot that was accepted');
    const group = entriesIn(chunk, index, said.groups[index]);
    if (group === undefined) return false;
    this.#taken[index] = group;
    if (Object.keys(this.#taken).length === GROUPS) this.#finish(said);
    return true;
  }

  #finish({ groups, ...head }: About): void {
    const appHash = appHashIn({ groups, ...head });
    this.#store.replace({ ...head, appHash, forgotten: '' }, this.#taken.flat());
    this.#taken = [];
    this.#about = undefined;
  }
}
