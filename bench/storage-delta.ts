import { rmSync } from 'node:fs';
import type { BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { writeImage, type ImageVersion, type WrittenLayer } from './storage-files.ts';
import { inFolder, MB, type StorageSetting } from './storage-setting.ts';

const IMAGE_MB = 345;

/** What is new in an image, and how much of it may move, MB. */
const CHANGES: readonly { readonly what: string; readonly version: ImageVersion; readonly goal?: number }[] =
  [
    { what: 'code', version: { code: 2 }, goal: 0.1 },
    { what: 'dependencies', version: { dependencies: 2 } },
    { what: 'base', version: { base: 2 } },
  ];

interface Stored {
  /** Of the image, and of the tar as one file in chunks of one size. */
  readonly image: string;
  readonly tar: string;
  readonly tarMB: number;
  readonly layers: readonly WrittenLayer[];
}

interface Provider {
  readonly url: string;
  store(version: ImageVersion): Promise<Stored>;
}

async function openProvider(bytes: number, setting: StorageSetting): Promise<Provider> {
  const theirs = await setting.start();
  const { url = '' } = await theirs.run({ do: 'serve' });
  const archive = setting.path('image.tar');
  let versions = 0;
  return {
    url,
    async store(version) {
      const layers = await writeImage(archive, bytes, version);
      const image = await theirs.run({ do: 'image', archive, name: `version-${versions++}` });
      const tar = await theirs.run({ do: 'import', file: archive, as: 'v1' });
      rmSync(archive);
      return { image: image.cid ?? '', tar: tar.cid ?? '', tarMB: (tar.bytes ?? NaN) / MB, layers };
    },
  };
}

/** What a registry would move. */
const missingLayersMB = (before: Stored, now: Stored): number =>
  now.layers
    .filter(({ diffId }) => !before.layers.some((layer) => layer.diffId === diffId))
    .reduce((sum, { size }) => sum + size / MB, 0);

export async function* runDelta({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const size = options.quick ? 20 : IMAGE_MB;
  yield* inFolder(signal, async function* (setting) {
    const provider = await openProvider(size * MB, setting);
    const ours = await setting.start();
    const movedMB = async (cid: string): Promise<number> => {
      const { fetchedBytes = NaN } = await ours.run({ do: 'fetch', cid, url: provider.url });
      return fetchedBytes / MB;
    };
    const before = await provider.store({});
    // Fixed chunks in another file than the image's: neither helps the other.
    await movedMB(before.image);
    await movedMB(before.tar);
    for (const { what, version, goal } of CHANGES) {
      const now = await provider.store(version);
      const [moved, fixed] = [await movedMB(now.image), await movedMB(now.tar)];
      say(`${what}: ${rounded(moved)} MB of ${rounded(now.tarMB, 1)}`);
      yield figureOf({
        figure: `storage.delta.${what}`,
        unit: 'MB',
        values: [moved],
        goal,
        context: {
          imageMB: size,
          wholeTarMB: rounded(now.tarMB, 1),
          fixedChunksMB: rounded(fixed),
          missingLayersMB: rounded(missingLayersMB(before, now)),
          cid: now.image,
        },
      });
    }
  });
}
