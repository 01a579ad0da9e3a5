import type { ExtraName } from './network.ts';
import type { DemoOptions, FailureKind } from './options.ts';

const EXTRAS: Partial<Readonly<Record<FailureKind, readonly ExtraName[]>>> = {
  'two-providers': ['c'],
  'key-holders': ['c', 'd'],
};

/** Edges that a story has besides A and B. */
export const extrasOf = ({ kill }: Pick<DemoOptions, 'kill'>): readonly ExtraName[] => EXTRAS[kill] ?? [];

/** Edge C insures edge A as edge B does; else further edges keep shares of keys, and nothing more. */
export const insuresToo = ({ kill }: Pick<DemoOptions, 'kill'>): boolean => kill === 'two-providers';
