import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { systemRandom } from '@antirio/host';
import type { VolumeSnapshot } from '@antirio/service-contract';
import { packVolumes, unpackVolumes } from './archive.ts';
import { sealVolumes, unsealVolumes, wrapKey, writeDurably } from './sealed-file.ts';
import { sealStream } from './sealed-stream.ts';
import { digestTree } from './tree.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'volumes-'));
  mkdirSync(join(dir, 'state', 'below'), { recursive: true });
  writeFileSync(join(dir, 'state', 'a'), 'first');
  writeFileSync(join(dir, 'state', 'below', 'large'), systemRandom.bytes(300_000), { mode: 0o640 });
  writeFileSync(join(dir, 'state', 'empty'), '');
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const folder = (maxBytes = 1 << 20) => ({ name: 'state', dir: join(dir, 'state'), maxBytes });
const limits = { maxBytes: 1 << 20, maxEntries: 100 };
const keys = new Map([[3, systemRandom.bytes(32)]]);
const about = { contractId: '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01', direction: 'guard', seq: 1 } as const;

async function sealed(): Promise<{ path: string; snapshot: VolumeSnapshot; digest: string | undefined }> {
  const path = join(dir, 'sealed');
  const { contentKey, size, sha256, packed } = await sealVolumes([folder()], path, systemRandom);
  const wrapped = wrapKey(about, contentKey, keys, systemRandom);
  return {
    path,
    snapshot: { ...about, takenAt: 1, cid: 'bafy', size, sha256, keys: wrapped },
    digest: packed.digests['state'],
  };
}

function target(maxBytes = 1 << 20): Map<string, { dir: string; maxBytes: number }> {
  const there = join(dir, 'there');
  rmSync(there, { recursive: true, force: true });
  mkdirSync(there);
  return new Map([['state', { dir: there, maxBytes }]]);
}

test('what is sealed comes out as it was, and is nowhere in the clear', async () => {
  const { path, snapshot, digest } = await sealed();
  expect(readFileSync(path).includes('first')).toBe(false);
  await unsealVolumes(path, snapshot, keys, target());
  expect(await digestTree(join(dir, 'there'), limits)).toBe(digest);
  expect(readFileSync(join(dir, 'there', 'a'), 'utf8')).toBe('first');
});

test.each([
  ['another key', { keys: new Map([[3, systemRandom.bytes(32)]]) }],
  ['no key of that version', { keys: new Map([[4, systemRandom.bytes(32)]]) }],
  ['a snapshot of another number', { seq: 2 }],
])(
  '%s opens nothing',
  async (_what, { keys: other = keys, seq = 1 }: { keys?: typeof keys; seq?: number }) => {
    const { path, snapshot } = await sealed();
    await expect(unsealVolumes(path, { ...snapshot, seq }, other, target())).rejects.toMatchObject({
      code: 'corrupt',
    });
    expect(existsSync(join(dir, 'there', 'a'))).toBe(false);
  },
);

test('a file that is cut off at a piece, changed, or longer is refused', async () => {
  const { path, snapshot } = await sealed();
  const whole = readFileSync(path);
  const piece = (64 << 10) + 16;
  truncateSync(path, 16 + 2 * piece);
  await expect(unsealVolumes(path, snapshot, keys, target())).rejects.toMatchObject({ code: 'corrupt' });
  whole.writeUInt8(whole.readUInt8(5000) ^ 1, 5000);
  writeFileSync(path, whole);
  await expect(unsealVolumes(path, snapshot, keys, target())).rejects.toMatchObject({ code: 'corrupt' });
  whole.writeUInt8(whole.readUInt8(5000) ^ 1, 5000);
  writeFileSync(path, whole);
  appendFileSync(path, 'more');
  await expect(unsealVolumes(path, snapshot, keys, target())).rejects.toMatchObject({ code: 'corrupt' });
  await expect(unsealVolumes(path, snapshot, keys, target(1000))).rejects.toMatchObject({ code: 'tooLarge' });
});

test.each([
  ['../x', 'file'],
  ['state/../../x', 'file'],
  ['other/x', 'file'],
  ['state/link', 'symlink'],
] as const)('an entry %s (%s) is not unpacked', async (name, type) => {
  const tar = pack();
  if (type === 'file') tar.entry({ name }, 'x');
  else tar.entry({ name, type, linkname: '/etc/passwd' });
  tar.finalize();
  const source = tar as unknown as AsyncIterable<Uint8Array>;
  await expect(unpackVolumes(source, target())).rejects.toMatchObject({ code: 'corrupt' });
});

test('a link in a volume, and a volume that is too large, are refused by name', async () => {
  await expect(sealVolumes([folder(1000)], join(dir, 'sealed'), systemRandom)).rejects.toMatchObject({
    code: 'tooLarge',
  });
  symlinkSync('/etc/passwd', join(dir, 'state', 'link'));
  await expect(sealVolumes([folder()], join(dir, 'sealed'), systemRandom)).rejects.toThrow('link is neither');
  expect(existsSync(join(dir, 'sealed'))).toBe(false);
});

test('a snapshot that something changed under is none', async () => {
  const { tar, packed } = packVolumes([folder()]);
  const written = writeDurably(
    join(dir, 'torn'),
    sealStream(
      systemRandom.bytes(32),
      (async function* () {
        let first = true;
        for await (const bytes of tar) {
          if (first) appendFileSync(join(dir, 'state', 'a'), ' and more');
          first = false;
          yield bytes;
        }
      })(),
    ),
  );
  await expect(Promise.all([written, packed])).rejects.toMatchObject({ code: 'conflict' });
  await sealed();
});
