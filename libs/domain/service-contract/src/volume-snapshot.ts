import { fromHex, hmacSha256, toHex, utf8 } from '@antirio/kernel';
import { z } from 'zod';
import { edgeId } from './edge-id.ts';

const count = z.int().min(0);
const hexOf = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
/** Of key versions that follow: a join makes one, and the snapshot of before is to open under it as well. */
export const WRAPPED_AHEAD = 16;

/** The key of one snapshot's bytes, encrypted with the key that a version of the sealed keys has for volumes. */
export const wrappedKey = z.strictObject({
  version: z.int().min(1),
  nonce: z.string().max(32),
  key: z.string().max(128),
});
export type WrappedKey = z.output<typeof wrappedKey>;

/** What is said of one snapshot of a contract's volumes; its bytes are encrypted and go by their CID. */
export const volumeSnapshot = z.strictObject({
  contractId: z.uuid(),
  /** `guard`: the customer's, for its provider. `home`: what the provider hands back. */
  direction: z.enum(['guard', 'home']),
  /** Rises with each of the customer's; of a `home` one: the epoch in which it was made. */
  seq: z.int().min(1),
  /** Of a `home` one: the customer's snapshot that the provider went on from; none where it began with empty volumes. */
  base: z.int().min(1).optional(),
  /** By the maker's clock, ms since the Unix epoch. */
  takenAt: count,
  cid: z.string().min(1).max(128),
  /** Of the encrypted bytes. */
  size: count,
  sha256: hexOf(32),
  keys: z.array(wrappedKey).min(1).max(WRAPPED_AHEAD),
});
export type VolumeSnapshot = z.output<typeof volumeSnapshot>;

export const VOLUME_SNAPSHOT_KIND = 'antirio/volume-snapshot/1';

export const signedSnapshot = z.strictObject({
  kind: z.literal(VOLUME_SNAPSHOT_KIND),
  by: edgeId,
  body: volumeSnapshot,
  signature: z.string().max(128),
});
export type SignedSnapshot = z.output<typeof signedSnapshot>;

/** In a handback statement: the snapshot that was handed back. */
export const statedVolumes = z.strictObject({ cid: z.string().min(1).max(128), size: count });
export type StatedVolumes = z.output<typeof statedVolumes>;

/** What the customer knows when the provider's snapshot has come. Digests are over paths, modes and content. */
export interface Homecoming {
  /** The own snapshot that the provider went on from. */
  readonly base: number | undefined;
  /** Of that snapshot, where it is remembered. */
  readonly baseDigest: string | undefined;
  /** Of the own folder now; undefined where there is none, or nothing in it. */
  readonly ownDigest: string | undefined;
}

/**
 * `replace`: the provider's content takes the place, nothing else is lost. `replaceKeepingOwn`: it takes the place as well, for the
 * provider's service acted on it, and the own content, which no snapshot had, is kept beside: a conflict. `beside`: the provider did not
 * go on from the own state at all; its content is put beside, and the own stays: a conflict.
 */
export type HomeRule = 'replace' | 'replaceKeepingOwn' | 'beside';

export function homeRule({ base, baseDigest, ownDigest }: Homecoming): HomeRule {
  if (ownDigest === undefined) return 'replace';
  if (base === undefined) return 'beside';
  return ownDigest === baseDigest ? 'replace' : 'replaceKeepingOwn';
}

/** What the provider's folder holds, and what it might hold. */
export interface RestoreState {
  /** The newest whole snapshot of the customer's that is here. */
  readonly held: number | undefined;
  /** From which its folder was filled; 0: it began empty. Undefined: it never was. */
  readonly live: number | undefined;
}

/** Whether the volumes are to be filled before the service acts. What it wrote itself since goes only for something newer of the customer's. */
export function isRestoreDue({ held, live }: RestoreState): boolean {
  return live === undefined || (held ?? 0) > live;
}

export type Offer = Pick<VolumeSnapshot, 'seq' | 'size'>;

/** Why a provider does not take a snapshot; undefined where it does. */
export function offerProblem(
  { seq, size }: Offer,
  here: { readonly newest: number; readonly maxBytes: number; readonly serves: boolean },
): 'old' | 'tooLarge' | 'serving' | undefined {
  if (here.serves) return 'serving';
  if (seq < here.newest) return 'old';
  return size > sealedLimit(here.maxBytes) ? 'tooLarge' : undefined;
}

/** Headers of its entries, and what encryption adds, come on top of the files. */
export function sealedLimit(maxBytes: number): number {
  return Math.ceil(maxBytes * 1.05) + (32 << 20);
}

const HOME_MS = 600_000;
const HOME_AT_MOST_MS = 3 * 86_400_000;
/** What a slow disk seals, and a slow link carries, in a millisecond; bytes. */
const SEALED_PER_MS = 4 << 10;
const CARRIED_PER_MS = 16;

/** How long a homecoming may take, ms: ten minutes, what sealing takes, and, once the provider has signed for it, what `size` bytes take on a slow link. */
export function homeWithinMs({
  maxBytes,
  size = 0,
}: {
  readonly maxBytes: number;
  readonly size?: number;
}): number {
  const carried = Math.min(size, sealedLimit(maxBytes)) / CARRIED_PER_MS;
  return Math.min(HOME_MS + maxBytes / SEALED_PER_MS + carried, HOME_AT_MOST_MS);
}

/** A newest snapshot at the provider that is older than this wakes somebody, ms. */
export function staleAfterMs(everyS: number): number {
  return Math.max(60_000, everyS * 3000);
}

/** Whether the customer takes another one. Times in ms. */
export function isSnapshotDue(now: number, everyS: number, lastAt: number | undefined): boolean {
  return lastAt === undefined || now - lastAt >= everyS * 1000 || now < lastAt;
}

/** The versions for which a snapshot's key is wrapped: the one of now, and those that joins will make. */
export function wrappedVersions(version: number): number[] {
  return Array.from({ length: WRAPPED_AHEAD }, (_, i) => version + i);
}

/** Whether the newest announcement still does for the versions to come. */
export function isWrappedFor(keys: readonly Pick<WrappedKey, 'version'>[], version: number): boolean {
  const known = new Set(keys.map((one) => one.version));
  return known.has(version) && known.has(version + WRAPPED_AHEAD / 2);
}

/** Of a contract, by the customer's own secret; 32 bytes, hex. It stays with the customer. */
export function contractVolumeKey(root: string, contractId: string): string {
  return toHex(hmacSha256(fromHex(root, 32), utf8(`antirio/volumes/1/${contractId}`)));
}

/** Of one version of the sealed keys, with which it goes to the provider; 32 bytes, hex. Nobody makes one version's out of another's. */
export function versionVolumeKey(contractKey: string, version: number): string {
  return toHex(hmacSha256(fromHex(contractKey, 32), utf8(`version/${version}`)));
}
