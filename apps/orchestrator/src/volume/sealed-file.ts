import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sleep, syncDirectory } from '@antirio/host';
import {
  AntirioError,
  aesGcmDecrypt,
  aesGcmEncrypt,
  canonicalBytes,
  createSha256,
  fromBase64,
  isAntirioError,
  toBase64,
  type Random,
} from '@antirio/kernel';
import { VOLUME_SNAPSHOT_KIND, type VolumeSnapshot, type WrappedKey } from '@antirio/service-contract';
import { packVolumes, unpackVolumes, type Packed, type UnpackTarget, type VolumeFolder } from './archive.ts';
import { openStream, sealStream } from './sealed-stream.ts';

/** Keys for volumes by the version of the sealed keys that has them; 32 bytes each. */
export type VolumeKeys = ReadonlyMap<number, Uint8Array>;

type About = Pick<VolumeSnapshot, 'contractId' | 'direction' | 'seq'>;

function associated({ contractId, direction, seq }: About, version: number): Uint8Array {
  return canonicalBytes({ kind: VOLUME_SNAPSHOT_KIND, contractId, direction, seq, version });
}

/** The key of a snapshot's bytes for each of these versions. */
export function wrapKey(
  about: About,
  contentKey: Uint8Array,
  keys: VolumeKeys,
  random: Random,
): WrappedKey[] {
  return [...keys].map(([version, key]) => {
    const nonce = random.bytes(12);
    const wrapped = aesGcmEncrypt(key, nonce, contentKey, associated(about, version));
    return { version, nonce: toBase64(nonce), key: toBase64(wrapped) };
  });
}

/** @throws AntirioError corrupt where none of our keys is one that it was wrapped with */
export function unwrapKey(snapshot: VolumeSnapshot, keys: VolumeKeys): Uint8Array {
  for (const { version, nonce, key } of snapshot.keys) {
    const own = keys.get(version);
    if (own !== undefined)
      return aesGcmDecrypt(own, fromBase64(nonce), fromBase64(key), associated(snapshot, version));
  }
  const versions = snapshot.keys.map(({ version }) => version);
  throw new AntirioError('corrupt', 'the snapshot is sealed for other key versions', { versions });
}

export interface SealedFile {
  readonly contentKey: Uint8Array;
  readonly packed: Packed;
  readonly size: number;
  readonly sha256: string;
}

/** Durable under its name when it resolves; `size` and `sha256` are those of the file. */
export async function writeDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly size: number; readonly sha256: string }> {
  const part = `${path}.part`;
  const hash = createSha256();
  let size = 0;
  const handle = await open(part, 'w', 0o600);
  try {
    for await (const bytes of source) {
      hash.update(bytes);
      size += bytes.length;
      await handle.writeFile(bytes);
    }
    await handle.sync();
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(part, path);
  syncDirectory(dirname(path));
  return { size, sha256: hash.hex() };
}

async function sealOnce(folders: readonly VolumeFolder[], path: string, random: Random): Promise<SealedFile> {
  const contentKey = random.bytes(32);
  const { tar, packed } = packVolumes(folders);
  const written = await writeDurably(path, sealStream(contentKey, tar));
  return { contentKey, packed: await packed, ...written };
}

const TRIES = 5;
const BETWEEN_MS = 150;

/**
 * One consistent snapshot of these volumes, encrypted with a key of its own. Where they change while they are read it is begun again.
 * @throws AntirioError conflict where they never stay still; invalidInput | tooLarge; what the disk says
 */
export async function sealVolumes(
  folders: readonly VolumeFolder[],
  path: string,
  random: Random,
): Promise<SealedFile> {
  for (let left = TRIES; ; left--) {
    try {
      return await sealOnce(folders, path, random);
    } catch (error) {
      if (left <= 1 || !isAntirioError(error, 'conflict')) throw error;
    }
    await sleep(BETWEEN_MS);
  }
}

/**
 * Unpacks a snapshot that is here as a file. @throws AntirioError corrupt (another key, changed, cut off, no snapshot) | tooLarge; what the
 * disk says
 */
export async function unsealVolumes(
  path: string,
  snapshot: VolumeSnapshot,
  keys: VolumeKeys,
  targets: ReadonlyMap<string, UnpackTarget>,
): Promise<void> {
  const contentKey = unwrapKey(snapshot, keys);
  await unpackVolumes(openStream(contentKey, createReadStream(path)), targets);
}
