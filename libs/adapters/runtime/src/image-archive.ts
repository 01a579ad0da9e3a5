import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable, type Duplex } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { AntirioError, fromUtf8, sha256Hex } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';
import { indexTar, type TarEntry } from './tar-index.ts';

const strings = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);

// Docker Image Specification v1.2: image JSON. Other fields belong to the engine.
const imageConfigSchema = z.looseObject({
  architecture: z.string().optional(),
  config: z
    .looseObject({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      WorkingDir: z.string().default(''),
    })
    .optional()
    .transform((config) => config ?? { Entrypoint: [], Cmd: [], Env: [], WorkingDir: '' }),
  rootfs: z.looseObject({
    diff_ids: z.array(z.string().regex(/^sha256:[0-9a-f]{64}$/)).max(127),
  }),
});

export type ImageConfig = z.output<typeof imageConfigSchema>;

const manifestSchema = z
  .array(z.looseObject({ Config: z.string(), Layers: strings }))
  .length(1, 'the archive must hold exactly one image');

/** A docker archive that has been opened and whose own description is consistent. */
export interface ImageArchive {
  /** `sha256:` and the SHA-256 of the configuration's bytes. */
  readonly imageId: string;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
  /** Uncompressed tar bytes of one layer, from the lowest. The stream fails at its end when they are not those of the diff_id. */
  layer(index: number): Readable;
  readonly layers: number;
  close(): Promise<void>;
}

const MAX_JSON_BYTES = 4 << 20;
const MAX_LINKS = 8;

class Entries {
  readonly #file: FileHandle;
  readonly #entries: ReadonlyMap<string, TarEntry>;

  constructor(file: FileHandle, entries: ReadonlyMap<string, TarEntry>) {
    this.#file = file;
    this.#entries = entries;
  }

  /** `docker save` writes a layer that occurs twice as a link to the first. */
  find(name: string): TarEntry {
    let at = name;
    for (let links = 0; links <= MAX_LINKS; links++) {
      const entry = this.#entries.get(at);
      if (entry === undefined) throw new AntirioError('corrupt', `the archive lacks ${name}`, { name });
      if (entry.type === 'file') return entry;
      if (entry.type === 'link') at = entry.linkName;
      else if (entry.type === 'symlink') at = posix.join(posix.dirname(at), entry.linkName);
      else break;
    }
    throw new AntirioError('corrupt', `${name} in the archive is no file`, { name });
  }

  async json(name: string): Promise<Uint8Array> {
    const { offset, size } = this.find(name);
    if (size > MAX_JSON_BYTES)
      throw new AntirioError('tooLarge', `${name} is over ${MAX_JSON_BYTES} bytes`, { size });
    const { bytesRead, buffer } = await this.#file.read(new Uint8Array(size), 0, size, offset);
    if (bytesRead < size) throw new AntirioError('corrupt', `${name} is cut off`, { name });
    return buffer;
  }

  /** Newer engines may save layers compressed; the diff_id is always of the plain tar. */
  async *plain(name: string): AsyncGenerator<Uint8Array> {
    const { offset, size } = this.find(name);
    if (size === 0) return;
    const magic = Buffer.alloc(4);
    await this.#file.read(magic, 0, Math.min(4, size), offset);
    const raw = this.#file.createReadStream({ start: offset, end: offset + size - 1, autoClose: false });
    if (magic.readUInt16BE(0) === 0x1f8b) yield* piped(raw, createGunzip());
    else if (magic.readUInt32LE(0) === 0xfd2fb528) yield* piped(raw, createZstdDecompress());
    else yield* raw as AsyncIterable<Uint8Array>;
  }
}

async function* piped(raw: Readable, plain: Duplex): AsyncGenerator<Uint8Array> {
  raw.on('error', (error) => plain.destroy(error));
  try {
    yield* raw.pipe(plain) as AsyncIterable<Uint8Array>;
  } finally {
    raw.destroy();
    plain.destroy();
  }
}

async function* verified(source: AsyncIterable<Uint8Array>, diffId: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  const got = `sha256:${hash.digest('hex')}`;
  if (got !== diffId)
    throw new AntirioError('corrupt', 'a layer is not the one its image names', { diffId, got });
}

function parse<S extends z.ZodType>(name: string, schema: S, bytes: Uint8Array): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new AntirioError('corrupt', `${name} of the image is no JSON`, {}, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', `${name} of the image: ${issuesOf(parsed.error)}`);
}

async function describe(path: string, file: FileHandle): Promise<ImageArchive> {
  const entries = new Entries(file, await indexTar(path));
  const [manifest] = parse('manifest.json', manifestSchema, await entries.json('manifest.json'));
  if (manifest === undefined) throw new AntirioError('corrupt', 'the archive holds no image');
  const configBytes = await entries.json(manifest.Config);
  const hex = sha256Hex(configBytes);
  const named = /[0-9a-f]{64}/.exec(manifest.Config)?.[0];
  if (named !== undefined && named !== hex)
    throw new AntirioError('corrupt', 'the image configuration is not the one its name says', {
      named,
      got: hex,
    });
  const config = parse('configuration', imageConfigSchema, configBytes);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.Layers.length)
    throw new AntirioError('corrupt', 'manifest and configuration name different layers');
  return {
    imageId: `sha256:${hex}`,
    config,
    configBytes,
    layers: diffIds.length,
    layer(index) {
      const name = manifest.Layers[index];
      const diffId = diffIds[index];
      if (name === undefined || diffId === undefined) throw new AntirioError('internal', `no layer ${index}`);
      return Readable.from(verified(entries.plain(name), diffId), { objectMode: false });
    },
    close: () => file.close(),
  };
}

/**
 * Opens a docker archive as `docker save` writes it, of old and new engines. One image; layers plain, gzip or zstd.
 * @throws AntirioError notFound | corrupt | invalidInput | tooLarge
 */
export async function openImageArchive(path: string): Promise<ImageArchive> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new AntirioError('notFound', `there is no image archive ${path}`, { path }, cause);
  }
  try {
    return await describe(path, file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads the whole archive and checks every byte that would run. @returns the image id */
export async function verifyImageArchive(path: string): Promise<string> {
  const archive = await openImageArchive(path);
  try {
    for (let i = 0; i < archive.layers; i++) await archive.layer(i).forEach(() => undefined);
    return archive.imageId;
  } finally {
    await archive.close();
  }
}
