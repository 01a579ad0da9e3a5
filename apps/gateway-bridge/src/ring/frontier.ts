import { sha256 } from '@antirio/kernel';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The roots of the perfect subtrees of a Merkle tree, largest first: all that later leaves and the root need. */
export interface FrontierState {
  readonly count: number;
  readonly nodes: readonly Uint8Array[];
}

/** A Merkle tree (RFC 6962, section 2.1) that only grows. */
export interface Frontier {
  readonly count: number;
  add(leafHash: Uint8Array): void;
  root(): Uint8Array;
  state(): FrontierState;
}

export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(LEAF, leaf);
}

export function createFrontier(from: FrontierState = { count: 0, nodes: [] }): Frontier {
  const nodes = [...from.nodes];
  let count = from.count;
  return {
    get count() {
      return count;
    },
    add(hash) {
      let node = hash;
      // as many subtrees close as the count has trailing ones
      for (let rest = count; rest % 2 === 1; rest = (rest - 1) / 2)
        node = sha256(NODE, nodes.pop() ?? node, node);
      nodes.push(node);
      count += 1;
    },
    root() {
      const last = nodes.at(-1);
      if (last === undefined) return sha256();
      return nodes.slice(0, -1).reduceRight((right, left) => sha256(NODE, left, right), last);
    },
    state: () => ({ count, nodes: [...nodes] }),
  };
}
