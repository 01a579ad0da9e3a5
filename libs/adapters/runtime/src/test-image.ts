import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { pack, type Header } from 'tar-stream';
import { sha256Hex, utf8 } from '@antirio/kernel';

/** Docker archives made by hand, for tests. */
export type LayerEntry = Partial<Header> & { readonly name: string; readonly content?: string | Uint8Array };

/** The same files are the same layer, whenever it is built. */
const BUILT = new Date(0);

export async function buildLayer(entries: readonly LayerEntry[]): Promise<Uint8Array> {
  const tar = pack();
  for (const { content = '', ...header } of entries)
    if ((header.type ?? 'file') === 'file') tar.entry({ mtime: BUILT, ...header }, Buffer.from(content));
    else tar.entry({ mtime: BUILT, ...header });
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface TestImage {
  readonly layers: readonly Uint8Array[];
  /** As stored, where that differs from the plain layers that the diff_ids are of. */
  readonly storedLayers?: readonly Uint8Array[];
  readonly entrypoint?: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  /** By default this machine's. */
  readonly architecture?: string;
  readonly diffIds?: readonly string[];
  readonly repoTags?: readonly string[];
  /** The configuration's name in the archive, by default its hash. */
  readonly configName?: string;
}

const OWN_ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
const architectureOf = ({ architecture = OWN_ARCHITECTURE }: TestImage): string => architecture;

/** @returns the image id */
export async function writeImageArchive(path: string, image: TestImage): Promise<string> {
  const config = JSON.stringify({
    architecture: architectureOf(image),
    os: 'linux',
    config: {
      Entrypoint: image.entrypoint ?? ['node', '/app/main.mjs'],
      Cmd: null,
      Env: image.env ?? ['PATH=/usr/local/bin:/usr/bin'],
      WorkingDir: image.workingDir ?? '/app',
    },
    rootfs: {
      type: 'layers',
      diff_ids: image.diffIds ?? image.layers.map((layer) => `sha256:${sha256Hex(layer)}`),
    },
  });
  const id = sha256Hex(utf8(config));
  const configName = image.configName ?? `${id}.json`;
  const tar = pack();
  const names = image.layers.map((_, i) => `${i}/layer.tar`);
  for (const [i, layer] of (image.storedLayers ?? image.layers).entries())
    tar.entry({ name: names[i] ?? '' }, Buffer.from(layer));
  tar.entry({ name: configName }, config);
  tar.entry(
    { name: 'manifest.json' },
    JSON.stringify([{ Config: configName, RepoTags: image.repoTags ?? null, Layers: names }]),
  );
  tar.finalize();
  await pipeline(tar as AsyncIterable<Uint8Array>, createWriteStream(path));
  return `sha256:${id}`;
}

/** A service that can be watched: counts in its data folder, tells what it sees, and behaves as its config.json says. */
export const WATCHED_SERVICE = `
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
const run = process.env.ANTIRIO_RUN_DIR;
const config = JSON.parse(readFileSync(run + '/config.json', 'utf8'));
process.stdin.on('end', () => process.exit(3));
process.stdin.resume();
process.on('SIGTERM', () => { if (!config.stubborn) process.exit(0); });
const starts = existsSync(config.dataDir + '/starts') ? Number(readFileSync(config.dataDir + '/starts', 'utf8')) : 0;
writeFileSync(config.dataDir + '/starts', String(starts + 1));
console.log('started', starts + 1);
if (config.chatter) for (let i = 0; i < 20000; i++) console.log('line', i);
if (config.exitCode !== undefined) process.exit(config.exitCode);
rmSync(run + '/svc.sock', { force: true });
createServer((socket) => socket.end(JSON.stringify({
  ticks, env: process.env, argv: process.argv.slice(2), cwd: process.cwd(),
  secret: existsSync(config.secretsFile) ? readFileSync(config.secretsFile, 'utf8') : undefined,
}))).listen(run + '/svc.sock');
let ticks = 0;
setInterval(() => writeFileSync(config.dataDir + '/ticks', String(++ticks)), 20);
`;
