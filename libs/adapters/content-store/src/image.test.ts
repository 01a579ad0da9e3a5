import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '@antirio/host';
import { extract, pack, type Header } from 'tar-stream';
import { buildImage } from './build-image.ts';
import { openBlockStore, type BlockStore } from './block-store.ts';
import { describeImage, exportImage } from './image-export.ts';
import { importImage } from './image-import.ts';
import { fixedChunker } from './chunker.ts';
import { readDirectory } from './unixfs-directory.ts';

let folder: string;
let store: BlockStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-image-'));
  store = await openBlockStore({ folder: join(folder, 'store'), clock: systemClock });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

type TarInput = [Partial<Header> & { name: string }, (Uint8Array | string)?];

/** A tar of tar-stream's making: it shares no code with what is tested. */
async function tarOf(entries: readonly TarInput[]): Promise<Buffer> {
  const tar = pack();
  for (const [header, content] of entries) {
    if (content === undefined) tar.entry(header);
    else tar.entry(header, Buffer.from(content));
  }
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

async function entriesOf(path: string): Promise<Map<string, Buffer>> {
  const entries = new Map<string, Buffer>();
  const tar = extract();
  tar.end(readFileSync(path));
  for await (const entry of tar) {
    const parts: Buffer[] = [];
    for await (const part of entry as AsyncIterable<Buffer>) parts.push(part);
    entries.set(entry.header.name, Buffer.concat(parts));
  }
  return entries;
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

const configOf = (layers: readonly Uint8Array[], extra: object = {}): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Entrypoint: ['/bin/x'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    ...extra,
  });

const archivePath = (): string => join(folder, 'in.tar');

async function dockerArchive(
  config: string,
  layers: readonly TarInput[],
  tags: readonly string[] = ['x:1'],
): Promise<string> {
  const names = layers.map(([header]) => header.name);
  const manifest = [{ Config: `${sha256(config)}.json`, RepoTags: tags, Layers: names }];
  writeFileSync(
    archivePath(),
    await tarOf([
      ...layers,
      [{ name: `${sha256(config)}.json` }, config],
      [{ name: 'manifest.json' }, JSON.stringify(manifest)],
    ]),
  );
  return archivePath();
}

const someLayer = (): Promise<Buffer> =>
  tarOf([
    [{ name: 'app/', type: 'directory' }],
    [{ name: 'app/main.mjs' }, 'x'.repeat(5000)],
    [{ name: 'app/link', type: 'symlink', linkname: '/etc/passwd' }],
    [{ name: 'app/hard', type: 'link', linkname: 'app/main.mjs' }],
    [{ name: `app/${'long'.repeat(60)}` }, 'long'],
  ]);

describe('an image comes out of the store as it went in', () => {
  test('built here: same id, same archive bytes, stored as a directory of its parts', async () => {
    const spec = {
      files: [
        { path: 'app/main.mjs', content: 'console.log(1)\n' },
        {
          path: 'app/data/big.bin',
          content: new Uint8Array(300_000).map((_, i) => (i * i) % 251),
          mode: 0o755,
        },
      ],
      entrypoint: ['node', '/app/main.mjs'],
      env: { LEVEL: 'info' },
      architecture: 'arm64',
      repoTags: ['lora-device-service:1'],
    };
    const built = await buildImage(archivePath(), spec);
    expect(
      (await buildImage(join(folder, 'again.tar'), { ...spec, files: [...spec.files].reverse() })).sha256,
    ).toBe(built.sha256);

    const stored = await importImage(store, archivePath());
    expect(stored.imageId).toBe(built.imageId);
    expect(stored.config.architecture).toBe('arm64');
    expect((await readDirectory(store, stored.cid)).map((entry) => entry.name).sort()).toEqual(
      [`${built.diffId}.tar`, `${built.imageId}.json`, 'manifest.json'].sort(),
    );
    const exported = await exportImage(store, stored.cid, join(folder, 'out.tar'));
    expect(exported.sha256).toBe(built.sha256);
    expect(exported.imageId).toBe(built.imageId);
    expect((await describeImage(store, stored.cid)).config.config?.Entrypoint).toEqual([
      'node',
      '/app/main.mjs',
    ]);
  });

  test.each([
    ['plain', (layer: Buffer) => layer],
    ['gzip', (layer: Buffer) => gzipSync(layer)],
    ['zstd', (layer: Buffer) => zstdCompressSync(layer)],
  ])('as an engine saves it, %s layers', async (_name, compress) => {
    const layers = [await someLayer(), await tarOf([[{ name: 'etc/x' }, 'second']])];
    const config = configOf(layers);
    const path = await dockerArchive(
      config,
      layers.map((layer, i) => [{ name: `l${i}/layer.tar` }, compress(layer)]),
    );
    const stored = await importImage(store, path);
    expect(stored.imageId).toBe(sha256(config));
    await exportImage(store, stored.cid, join(folder, 'out.tar'));
    const out = await entriesOf(join(folder, 'out.tar'));
    expect(out.get(`${sha256(config)}.json`)?.toString()).toBe(config);
    expect(JSON.parse(String(out.get('manifest.json')))).toEqual([
      {
        Config: `${sha256(config)}.json`,
        RepoTags: ['x:1'],
        Layers: layers.map((layer) => `${sha256(layer)}.tar`),
      },
    ]);
    for (const layer of layers) expect(out.get(`${sha256(layer)}.tar`)).toEqual(layer);
  });

  test('a layer that two places share is saved as a link by older engines, and stored once', async () => {
    const layer = await someLayer();
    const config = configOf([layer, layer]);
    const path = await dockerArchive(config, [
      [{ name: 'a/layer.tar' }, layer],
      [{ name: 'b/layer.tar', type: 'symlink', linkname: '../a/layer.tar' }],
    ]);
    const stored = await importImage(store, path);
    expect(await readDirectory(store, stored.cid)).toHaveLength(3);
    await exportImage(store, stored.cid, join(folder, 'out.tar'), { repoTags: ['y:2'] });
    const manifest = JSON.parse(String((await entriesOf(join(folder, 'out.tar'))).get('manifest.json'))) as [
      { Layers: string[]; RepoTags: string[] },
    ];
    expect(manifest[0].Layers).toEqual([`${sha256(layer)}.tar`, `${sha256(layer)}.tar`]);
    expect(manifest[0].RepoTags).toEqual(['y:2']);
  });

  test('whatever the files, sizes and chunker', async () => {
    const path = fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8}){0,3}$/);
    const file = fc.record({
      path,
      content: fc.integer({ min: 0, max: 40_000 }),
      seed: fc.integer({ min: 1, max: 250 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(file, { maxLength: 6, selector: (f) => f.path }),
        fc.boolean(),
        async (files, fixed) => {
          const folders = new Set(
            files.flatMap((f) => f.path.split('/').map((_, i, parts) => parts.slice(0, i).join('/'))),
          );
          fc.pre(files.every((f) => !folders.has(f.path)));
          const built = await buildImage(archivePath(), {
            files: files.map((f) => ({
              path: f.path,
              content: new Uint8Array(f.content).map((_, i) => (i * f.seed) % 256),
            })),
            entrypoint: ['x'],
          });
          const stored = await importImage(store, archivePath(), fixed ? { chunker: fixedChunker(777) } : {});
          const exported = await exportImage(store, stored.cid, join(folder, 'out.tar'));
          expect(exported.sha256).toBe(built.sha256);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('what is no image, or a malicious one, is refused and nothing is written', () => {
  const importing = async (): Promise<unknown> => importImage(store, archivePath());

  test('a file that is no tar, one that is cut, one without a manifest, one that is not there', async () => {
    writeFileSync(archivePath(), 'this is no tar'.repeat(100));
    await expect(importing()).rejects.toMatchObject({ code: 'invalidInput' });
    const layer = await someLayer();
    const path = await dockerArchive(configOf([layer]), [[{ name: 'l.tar' }, layer]]);
    writeFileSync(path, readFileSync(path).subarray(0, 3000));
    await expect(importing()).rejects.toMatchObject({ code: 'invalidInput' });
    writeFileSync(path, await tarOf([[{ name: 'x' }, 'y']]));
    await expect(importing()).rejects.toThrow('no manifest.json');
    rmSync(path);
    await expect(importing()).rejects.toMatchObject({ code: 'notFound' });
  });

  test('a layer that is not the one its configuration names', async () => {
    const layer = await someLayer();
    const other = await tarOf([[{ name: 'evil' }, 'x']]);
    await dockerArchive(configOf([layer]), [[{ name: 'l.tar' }, other]]);
    await expect(importing()).rejects.toMatchObject({ code: 'corrupt' });
  });

  test.each<[string, TarInput]>([
    ['a path out of the layer', [{ name: '../../etc/cron.d/x' }, 'evil']],
    ['a path out of the layer in a pax record', [{ name: 'x', pax: { path: '../../etc/x' } }, 'evil']],
    ['a sparse file', [{ name: 'x', pax: { 'GNU.sparse.major': '1' } }, 'evil']],
    ['a hard link out of the layer', [{ name: 'x', type: 'link', linkname: '../../../etc/passwd' }]],
  ])('a layer with %s', async (_name, entry) => {
    const layer = await tarOf([[{ name: 'ok' }, 'x'], entry]);
    await dockerArchive(configOf([layer]), [[{ name: 'l.tar' }, layer]]);
    await expect(importing()).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test.each<[string, TarInput[]]>([
    ['leaves the archive by its name', [[{ name: '../l.tar' }, 'x']]],
    ['links out of the archive', [[{ name: 'l.tar', type: 'symlink', linkname: '../../../etc/passwd' }]]],
    ['links to an absolute path', [[{ name: 'l.tar', type: 'symlink', linkname: '/etc/passwd' }]]],
    ['links to itself', [[{ name: 'l.tar', type: 'symlink', linkname: 'l.tar' }]]],
    ['is a device', [[{ name: 'l.tar', type: 'character-device' }]]],
  ])('an archive whose layer %s', async (_name, entries) => {
    await dockerArchive(configOf([Buffer.from('x')]), entries);
    await expect(importing()).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('a layer that unpacks to more than allowed, or has too many entries', async () => {
    const layer = await tarOf([[{ name: 'zeros' }, new Uint8Array(4 << 20)]]);
    await dockerArchive(configOf([layer]), [[{ name: 'l.tar' }, gzipSync(layer)]]);
    const limits = { maxLayers: 10, maxEntries: 10, maxLayerBytes: 1 << 20, maxBytes: 2 << 20 };
    await expect(importImage(store, archivePath(), { limits })).rejects.toMatchObject({ code: 'tooLarge' });
    const many = await tarOf(Array.from({ length: 20 }, (_, i): TarInput => [{ name: `f${i}` }, 'x']));
    await dockerArchive(configOf([many]), [[{ name: 'l.tar' }, many]]);
    await expect(importImage(store, archivePath(), { limits })).rejects.toMatchObject({ code: 'tooLarge' });
  });

  test('sizes that no file has', async () => {
    const tar = await tarOf([[{ name: 'manifest.json' }, 'x']]);
    const header = tar.subarray(0, 512);
    header.write('77777777777\0', 124, 'latin1');
    header.fill(' ', 148, 156);
    header.write(
      `${header
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    writeFileSync(archivePath(), tar);
    await expect(importing()).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('several images without a tag to choose one by', async () => {
    const layer = await someLayer();
    const config = configOf([layer]);
    const image = (tag: string) => ({ Config: 'c.json', RepoTags: [tag], Layers: ['l.tar'] });
    writeFileSync(
      archivePath(),
      await tarOf([
        [{ name: 'l.tar' }, layer],
        [{ name: 'c.json' }, config],
        [{ name: 'manifest.json' }, JSON.stringify([image('a:1'), image('b:1')])],
      ]),
    );
    await expect(importing()).rejects.toMatchObject({ code: 'invalidInput' });
    expect((await importImage(store, archivePath(), { tag: 'b:1' })).repoTags).toEqual(['b:1']);
  });
});

test('a build refuses what would leave the image or stands twice', async () => {
  const build = (files: { path: string; content: string }[]) =>
    buildImage(archivePath(), { files, entrypoint: ['x'] });
  await expect(build([{ path: '../x', content: '' }])).rejects.toMatchObject({ code: 'invalidInput' });
  await expect(
    build([
      { path: 'x', content: '' },
      { path: './x', content: '' },
    ]),
  ).rejects.toMatchObject({ code: 'invalidInput' });
  await expect(
    build([
      { path: 'x', content: '' },
      { path: 'x/y', content: '' },
    ]),
  ).rejects.toMatchObject({ code: 'invalidInput' });
  await expect(buildImage(archivePath(), { files: [], entrypoint: [] })).rejects.toMatchObject({
    code: 'invalidInput',
  });
});
