import { sha256 } from './hash.ts';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

function largestPowerBelow(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

/** Merkle tree hash over leaf bytes in order (RFC 6962, section 2.1); the root of nothing is SHA-256 of nothing. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return rootOfHashes(leaves.map((leaf) => sha256(LEAF, leaf)));
}

function rootOfHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const [first] = hashes;
  if (first === undefined) return sha256();
  if (hashes.length === 1) return first;
  const k = largestPowerBelow(hashes.length);
  return sha256(NODE, rootOfHashes(hashes.slice(0, k)), rootOfHashes(hashes.slice(k)));
}

/** The audit path of one leaf (RFC 6962, section 2.1.1), from the leaf up. */
export function merklePath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  return pathOfHashes(
    leaves.map((leaf) => sha256(LEAF, leaf)),
    index,
  );
}

function pathOfHashes(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length <= 1) return [];
  const k = largestPowerBelow(hashes.length);
  return index < k
    ? [...pathOfHashes(hashes.slice(0, k), index), rootOfHashes(hashes.slice(k))]
    : [...pathOfHashes(hashes.slice(k), index - k), rootOfHashes(hashes.slice(0, k))];
}

/** The root that a leaf and its path lead to in a tree of `size` leaves. */
export function rootFromPath(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): Uint8Array {
  const climb = (i: number, n: number, rest: readonly Uint8Array[]): Uint8Array => {
    const sibling = rest.at(-1);
    if (n <= 1 || sibling === undefined) return sha256(LEAF, leaf);
    const k = largestPowerBelow(n);
    const below = rest.slice(0, -1);
    return i < k
      ? sha256(NODE, climb(i, k, below), sibling)
      : sha256(NODE, sibling, climb(i - k, n - k, below));
  };
  return climb(index, size, path);
}
