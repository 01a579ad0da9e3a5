import { isAntirioError } from '@antirio/kernel';
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
