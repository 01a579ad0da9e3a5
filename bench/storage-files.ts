import { createCipheriv, createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TAR_END, tarEntry, writeStreamDurably } from '@antirio/content-store';

const PIECE = 1 << 20;

/** Bytes that nothing compresses, the same for the same seed. */
function* noise(size: number, seed: string): Generator<Buffer> {
  const cipher = createCipheriv('chacha20', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  for (let left = size; left > 0; left -= PIECE) yield cipher.update(Buffer.alloc(Math.min(left, PIECE)));
}

export async function writeNoise(path: string, size: number, seed: string): Promise<void> {
  await pipeline(Readable.from(noise(size, seed)), createWriteStream(path));
}

/** Sizes of files as images have them: most are small, a few make up most of the bytes. */
function* sizesOf(total: number, seed: string): Generator<number> {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0);
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let left = total; left > 0;) {
    const kind = next();
    const most = kind < 0.7 ? 8_000 : kind < 0.95 ? 200_000 : 5_000_000;
    const size = Math.min(left, Math.ceil(next() * most));
    yield size;
    left -= size;
  }
}

/** What an image was built from; what is not said is the first version of it. */
export interface ImageVersion {
  /** One file of the application of 22 KB. */
  readonly code?: number;
  /** Over a third of the dependencies' bytes. */
  readonly dependencies?: number;
  /** Every file's time, and 3 % of the base's bytes. */
  readonly base?: number;
}

interface Layer {
  readonly name: 'base' | 'dependencies' | 'app';
  readonly bytes: number;
}

const BUILT_AT = 1_700_000_000;
const DAY_S = 86_400;
/** The part of a layer's bytes that a new version of it changes: so many files at its beginning, which grow too. */
const CHANGED_PART = { base: 0.03, dependencies: 0.1, app: 0 } as const;
const GROWN_BY = 700;

interface LayerFile {
  readonly size: number;
  readonly content: Iterable<Buffer>;
}

function* filesOf(layer: Layer, version: ImageVersion): Generator<LayerFile> {
  const now = layer.name === 'app' ? 1 : (version[layer.name] ?? 1);
  let [n, at] = [0, 0];
  for (const bytes of sizesOf(layer.bytes, layer.name)) {
    const isChanged = now > 1 && at < layer.bytes * CHANGED_PART[layer.name];
    const size = isChanged ? bytes + GROWN_BY : bytes;
    yield { size, content: noise(size, `${layer.name}/${n}${isChanged ? ` ${now}` : ''}`) };
    [n, at] = [n + 1, at + bytes];
  }
}

function sourceCode(version = 1): LayerFile {
  const source = Buffer.from(`export const version = ${version};\n${'// code\n'.repeat(2500)}`);
  return { size: source.length, content: [source] };
}

async function* layerTar(layer: Layer, version: ImageVersion): AsyncGenerator<Uint8Array> {
  const mtime = BUILT_AT + (layer.name === 'base' ? (version.base ?? 1) * DAY_S : 0);
  let n = 0;
  for (const file of filesOf(layer, version)) {
    const { size, content } = layer.name === 'app' && n === 0 ? sourceCode(version.code) : file;
    yield* tarEntry({ name: `${layer.name}/file-${n}`, type: 'file', mode: 0o644, size, mtime }, content);
    n++;
  }
  yield TAR_END;
}

/** A layer of an archive: its digest, and how long it is. */
export interface WrittenLayer {
  readonly diffId: string;
  readonly size: number;
}

async function measured(layer: Layer, version: ImageVersion): Promise<WrittenLayer> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const bytes of layerTar(layer, version)) {
    hash.update(bytes);
    size += bytes.length;
  }
  return { diffId: hash.digest('hex'), size };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Writes a docker archive: a base of most of the bytes, dependencies, and an application. The same version is the same bytes. */
export async function writeImage(
  path: string,
  bytes: number,
  version: ImageVersion = {},
): Promise<WrittenLayer[]> {
  const layers: Layer[] = [
    { name: 'base', bytes: Math.round(bytes * 0.96) },
    { name: 'dependencies', bytes: Math.round(bytes * 0.037) },
    { name: 'app', bytes: Math.round(bytes * 0.003) },
  ];
  const known: WrittenLayer[] = [];
  for (const layer of layers) known.push(await measured(layer, version));
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    config: { Entrypoint: ['node', '/app/file-0'] },
    rootfs: { type: 'layers', diff_ids: known.map(({ diffId }) => `sha256:${diffId}`) },
  });
  const manifest = [
    { Config: 'config.json', RepoTags: ['bench:1'], Layers: layers.map(({ name }) => `${name}.tar`) },
  ];
  const file = (name: string, size: number) => ({ name, type: 'file', mode: 0o644, size }) as const;
  async function* archive(): AsyncGenerator<Uint8Array> {
    for (const [i, layer] of layers.entries())
      yield* tarEntry(file(`${layer.name}.tar`, known[i]?.size ?? 0), layerTar(layer, version));
    yield* tarEntry(file('config.json', config.length), [config]);
    yield* tarEntry(file('manifest.json', json(manifest).length), [json(manifest)]);
    yield TAR_END;
  }
  await writeStreamDurably(path, archive());
  return known;
}
