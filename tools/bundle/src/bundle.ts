import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { englishOnly } from './english-only.ts';
import { MutationError, mutatedSources, mutationPlugin, type Mutation } from './mutation.ts';
import { billOfMaterials, type PackageLock } from './sbom.ts';

export const workspaceRoot = resolve(import.meta.dirname, '../../..');

export interface BundleOptions {
  /** Replaced as a whole. */
  readonly outDir: string;
  /** Changes of sources, for tests of what the product does without one of its checks. */
  readonly mutate?: readonly Mutation[];
  /** What to bundle (default: all that is there). */
  readonly only?: readonly BundleName[];
}

const ENTRIES = {
  /** The `antirio` command; its services are chunks that are loaded when they run. */
  antirio: { source: 'apps/edge/src/main.ts', splitting: true },
  /** The device service, one file: what goes into its image. */
  'device-lora': { source: 'apps/device-lora/src/main.ts', splitting: false },
} as const;
export type BundleName = keyof typeof ENTRIES;
export const BUNDLES = Object.keys(ENTRIES) as readonly BundleName[];

/** The entry files by name. */
export type Bundle = Partial<Record<BundleName, string>>;

// What CommonJS packages expect to find, in a module.
const BANNER = `import { createRequire as antirioCreateRequire } from 'node:module';
import { dirname as antirioDirname } from 'node:path';
import { fileURLToPath as antirioFileURLToPath } from 'node:url';
const require = antirioCreateRequire(import.meta.url);
const __filename = antirioFileURLToPath(import.meta.url);
const __dirname = antirioDirname(__filename);`;

const COMMON: BuildOptions = {
  absWorkingDir: workspaceRoot,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  outExtension: { '.js': '.mjs' },
  external: [
    // Optional native parts of packages that work without them.
    'cpu-features',
    '*.node',
    // Colours for `debug`, which it takes where it finds them: only among developers' packages. A bundle is the same without those.
    'supports-color',
    // What storage on Filecoin needs, and nothing else does: installed beside the bundle where that is chosen.
    '@filoz/*',
    'viem',
    'viem/*',
    'fr32-sha2-256-trunc254-padded-binary-tree-multihash',
  ],
  banner: { js: BANNER },
  legalComments: 'none',
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: 'silent',
};

const sha256 = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');

/**
 * The workspace's own files in a bundle with their times, and with their hashes where times get lost on the way, so that a stale bundle
 * can be told from a fresh one.
 */
function writeStamps(outDir: string, inputs: ReadonlySet<string>): void {
  const own = [...inputs].filter((path) => !path.includes('node_modules/')).toSorted();
  const times = own.map((path) => [path, Math.round(statSync(join(workspaceRoot, path)).mtimeMs)]);
  writeFileSync(join(outDir, 'sources.json'), JSON.stringify(Object.fromEntries(times)));
  const hashes = ['package-lock.json', ...own].map((path) => [
    path,
    sha256(readFileSync(join(workspaceRoot, path))),
  ]);
  writeFileSync(join(outDir, 'hashes.json'), JSON.stringify(Object.fromEntries(hashes)));
}

function lockOf(root: string): PackageLock {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as PackageLock;
}

/** SHA-256 (hex) over the names and contents of all files in a folder: the same sources make the same bundle. */
export function digestOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const lines = files.map((file) => `${relative(folder, file)} ${sha256(readFileSync(file))}\n`);
  return sha256(lines.toSorted().join(''));
}

/**
 * Bundles the command and the device service as ES modules for Node 24, each with a bill of its materials.
 * @throws MutationError when a mutation does not fit its file exactly once, or its file is in none of the bundles.
 */
export async function bundle({ outDir, mutate = [], only }: BundleOptions): Promise<Bundle> {
  const sources = mutatedSources(workspaceRoot, mutate);
  const used = new Set<string>();
  const names = BUNDLES.filter((name) => only?.includes(name) ?? true).filter((name) =>
    existsSync(join(workspaceRoot, ENTRIES[name].source)),
  );
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  const inputs = new Set<string>();
  const made: Bundle = {};
  for (const name of names) {
    const { source, splitting } = ENTRIES[name];
    const folder = join(outDir, name);
    const { metafile } = await build({
      ...COMMON,
      entryPoints: { [name]: source },
      outdir: folder,
      splitting,
      chunkNames: 'chunks/[name]-[hash]',
      plugins: [englishOnly, mutationPlugin(sources, used)],
    });
    const bundled = Object.keys(metafile?.inputs ?? {});
    for (const input of bundled) inputs.add(input);
    writeFileSync(join(folder, 'sbom.cdx.json'), billOfMaterials(bundled, lockOf(workspaceRoot)));
    made[name] = join(folder, `${name}.mjs`);
  }
  const unused = [...sources.keys()].find((path) => !used.has(path));
  if (unused !== undefined)
    throw new MutationError(
      `${relative(workspaceRoot, unused)} is in none of the bundles ${names.join(', ')}`,
    );
  writeStamps(outDir, inputs);
  return made;
}

/** Bundles one program of this workspace in the same way, as a file of the given path without its ending; gives the path of the file. */
export async function bundleProgram(source: string, outFile: string): Promise<string> {
  const made = `${outFile}.mjs`;
  await build({ ...COMMON, entryPoints: [source], outfile: made, plugins: [englishOnly] });
  return made;
}
