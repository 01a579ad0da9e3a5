import { AntirioError, canonicalBytes, sha256Hex } from '@antirio/kernel';
import { configName, layerName, MANIFEST_NAME } from './image.ts';
import { TAR_END, tarEntry } from './tar-writer.ts';
import { entryPath } from './tar.ts';
import { writeStreamDurably, type WrittenFile } from './write-file.ts';

export interface ImageFile {
  /** Below the root of the image: `app/main.mjs`. */
  readonly path: string;
  readonly content: Uint8Array | string;
  /** Permission bits (default 0644). */
  readonly mode?: number;
}

export interface ImageSpec {
  readonly files: readonly ImageFile[];
  /** Program and its first arguments, as in a Dockerfile. */
  readonly entrypoint: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** As engines name it: `amd64`, `arm64`, `arm` (default: this machine's). */
  readonly architecture?: string;
  /** Absolute (default `/`). */
  readonly workingDir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `name:tag` that the engine gives the loaded image. */
  readonly repoTags?: readonly string[];
}

export interface BuiltImage extends WrittenFile {
  /** The engine's id: the SHA-256 of the configuration, in hex. */
  readonly imageId: string;
  /** The SHA-256 of the only layer, in hex. */
  readonly diffId: string;
}

/** All files of one image: it is built in memory. */
const MAX_IMAGE_BYTES = 256 << 20;
const EPOCH = '1970-01-01T00:00:00Z';

/**
 * Writes a docker archive of one layer with the given files, without an engine. The same files and settings give the
 * same bytes everywhere. @throws AntirioError invalidInput | tooLarge | storageFull
 */
export async function buildImage(path: string, spec: ImageSpec): Promise<BuiltImage> {
  if (spec.entrypoint.length === 0) throw new AntirioError('invalidInput', 'an image needs an entrypoint');
  const layer = await joined(layerOf(spec.files));
  const diffId = sha256Hex(layer);
  const config = canonicalBytes(configOf(spec, diffId));
  const imageId = sha256Hex(config);
  const repoTags = [...(spec.repoTags ?? [])].sort();
  const manifest = [{ Config: configName(imageId), RepoTags: repoTags, Layers: [layerName(diffId)] }];
  async function* archive(): AsyncGenerator<Uint8Array> {
    const parts: [string, Uint8Array][] = [
      [configName(imageId), config],
      [layerName(diffId), layer],
      [MANIFEST_NAME, canonicalBytes(manifest)],
    ];
    for (const [name, bytes] of parts)
      yield* tarEntry({ name, type: 'file', mode: 0o644, size: bytes.length }, [bytes]);
    yield TAR_END;
  }
  return { ...(await writeStreamDurably(path, archive())), imageId, diffId };
}

function configOf(spec: ImageSpec, diffId: string): unknown {
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...spec.env };
  const list = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return {
    architecture: spec.architecture ?? architectureOf(process.arch),
    os: 'linux',
    created: EPOCH,
    config: {
      Env: list.sort(),
      Entrypoint: spec.entrypoint,
      Cmd: spec.cmd ?? [],
      WorkingDir: spec.workingDir ?? '/',
      Labels: spec.labels ?? {},
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
    history: [{ created: EPOCH, created_by: 'antirio' }],
  };
}

/** Node's name of an architecture as engines write it. */
export function architectureOf(nodeArch: string): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return names[nodeArch] ?? nodeArch;
}

interface Tree {
  readonly contents: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly mode: number }>;
  readonly folders: ReadonlySet<string>;
}

function arrange(files: readonly ImageFile[]): Tree {
  const contents = new Map<string, { bytes: Uint8Array; mode: number }>();
  const folders = new Set<string>();
  let total = 0;
  for (const file of files) {
    const path = entryPath(file.path);
    const bytes = typeof file.content === 'string' ? Buffer.from(file.content) : file.content;
    if (path === '' || contents.has(path))
      throw new AntirioError('invalidInput', `a file twice, or none: ${file.path}`);
    contents.set(path, { bytes, mode: file.mode ?? 0o644 });
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
      folders.add(path.slice(0, slash));
    total += bytes.length;
  }
  if (total > MAX_IMAGE_BYTES)
    throw new AntirioError('tooLarge', `an image of over ${MAX_IMAGE_BYTES} bytes`);
  const both = [...folders].find((path) => contents.has(path));
  if (both !== undefined) throw new AntirioError('invalidInput', `${both} is a file and a folder`);
  return { contents, folders };
}

async function* layerOf(files: readonly ImageFile[]): AsyncGenerator<Uint8Array> {
  const { contents, folders } = arrange(files);
  // Sorted by code units, so that every folder comes before what is in it, whatever the locale.
  for (const path of [...folders, ...contents.keys()].sort()) {
    const file = contents.get(path);
    if (file === undefined) yield* tarEntry({ name: path, type: 'directory', mode: 0o755, size: 0 }, []);
    else
      yield* tarEntry({ name: path, type: 'file', mode: file.mode, size: file.bytes.length }, [file.bytes]);
  }
  yield TAR_END;
}

async function joined(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}
