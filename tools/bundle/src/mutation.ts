import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { Loader, Plugin } from 'esbuild';

/** A change of one source file, made while it is bundled. The file on disk stays as it is. */
export interface Mutation {
  /** From the workspace's root. */
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A mutation that would change nothing, or more than was meant. */
export class MutationError extends Error {}

function applied(source: string, { file, find, replace }: Mutation): string {
  const parts = source.split(find);
  if (find === '' || parts.length !== 2)
    throw new MutationError(
      `${file}: what is to be replaced must stand there once, not ${parts.length - 1} times: ${find}`,
    );
  return parts.join(replace);
}

/** @throws MutationError when a piece is not found exactly once, whether or not the file gets into a bundle. */
export function mutatedSources(root: string, mutations: readonly Mutation[]): Map<string, string> {
  const sources = new Map<string, string>();
  for (const mutation of mutations) {
    const path = resolve(root, mutation.file);
    sources.set(path, applied(sources.get(path) ?? readFileSync(path, 'utf8'), mutation));
  }
  return sources;
}

/** Gives the bundler the mutated sources; `used` collects those that it asked for. */
export function mutationPlugin(sources: ReadonlyMap<string, string>, used: Set<string>): Plugin {
  return {
    name: 'mutation',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path }) => {
        const contents = sources.get(path);
        if (contents === undefined) return undefined;
        used.add(path);
        const loader: Loader = extname(path).endsWith('ts') ? 'ts' : 'js';
        return { contents, loader };
      });
    },
  };
}
