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

interface Layer {
  readonly name: string;
  readonly bytes: number;
}

/** One file of the application is another one in each version. */
async function* layerTar({ name, bytes }: Layer, version: number): AsyncGenerator<Uint8Array> {
  let n = 0;
  for (const size of sizesOf(bytes, name)) {
    const isCode = name === 'app' && n === 0;
    const code = Buffer.from(`export const version = ${version};\n${'// code\n'.repeat(2500)}`);
    const file = {
      name: `${name}/file-${n}`,
      type: 'file',
      mode: 0o644,
      size: isCode ? code.length : size,
    } as const;
    yield* tarEntry(file, isCode ? [code] : noise(size, `${name}/${n}`));
    n++;
  }
  yield TAR_END;
}

async function measured(layer: Layer, version: number): Promise<{ diffId: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const bytes of layerTar(layer, version)) {
    hash.update(bytes);
    size += bytes.length;
  }
  return { diffId: hash.digest('hex'), size };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Writes a docker archive: a base of most of the bytes, dependencies, and an application of which one version differs in one file. */
export async function writeImage(path: string, bytes: number, version: number): Promise<void> {
  const layers: Layer[] = [
    { name: 'base', bytes: Math.round(bytes * 0.96) },
    { name: 'dependencies', bytes: Math.round(bytes * 0.037) },
    { name: 'app', bytes: Math.round(bytes * 0.003) },
  ];
  const known: { diffId: string; size: number }[] = [];
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
}
