import { describeError, isAntirioError } from '@antirio/kernel';
import type { KuboNode } from './kubo-node.ts';

/** What became of asking each node. */
export interface Asked<T> {
  readonly done: { readonly node: KuboNode; readonly value: T }[];
  readonly failed: { readonly node: KuboNode; readonly error: unknown }[];
}

/** Of what nodes failed with, what says most: that something is not there says least. */
export function worst({ failed }: Asked<unknown>): unknown {
  return (failed.find(({ error }) => !isAntirioError(error, 'notFound')) ?? failed[0])?.error;
}

/** The nodes of a network. */
export class KuboNodes {
  readonly all: readonly KuboNode[];

  constructor(all: readonly KuboNode[]) {
    this.all = all;
  }

  /** Asks one after the other, so that what is held in memory for one is enough for all. */
  async each<T>(ask: (node: KuboNode) => Promise<T>, signal?: AbortSignal): Promise<Asked<T>> {
    const asked: Asked<T> = { done: [], failed: [] };
    for (const node of this.all) {
      try {
        asked.done.push({ node, value: await ask(node) });
      } catch (error) {
        if (signal?.aborted === true) throw error;
        asked.failed.push({ node, error });
      }
    }
    return asked;
  }

  /** Those that are named first. */
  ordered(providers: readonly string[]): KuboNode[] {
    const isNamed = (node: KuboNode): number => (providers.includes(node.name) ? 0 : 1);
    return this.all.toSorted((a, b) => isNamed(a) - isNamed(b));
  }

  /**
   * Of nodes those that are different ones, and why the others are not counted. Each is asked anew who it is: behind an address may be another
   * node than before.
   */
  async different(nodes: readonly KuboNode[]): Promise<{ nodes: KuboNode[]; others: string[] }> {
    if (nodes.length < 2) return { nodes: [...nodes], others: [] };
    const byId = new Map<string, KuboNode>();
    const others: string[] = [];
    for (const node of nodes) {
      const id = await node.identity().catch((error: unknown) => void others.push(describeError(error)));
      if (id === undefined) continue;
      const same = byId.get(id);
      if (same === undefined) byId.set(id, node);
      else others.push(`${node.name} is the same node as ${same.name}`);
    }
    return { nodes: [...byId.values()], others };
  }

  /** Who they are. @throws AntirioError where one does not say it */
  async identities(): Promise<Set<string>> {
    const asked = await this.each((node) => node.identity());
    if (asked.failed.length > 0) throw worst(asked);
    return new Set(asked.done.map(({ value }) => value));
  }

  close(): void {
    for (const { rpc } of this.all) rpc.close();
  }
}
