import { createCipheriv } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '@antirio/host';
import { AntirioError, concatBytes, sha256Hex } from '@antirio/kernel';
import { openBlockStore, type BlockStore } from './block-store.ts';
import { importImageStream } from './image-import.ts';
import { TAR_END, tarEntry } from './tar-writer.ts';

let folder: string;
let store: BlockStore;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-image-stream-'));
  store = await openBlockStore({ folder, clock: systemClock });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const noise = (seed: number, size: number): Uint8Array =>
  createCipheriv('chacha20', Buffer.alloc(32, seed), Buffer.alloc(16)).update(Buffer.alloc(size));

async function tarOf(files: readonly (readonly [string, Uint8Array | string])[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const [name, text] of files) {
    const bytes = Buffer.from(text);
    for await (const part of tarEntry({ name, type: 'file', mode: 0o644, size: bytes.length }, [bytes]))
      parts.push(part);
  }
  return concatBytes(...parts, TAR_END);
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  // One memory for all pieces, as a reader of files has it
  const memory = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
    memory.fill(0xee);
  }
}

const one = (bytes: Uint8Array) => inPieces(bytes, 64 << 10);

const digest = (bytes: Uint8Array | string): string => sha256Hex(Buffer.from(bytes));

interface Sample {
  readonly layers: readonly Uint8Array[];
  readonly config: string;
  readonly classic: readonly (readonly [string, Uint8Array | string])[];
}

async function sample(seed: number): Promise<Sample> {
  const layers = [
    await tarOf([
      ['bin/big', noise(seed, 90_000)],
      ['etc/x', 'x'],
    ]),
    await tarOf([['app/main.mjs', noise(seed + 1, 10_000)]]),
  ];
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Entrypoint: ['/bin/x'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${digest(layer)}`) },
  });
  const names = layers.map((_, i) => `l${i}/layer.tar`);
  const manifest = [{ Config: `${digest(config)}.json`, RepoTags: ['x:1'], Layers: names }];
  const classic: [string, Uint8Array | string][] = [
    ...layers.map((layer, i): [string, Uint8Array] => [names[i] ?? '', layer]),
    [`${digest(config)}.json`, config],
    ['l0/VERSION', '1.0'],
    ['l0/json', '{"id":"l0"}'],
    ['repositories', '{}'],
    ['manifest.json', JSON.stringify(manifest)],
  ];
  return { layers, config, classic };
}

/** As engines from version 25 on save it. */
function ociLayout({ layers, config }: Sample, compress: (layer: Uint8Array) => Uint8Array) {
  const blobs = layers.map(compress);
  const blob = (bytes: Uint8Array | string): string => `blobs/sha256/${digest(bytes)}`;
  const oci = JSON.stringify({
    schemaVersion: 2,
    config: { digest: `sha256:${digest(config)}` },
    layers: blobs.map((bytes) => ({ digest: `sha256:${digest(bytes)}`, size: bytes.length })),
  });
  const docker = [{ Config: blob(config), RepoTags: ['x:1'], Layers: blobs.map(blob) }];
  return [
    ...[...blobs, config, oci].map((bytes): [string, Uint8Array | string] => [blob(bytes), bytes]),
    ['index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ digest: `sha256:${digest(oci)}` }] })],
    ['manifest.json', JSON.stringify(docker)],
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
  ] as const;
}

describe('an archive is stored as it comes', () => {
  test('in whatever order its files come, in whatever pieces: the same CID', async () => {
    const image = await sample(1);
    const { cid } = await importImageStream(store, one(await tarOf(image.classic)));
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...image.classic], { minLength: image.classic.length }),
        fc.integer({ min: 100, max: 70_000 }),
        async (files, size) => {
          const stored = await importImageStream(store, inPieces(await tarOf(files), size));
          expect(stored.cid.toString()).toBe(cid.toString());
        },
      ),
      { numRuns: 15 },
    );
  });

  test.each([
    ['plain', (layer: Uint8Array) => layer],
    ['gzip', (layer: Uint8Array) => gzipSync(layer)],
    ['zstd', (layer: Uint8Array) => zstdCompressSync(layer)],
  ])('an OCI layout with %s layers gives the CID of the classic archive', async (_name, compress) => {
    const image = await sample(2);
    const classic = await importImageStream(store, one(await tarOf(image.classic)));
    const oci = await importImageStream(store, one(await tarOf(ociLayout(image, compress))));
    expect(oci.cid.toString()).toBe(classic.cid.toString());
    expect(oci.imageId).toBe(digest(image.config));
    const whole = compress(await tarOf(image.classic));
    expect((await importImageStream(store, one(whole))).cid.toString()).toBe(classic.cid.toString());
  });

  test('layers that no manifest names are no part of it, broken ones neither, and both are collected', async () => {
    const image = await sample(3);
    const alone = await importImageStream(store, one(await tarOf(image.classic)));
    await store.pin('alone', alone.cid);
    await store.collect();
    const before = store.usage().blocks;
    const foreign = await tarOf([['foreign', noise(99, 300_000)]]);
    const evil = await tarOf([['../../etc/passwd', 'evil']]);
    const more = [['foreign.tar', foreign], ['evil.tar', evil], ...image.classic] as const;
    const stored = await importImageStream(store, one(await tarOf(more)));
    expect(stored.cid.toString()).toBe(alone.cid.toString());
    expect(store.usage().blocks).toBeGreaterThan(before);
    await store.collect();
    expect(store.usage().blocks).toBe(before);
  });

  test('an OCI layout without manifest.json is refused by name', async () => {
    const files = ociLayout(await sample(4), (layer) => layer).filter(([name]) => name !== 'manifest.json');
    await expect(importImageStream(store, one(await tarOf(files)))).rejects.toThrow(
      'an OCI layout without manifest.json',
    );
  });
});

describe('a stream that is not what it should be', () => {
  test('that breaks off anywhere leaves no image, and says who broke it off', async () => {
    const bytes = await tarOf((await sample(5)).classic);
    async function* broken(at: number): AsyncGenerator<Uint8Array> {
      yield* inPieces(bytes.subarray(0, at), 5000);
      throw new AntirioError('unavailable', 'the engine is gone');
    }
    for (const at of [0, 700, 50_000, 95_000, bytes.length - 1024])
      await expect(importImageStream(store, broken(at))).rejects.toThrow('the engine is gone');
    const cut = inPieces(bytes.subarray(0, 50_000), 5000);
    await expect(importImageStream(store, cut)).rejects.toThrow('ends inside of');
    const behind = Buffer.concat([bytes.subarray(0, 91_648), Buffer.from('{"errorDetail":"x"}'.padEnd(600))]);
    await expect(importImageStream(store, one(behind))).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('that unpacks to more than all layers may have is given up on the way', async () => {
    const layer = await tarOf([['zeros', new Uint8Array(4 << 20)]]);
    const bombs = Array.from({ length: 6 }, (_, i) => [`${i}.tar`, gzipSync(layer)] as const);
    const limits = { maxLayers: 10, maxEntries: 100, maxLayerBytes: 5 << 20, maxBytes: 10 << 20 };
    let read = 0;
    async function* counted(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      for await (const piece of inPieces(bytes, 512)) {
        read += piece.length;
        yield piece;
      }
    }
    const archive = await tarOf(bombs);
    await expect(importImageStream(store, counted(archive), { limits })).rejects.toMatchObject({
      code: 'tooLarge',
    });
    expect(read).toBeLessThan(archive.length / 1.5);
  });

  test('with too much JSON, or too many files', async () => {
    const json = `{"x":"${'y'.repeat(3 << 20)}"}`;
    const files = Array.from({ length: 6 }, (_, i) => [`${i}.json`, json] as const);
    await expect(importImageStream(store, one(await tarOf(files)))).rejects.toMatchObject({
      code: 'tooLarge',
    });
    const many = Array.from({ length: 20 }, (_, i) => [`f${i}`, 'x'] as const);
    const limits = { maxLayers: 10, maxEntries: 10, maxLayerBytes: 1 << 20, maxBytes: 1 << 20 };
    await expect(importImageStream(store, one(await tarOf(many)), { limits })).rejects.toMatchObject({
      code: 'tooLarge',
    });
  });

  test('of entries that are passed over or come again: each counts, and so does each of their bytes', async () => {
    const tight = { maxLayers: 10, maxEntries: 10, maxLayerBytes: 1 << 20, maxBytes: 1 << 20 };
    const again = await tarOf(Array.from({ length: 20 }, () => ['one', 'x'] as const));
    const folders: Uint8Array[] = [];
    for (let i = 0; i < 20; i++)
      for await (const part of tarEntry({ name: `d${i}/`, type: 'directory', mode: 0o755, size: 0 }, []))
        folders.push(part);
    const idle = gzipSync(await tarOf([['idle', new Uint8Array(64 << 20)]]), { level: 1 });
    const message = expect.stringMatching(/over (10 entries|34603008 plain bytes)/) as unknown;
    for (const archive of [again, concatBytes(...folders, TAR_END), idle])
      await expect(importImageStream(store, one(archive), { limits: tight })).rejects.toMatchObject({
        code: 'tooLarge',
        message,
      });
  });

  test('whose configuration is not the one that its name says', async () => {
    const image = await sample(6);
    const files = image.classic.map(([name, content]): [string, Uint8Array | string] =>
      content === image.config ? [name, `${image.config} `] : [name, content],
    );
    await expect(importImageStream(store, one(await tarOf(files)))).rejects.toMatchObject({
      code: 'corrupt',
    });
  });
});
