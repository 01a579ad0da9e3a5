import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockSink } from './block.ts';
import { fixedChunker } from './chunker.ts';
import { collect, pieces, seeded } from './test-blocks.ts';
import { putDirectory, type DirectoryEntry } from './unixfs-directory.ts';
import { importFile, type Stored } from './unixfs-file.ts';
import { unixfsV0, unixfsV1, type UnixfsProfile } from './unixfs-profile.ts';

/** A file's content, or the entries of a directory. */
export type Tree = Uint8Array | { readonly [name: string]: Tree };

/** Something that Kubo has been asked to add. */
export interface KuboInput {
  readonly name: string;
  readonly profile: UnixfsProfile;
  /** In place of the profile's. */
  readonly chunkBytes?: number;
  tree(): Promise<Tree>;
}

const KiB = 1 << 10;
const MiB = 1 << 20;
const X = Buffer.from('x');

const file = (size: number): Promise<Tree> => collect(seeded(size, `file ${size}`));

/** Files around the ends of chunks, and of nodes: small chunks make these nodes small. */
function* files(profile: UnixfsProfile): Generator<KuboInput> {
  const { chunkBytes, maxLinks } = profile;
  const sizes = [
    0,
    1,
    255,
    256,
    1000,
    chunkBytes - 1,
    chunkBytes,
    chunkBytes + 1,
    2 * chunkBytes,
    5 * MiB + 7,
  ];
  for (const size of sizes) yield { name: `a file of ${size} bytes`, profile, tree: () => file(size) };
  const whole = maxLinks * KiB;
  // Nodes of nodes of nodes, where that is not too much.
  const deep = maxLinks === unixfsV0.maxLinks ? maxLinks * whole + 1 : 5 * whole;
  for (const size of [whole - 1, whole, whole + 1, whole + KiB, 2 * whole + 1, deep])
    yield { name: `${size} bytes in chunks of 1 KiB`, profile, chunkBytes: KiB, tree: () => file(size) };
}

/** So many entries; the last one's name is of another length. */
function flat(count: number, length: number, last = length): Tree {
  const names = Array.from({ length: count }, (_, i) =>
    `${i}-${'abcdefghij'.repeat(10)}`.slice(0, i === count - 1 ? last : length),
  );
  return Object.fromEntries(names.map((name) => [name, X]));
}

/** Names and CIDs of 64 bytes each, or links of as many in the block: 4096 of them are 256 KiB. */
const AT_THRESHOLD = { 'unixfs-v0-2015': [30, 30], 'unixfs-v1-2025': [20, 16] } as const;

function* directories(profile: UnixfsProfile): Generator<KuboInput> {
  const [length, last] = AT_THRESHOLD[profile.name as keyof typeof AT_THRESHOLD];
  const each = (name: string, tree: () => Promise<Tree>): KuboInput => ({ name, profile, tree });
  yield each('an empty directory', async () => ({}));
  yield each('names of many kinds, directories in directories', async () => ({
    'größe €.txt': await file(10),
    ' spaced ': await file(0),
    Z: X,
    a: { b: { c: { 'd.bin': await file(MiB + 1) } }, empty: {} },
    'a.b': await file(300 * KiB),
    '~': X,
  }));
  for (const by of [-1, 0, 1])
    yield each(`a directory at its limit ${by < 0 ? '-' : '+'} ${Math.abs(by)}`, async () =>
      flat(4096, length, last + by),
    );
  yield each('shards in shards', async () => flat(6000, 50));
  yield each('a sharded directory in another one beside a plain one', async () => ({
    ...(flat(4500, 33) as object),
    inner: flat(4200, 50),
    plain: flat(3, 5),
  }));
}

export const kuboInputs: readonly KuboInput[] = [unixfsV0, unixfsV1].flatMap((profile) => [
  ...files(profile),
  ...directories(profile),
]);

export const vectorName = ({ profile, name }: KuboInput): string => `${profile.name}: ${name}`;

export async function storeTree(
  sink: BlockSink,
  tree: Tree,
  { profile, chunkBytes }: Pick<KuboInput, 'profile' | 'chunkBytes'>,
): Promise<Stored> {
  // Thousands of files are the same one.
  if (tree === X) return importFile(sink, pieces(X, 1), { profile, chunker: fixedChunker(1) });
  const chunker = fixedChunker(chunkBytes ?? profile.chunkBytes);
  if (tree instanceof Uint8Array) return importFile(sink, pieces(tree, 100_000), { profile, chunker });
  const entries: DirectoryEntry[] = [];
  for (const [name, below] of Object.entries(tree))
    entries.push({ name, ...(await storeTree(sink, below, { profile, chunkBytes })) });
  return putDirectory(sink, entries, profile);
}

/** The same as files in a folder. */
export function writeTree(path: string, tree: Tree): void {
  if (tree instanceof Uint8Array) {
    writeFileSync(path, tree);
    return;
  }
  mkdirSync(path);
  for (const [name, below] of Object.entries(tree)) writeTree(join(path, name), below);
}
