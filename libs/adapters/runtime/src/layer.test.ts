import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openImageArchive, verifyImageArchive } from './image-archive.ts';
import { RootTree } from './layer.ts';
import { buildLayer, writeImageArchive, type LayerEntry } from './test-image.ts';

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'layer-')));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function unpack(...layers: (readonly LayerEntry[])[]): Promise<void> {
  const tree = new RootTree(dir, { bytes: 1 << 20, entries: 1000 });
  for (const layer of layers) await tree.apply(Readable.from([await buildLayer(layer)]));
}

/** Undefined for links to nothing or in a circle: they lead nowhere. */
function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

const read = (name: string): string => readFileSync(join(dir, name), 'utf8');

describe('unpacking the layers of an image', () => {
  test('upper layers replace and hide what lower ones brought', async () => {
    await unpack(
      [
        { name: 'a/one', content: 'lower' },
        { name: 'a/two', content: 'lower' },
        { name: 'b/three', content: 'lower' },
        { name: 'c', content: 'file' },
      ],
      [
        { name: './a/.wh.one' },
        { name: 'a/two', content: 'upper' },
        { name: 'b/new', content: 'upper' },
        { name: 'b/.wh..wh..opq' },
        { name: 'c', type: 'directory' },
        { name: 'c/inside', content: 'upper' },
      ],
    );
    expect(existsSync(join(dir, 'a/one'))).toBe(false);
    expect(read('a/two')).toBe('upper');
    expect(existsSync(join(dir, 'b/three'))).toBe(false);
    expect(read('b/new')).toBe('upper');
    expect(read('c/inside')).toBe('upper');
  });

  test('absolute links are meant from the root of the image, files are written through linked folders', async () => {
    await unpack(
      [
        { name: 'usr/bin/', type: 'directory' },
        { name: 'bin', type: 'symlink', linkname: 'usr/bin' },
        { name: 'etc/here', type: 'symlink', linkname: '/usr/bin/tool' },
      ],
      [{ name: 'bin/tool', content: 'tool', mode: 0o4777 }],
    );
    expect(read('usr/bin/tool')).toBe('tool');
    expect(readlinkSync(join(dir, 'etc/here'))).toBe('../usr/bin/tool');
    expect(lstatSync(join(dir, 'usr/bin/tool')).mode & 0o7777).toBe(0o755);
  });

  test('an upper file replaces a link and never what it points to', async () => {
    await unpack(
      [
        { name: 'target', content: 'kept' },
        { name: 'link', type: 'symlink', linkname: 'target' },
        { name: 'hard', type: 'link', linkname: 'target' },
      ],
      [
        { name: 'link', content: 'new' },
        { name: 'hard', content: 'new' },
      ],
    );
    expect([read('target'), read('link'), read('hard')]).toEqual(['kept', 'new', 'new']);
  });

  test.each<[string, readonly LayerEntry[]]>([
    ['a name above the root', [{ name: '../evil', content: 'x' }]],
    ['a name above the root, hidden', [{ name: 'a/../../evil', content: 'x' }]],
    ['an absolute name', [{ name: '/evil', content: 'x' }]],
    ['a link above the root', [{ name: 'a/up', type: 'symlink', linkname: '../../etc' }]],
    ['a hard link above the root', [{ name: 'a', type: 'link', linkname: '../../etc/passwd' }]],
    [
      'a hard link to a link',
      [
        { name: 'l', type: 'symlink', linkname: 'x' },
        { name: 'a/b', type: 'link', linkname: 'l' },
      ],
    ],
    [
      'links in a circle',
      [
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'b', type: 'symlink', linkname: 'a' },
        { name: 'a/file', content: 'x' },
      ],
    ],
    ['a whiteout without a name', [{ name: 'a/.wh.' }]],
    ['a whiteout of the folder above', [{ name: 'a/.wh...' }]],
    [
      'a file used as a folder',
      [
        { name: 'a', content: 'x' },
        { name: 'a/b', content: 'x' },
      ],
    ],
  ])('%s is refused', async (_name, layer) => {
    await expect(unpack(layer)).rejects.toMatchObject({ code: 'corrupt' });
  });

  test('a chain of links cannot lead out by passing a folder that becomes a link', async () => {
    await unpack([
      { name: 'p/q/y', type: 'symlink', linkname: '../../p/r/../..' },
      { name: 'p/r', type: 'symlink', linkname: '../' },
      { name: 'p/q/y/escaped', content: 'x' },
    ]);
    expect(existsSync(join(dir, '..', 'escaped'))).toBe(false);
  });

  test('too many files and too many bytes are refused', async () => {
    const many = Array.from({ length: 1001 }, (_, i) => ({ name: `f${i}`, content: '' }));
    await expect(unpack(many)).rejects.toMatchObject({ code: 'tooLarge' });
    const large = [{ name: 'large', content: 'x'.repeat((1 << 20) + 1) }];
    await expect(unpack(large)).rejects.toMatchObject({ code: 'tooLarge' });
  });

  test('no sequence of folders, files and links makes anything outside reachable', async () => {
    const part = fc.constantFrom('a', 'b', 'c', '..', '.');
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const entry = fc.record({
      name: path,
      type: fc.constantFrom<'file' | 'symlink' | 'link' | 'directory'>(
        'file',
        'symlink',
        'link',
        'directory',
      ),
      linkname: fc.tuple(fc.constantFrom('', '/'), path).map(([root, rest]) => root + rest),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
        const root = mkdtempSync(join(dir, 'run-'));
        const tree = new RootTree(root, { bytes: 1 << 20, entries: 1000 });
        for (const one of entries) {
          const content = one.type === 'file' ? { content: 'x' } : {};
          await tree
            .apply(Readable.from([await buildLayer([{ ...one, ...content }])]))
            .catch(() => undefined);
        }
        const names = ['a', 'b', 'c'];
        const walk = (at: string, depth: number): void => {
          if (depth === 0) return;
          for (const name of names) {
            const real = realPathOf(join(at, name));
            if (real === undefined) continue;
            expect(`${real}/`.startsWith(`${root}/`)).toBe(true);
            walk(join(at, name), depth - 1);
          }
        };
        walk(root, 4);
        rmSync(root, { recursive: true });
      }),
      { numRuns: 150 },
    );
  });
});

describe('a docker archive', () => {
  const path = (): string => join(dir, 'image.tar');

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('may hold its layers as %s; the diff_id is of the plain tar', async (_name, compress) => {
    const layers = [await buildLayer([{ name: 'file', content: 'content' }])];
    const id = await writeImageArchive(path(), {
      layers,
      storedLayers: layers.map((layer) => compress(layer)),
    });
    expect(await verifyImageArchive(path())).toBe(id);
  });

  test('whose layer, configuration or order of layers was changed is refused', async () => {
    const [a, b] = [
      await buildLayer([{ name: 'a', content: 'a' }]),
      await buildLayer([{ name: 'b', content: 'b' }]),
    ];
    await writeImageArchive(path(), { layers: [a, b], storedLayers: [b, a] });
    await expect(verifyImageArchive(path())).rejects.toMatchObject({ code: 'corrupt' });
    await writeImageArchive(path(), { layers: [a], configName: `${'0'.repeat(64)}.json` });
    await expect(openImageArchive(path())).rejects.toMatchObject({ code: 'corrupt' });
    await writeImageArchive(path(), { layers: [a], diffIds: [] });
    await expect(openImageArchive(path())).rejects.toMatchObject({ code: 'corrupt' });
    await writeImageArchive(path(), { layers: [a], diffIds: ['md5:1'] });
    await expect(openImageArchive(path())).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('cut off anywhere is refused', async () => {
    const layers = [await buildLayer([{ name: 'a', content: 'a'.repeat(2000) }])];
    await writeImageArchive(path(), { layers });
    const whole = readFileSync(path());
    for (let length = 0; length < whole.length - 1024; length += 700) {
      writeFileSync(path(), whole.subarray(0, length));
      await expect(verifyImageArchive(path())).rejects.toHaveProperty('code');
    }
  });
});
