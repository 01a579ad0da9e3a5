import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';
import type { BlockSource, CID } from './block.ts';
import { readFile } from './unixfs-file.ts';

/** Bounds for what comes from outside. */
export interface ImageLimits {
  readonly maxLayers: number;
  /** Of one layer, uncompressed. */
  readonly maxLayerBytes: number;
  /** Of all layers of an archive together, uncompressed. */
  readonly maxBytes: number;
  /** Entries of an archive, or of one layer. */
  readonly maxEntries: number;
}

export const defaultImageLimits: ImageLimits = {
  maxLayers: 127,
  maxLayerBytes: 8 * 2 ** 30,
  maxBytes: 16 * 2 ** 30,
  maxEntries: 1 << 20,
};

/** Of manifest.json and of an image's configuration. */
export const MAX_IMAGE_JSON_BYTES = 4 << 20;

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);
const diffId = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256:<64 hex digits>')
  .transform((text) => text.slice('sha256:'.length));

/** What `docker save` writes as manifest.json: one element per image. */
export const dockerManifest = z
  .array(
    z.object({
      Config: z.string().min(1),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string()),
    }),
  )
  .min(1);

/** What matters here of an image's configuration; its id is the SHA-256 of the whole text. */
export const imageConfig = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
  config: z
    .object({
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(diffId) }),
});

export type ImageConfig = z.output<typeof imageConfig>;

/** manifest.json of a stored image: the names are hashes, so that equal images are equal directories. */
export const storedManifest = z
  .tuple([
    z.object({
      Config: z.string().transform(nameOf('.json')).pipe(sha256Hex),
      RepoTags: z.array(z.string().min(1).max(512)).max(64),
      Layers: z.array(z.string().transform(nameOf('.tar')).pipe(sha256Hex)),
    }),
  ])
  .transform(([only]) => ({ imageId: only.Config, repoTags: only.RepoTags, layers: only.Layers }));

function nameOf(ending: string): (text: string) => string {
  return (text) => (text.endsWith(ending) ? text.slice(0, -ending.length) : '');
}

export const MANIFEST_NAME = 'manifest.json';
export const configName = (imageId: string): string => `${imageId}.json`;
export const layerName = (diffIdHex: string): string => `${diffIdHex}.tar`;

/** @throws AntirioError invalidInput naming the part and what is wrong with it. */
export function parseImageJson<S extends z.ZodType>(schema: S, bytes: Uint8Array, what: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new AntirioError('invalidInput', `${what} is no JSON`, {}, cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new AntirioError('invalidInput', `${what}: ${issuesOf(parsed.error)}`);
  return parsed.data;
}

/** A small file of a store in one piece. @throws AntirioError notFound | corrupt | tooLarge | invalidInput */
export async function readSmallFile(
  source: BlockSource,
  cid: CID,
  maxBytes = MAX_IMAGE_JSON_BYTES,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of readFile(source, cid, { maxBytes })) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}
