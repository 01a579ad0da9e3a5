import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { z } from 'zod';
import type { ProgressLine } from './progress-line.ts';
import { openStream, STORAGE, type StoragePeer } from './storage-peer.ts';

/** Each is on the disk there before the next one goes. */
const PIECE = 4 << 20;
const PIECE_WITHIN_MS = 120_000;

const uploadAnswer = z.looseObject({ upload: z.looseObject({ bytes: z.number() }) });
const pieceAnswer = z.looseObject({ statusCode: z.number() });

export interface LocalFile {
  readonly path: string;
  /** Hex. */
  readonly sha256: string;
}

/** @throws AntirioError notFound */
export async function readLocal(path: string): Promise<LocalFile> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    throw new AntirioError('notFound', `cannot read ${path}`, { path }, cause);
  }
  return { path, sha256: hash.digest('hex') };
}

/** Bytes by now, and how many of them a second since the beginning. */
function meter(from: number): (bytes: number) => { bytes: number; bytesPerS: number } {
  const begun = performance.now();
  return (bytes) => ({ bytes, bytesPerS: ((bytes - from) / Math.max(1, performance.now() - begun)) * 1000 });
}

/** Puts a local file into the images folder; goes on where an earlier upload of it broke off. @throws AntirioError */
export async function sendFile(
  { ask }: StoragePeer,
  { path, sha256 }: LocalFile,
  name: string,
  line: ProgressLine,
): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { size: total } = await file.stat();
    const digest = { 'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:` };
    let at = Math.min(total, await hereOf({ ask }, name));
    // what is all there and has no name is of another content
    if (at === total) at = 0;
    const measured = meter(at);
    const buffer = new Uint8Array(Math.min(PIECE, Math.max(1, total)));
    do {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0 && total > 0) throw new AntirioError('conflict', `${path} became shorter`);
      const headers: Record<string, string> = { ...digest };
      // there is no range of nothing
      if (total > 0) headers['content-range'] = `bytes ${at}-${at + bytesRead - 1}/${total}`;
      await ask(pieceAnswer, {
        method: 'PUT',
        path: `/file/${encodeURIComponent(name)}`,
        body: buffer.subarray(0, bytesRead),
        headers,
        timeoutMs: PIECE_WITHIN_MS,
      });
      at += bytesRead;
      line.show('upload', { ...measured(at), totalBytes: total });
    } while (at < total);
  } finally {
    await file.close();
    line.end();
  }
}

/** Bytes of a file that an earlier upload has left. */
async function hereOf({ ask }: Pick<StoragePeer, 'ask'>, name: string): Promise<number> {
  try {
    return (await ask(uploadAnswer, { path: `/file/${encodeURIComponent(name)}/upload` })).upload.bytes;
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return 0;
    throw error;
  }
}

/** What was exported, as the room said. */
export interface Expected {
  readonly fileName: string;
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

/** Takes a file out of the images folder; the local one is there once it is whole and checked. @throws AntirioError */
export async function receiveFile(
  { peer }: StoragePeer,
  { fileName, size, sha256 }: Expected,
  path: string,
  line: ProgressLine,
): Promise<void> {
  const stream = await openStream(peer, `${STORAGE}/file/${encodeURIComponent(fileName)}`);
  const measured = meter(0);
  const hash = createHash('sha256');
  async function* shown(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const piece of stream) {
      bytes += piece.length;
      hash.update(piece);
      line.show('download', { ...measured(bytes), totalBytes: size });
      yield piece;
    }
    if (hash.digest('hex') !== sha256)
      throw new AntirioError('corrupt', `what came of ${fileName} is not what was exported`);
  }
  const part = `${path}.part`;
  try {
    await pipeline(shown, createWriteStream(part, { flush: true }));
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  } finally {
    line.end();
  }
}
