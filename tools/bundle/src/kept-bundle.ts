import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUNDLES, bundle, workspaceRoot, type Bundle, type BundleOptions } from './bundle.ts';

/** Where all sources of a bundle are, and what says which packages they use. */
const SOURCES = ['apps', 'libs', 'tools', 'package-lock.json'];

function* filesIn(path: string): Generator<string> {
  if (statSync(path).isFile()) {
    yield path;
    return;
  }
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inside = join(path, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules') yield* filesIn(inside);
    else if (entry.isFile()) yield inside;
  }
}

/** Another one as soon as a source was written, came or went, or something else is asked for. */
function keyOf({ mutate = [], only = BUNDLES }: BundleOptions): string {
  const hash = createHash('sha256').update(JSON.stringify([mutate, only]));
  for (const source of SOURCES)
    for (const file of filesIn(join(workspaceRoot, source))) {
      const { mtimeMs, size } = statSync(file);
      hash.update(`${relative(workspaceRoot, file)} ${mtimeMs} ${size}\n`);
    }
  return hash.digest('hex').slice(0, 32);
}

/**
 * What `bundle` makes; where `NODE_COMPILE_CACHE` names a folder, as in a run of `npm test`, once for all who want the same of the same
 * sources. It lies in that folder then and not in `outDir`, so that what Node compiled of it is found again, too.
 */
export async function keptBundle(options: BundleOptions): Promise<Bundle> {
  const { NODE_COMPILE_CACHE: cache } = process.env;
  if (cache === undefined || cache === '') return bundle(options);
  const kept = join(cache, `bundle-${keyOf(options)}`);
  if (!existsSync(kept)) await makeAt(kept, options);
  const made = (options.only ?? BUNDLES).map((name) => [name, join(kept, name, `${name}.mjs`)] as const);
  return Object.fromEntries(made.filter(([, file]) => existsSync(file)));
}

/** Whole, or not at all; another process may be first. */
async function makeAt(kept: string, options: BundleOptions): Promise<void> {
  const outDir = `${kept}.${randomBytes(6).toString('hex')}`;
  await bundle({ ...options, outDir });
  try {
    renameSync(outDir, kept);
  } catch (error) {
    rmSync(outDir, { recursive: true, force: true });
    if (!existsSync(kept)) throw error;
  }
}
