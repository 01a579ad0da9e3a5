import { createCipheriv, createHash } from 'node:crypto';
import {
  fixedChunker,
  importFile,
  putDirectory,
  type BlockStore,
  type CID,
  type DirectoryEntry,
} from '@antirio/content-store';

/** Bytes that do not repeat, the same for the same seed. */
export async function* seededBytes(size: number, seed: string): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('chacha20', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  for (let left = size; left > 0; left -= 1 << 16) yield cipher.update(Buffer.alloc(Math.min(left, 1 << 16)));
}

export async function makeFile(store: BlockStore, size: number, seed: string, chunk = 1 << 20): Promise<CID> {
  const { cid } = await importFile(store, seededBytes(size, seed), { chunker: fixedChunker(chunk) });
  return cid;
}

async function entryOf(store: BlockStore, name: string, size: number): Promise<DirectoryEntry> {
  const { cid, dagSize } = await importFile(store, seededBytes(size, name));
  return { name, cid, dagSize };
}

/** A directory of many small files, one of which is empty. */
export async function makeWide(store: BlockStore, count: number): Promise<CID> {
  const entries: DirectoryEntry[] = [];
  for (let i = 0; i < count; i++) entries.push(await entryOf(store, `file-${i}`, (i * 37) % 900));
  return (await putDirectory(store, entries)).cid;
}

/** Directories within each other, each with a file beside. */
export async function makeDeep(store: BlockStore, levels: number): Promise<CID> {
  let inner = await entryOf(store, 'heart', 100);
  for (let level = 0; level < levels; level++) {
    const beside = await entryOf(store, `beside-${level}`, 300 + level);
    const { cid, dagSize } = await putDirectory(store, [{ ...inner, name: 'in' }, beside]);
    inner = { name: 'in', cid, dagSize };
  }
  return inner.cid;
}
