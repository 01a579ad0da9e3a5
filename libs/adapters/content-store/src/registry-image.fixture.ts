import { gzipSync, zstdCompressSync } from 'node:zlib';
import { sha256Hex } from '@antirio/kernel';
import { TAR_END, tarEntry } from './tar-writer.ts';

type Coding = 'gzip' | 'zstd';
type Files = Map<string, Uint8Array>;

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

async function tarOf(files: ReadonlyMap<string, Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (const [name, bytes] of files)
    for await (const part of tarEntry({ name, type: 'file', mode: 0o644, size: bytes.length }, [bytes]))
      parts.push(part.slice());
  return Buffer.concat([...parts, TAR_END]);
}

function layerTar(seed: number): Promise<Buffer> {
  const noise = new Uint8Array(200_000).map((_, i) => (i * i * seed) >> 3);
  return tarOf(
    new Map([
      [`file-${seed}`, noise],
      ['changed', Buffer.from(`by ${seed}`)],
    ]),
  );
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const pathOf = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

function addBlob(files: Files, bytes: Uint8Array, mediaType: string): Descriptor {
  const digest = `sha256:${sha256Hex(bytes)}`;
  files.set(pathOf(digest), bytes);
  return { mediaType: `application/vnd.${mediaType}`, digest, size: bytes.length };
}

/** OCI Image Manifest, with the configuration that its layers' digests belong to. */
function addManifest(files: Files, config: object, layers: readonly Descriptor[]) {
  const mediaType = 'oci.image.manifest.v1+json';
  const configBlob = addBlob(files, json(config), 'oci.image.config.v1+json');
  const manifest = {
    schemaVersion: 2,
    mediaType: `application/vnd.${mediaType}`,
    config: configBlob,
    layers,
  };
  return { configBlob, manifest: addBlob(files, json(manifest), mediaType) };
}

/** As BuildKit attaches one: a manifest of no platform that names the image's. */
function addAttestation(files: Files, image: Descriptor): object {
  const statement = json({ _type: 'https://in-toto.io/Statement/v0.1', subject: [] });
  const layer = addBlob(files, statement, 'in-toto+json');
  const platform = { architecture: 'unknown', os: 'unknown' };
  const config = { ...platform, rootfs: { type: 'layers', diff_ids: [layer.digest] } };
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': image.digest,
  };
  return { ...addManifest(files, config, [layer]).manifest, platform, annotations };
}

export interface RegistryImage {
  readonly archive: Buffer;
  /** SHA-256 of the configuration, in hex. */
  readonly configId: string;
  /** Of the layers as they are in the archive, compressed, in hex. */
  readonly layerDigests: readonly string[];
}

/**
 * An image as it comes from a registry: two compressed layers, and an attestation beside it in its index. Engines with containerd's store
 * read the OCI layout, others manifest.json.
 */
export async function registryImage(name: string, codings: readonly Coding[]): Promise<RegistryImage> {
  const files: Files = new Map([['oci-layout', json({ imageLayoutVersion: '1.0.0' })]]);
  const layers = await Promise.all(codings.map((_, i) => layerTar(2 * i + 3)));
  const packed = layers.map((layer, i) => {
    const coding = codings[i] ?? 'gzip';
    const bytes = coding === 'gzip' ? gzipSync(layer) : zstdCompressSync(layer);
    return addBlob(files, bytes, `oci.image.layer.v1.tar+${coding}`);
  });
  const platform = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  const rootfs = { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256Hex(layer)}`) };
  const config = { ...platform, config: { Cmd: ['/file-3'] }, rootfs };
  const { configBlob, manifest } = addManifest(files, config, packed);
  const manifests = [{ ...manifest, platform }, addAttestation(files, manifest)];
  const index = addBlob(files, json({ schemaVersion: 2, manifests }), 'oci.image.index.v1+json');
  const annotations = { 'io.containerd.image.name': `docker.io/library/${name}` };
  files.set('index.json', json({ schemaVersion: 2, manifests: [{ ...index, annotations }] }));
  const Layers = packed.map(({ digest }) => pathOf(digest));
  files.set('manifest.json', json([{ Config: pathOf(configBlob.digest), RepoTags: [name], Layers }]));
  const hex = ({ digest }: Descriptor): string => digest.replace('sha256:', '');
  return { archive: await tarOf(files), configId: hex(configBlob), layerDigests: packed.map(hex) };
}
