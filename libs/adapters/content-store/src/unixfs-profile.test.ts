import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { exporter } from 'ipfs-unixfs-exporter';
import { importer } from 'ipfs-unixfs-importer';
import { collect, memory, nowhere, pieces, seeded } from './test-blocks.ts';
import { findEntry, putDirectory, readDirectory, type DirectoryEntry } from './unixfs-directory.ts';
import { importFile, readFile, type Stored } from './unixfs-file.ts';
import { unixfsV0, unixfsV1, type UnixfsProfile } from './unixfs-profile.ts';

const KiB = 1 << 10;
const MiB = 1 << 20;

/** The files of Kubo's directories: one byte each, names of a given length from a seeded stream. */
async function kuboEntries(
  profile: UnixfsProfile,
  count: number,
  length: number,
  lastLength = length,
): Promise<DirectoryEntry[]> {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz01234567890-_';
  const stream = await collect(seeded(MiB, `hamt-${profile.name}`));
  const { cid, dagSize } = await importFile(nowhere, pieces(Buffer.from('x'), 1), { profile });
  return Array.from({ length: count }, (_, i) => {
    const bytes = stream.subarray(i * length, i * length + (i === count - 1 ? lastLength : length));
    return { name: [...bytes].map((b) => alphabet[b % alphabet.length]).join(''), cid, dagSize };
  });
}

// The expected CIDs are Kubo's and js-ipfs-unixfs's own for IPIP-499 (test/cli/cid_profiles_test.go).
describe.each<{
  profile: UnixfsProfile;
  files: [what: string, size: number, seed: string, cid: string][];
  hello: string;
  emptyFile: string;
  emptyFolder: string;
  flat: { names: [count: number, length: number, last?: number]; cid: string };
  sharded: { names: [count: number, length: number, last?: number]; cid: string };
}>([
  {
    profile: unixfsV0,
    files: [
      ['174 chunks', 44_544 * KiB, 'v0-seed', 'QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2'],
      ['175 chunks', 44_800 * KiB, 'v0-seed', 'QmepeWtdmS1hHXx1oZXsPUv6bMrfRRKfZcoPPU4eEfjnbf'],
    ],
    hello: 'Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD',
    emptyFile: 'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH',
    emptyFolder: 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn',
    flat: { names: [4096, 30], cid: 'QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN' },
    sharded: { names: [4033, 31], cid: 'QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP' },
  },
  {
    profile: unixfsV1,
    files: [
      ['one chunk', MiB, 'chunk-v1-seed', 'bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta'],
      [
        'one chunk and a byte',
        MiB + 1,
        'chunk-v1-seed',
        'bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64',
      ],
      [
        '1025 chunks',
        1025 * MiB,
        'v1-2025-seed',
        'bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue',
      ],
    ],
    hello: 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e',
    emptyFile: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
    emptyFolder: 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354',
    flat: {
      names: [4766, 11, 21],
      cid: 'bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4',
    },
    sharded: {
      names: [4766, 11, 22],
      cid: 'bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu',
    },
  },
])('the CIDs of the profile $profile.name are reproduced', (expected) => {
  const { profile } = expected;

  test.each(expected.files)('a file of %s', async (_what, size, seed, cid) => {
    const stored = await importFile(nowhere, seeded(size, seed), { profile });
    expect(stored.cid.toString()).toBe(cid);
    expect(stored.size).toBe(size);
  });

  test('"hello world", the empty file and the empty directory', async () => {
    const hello = await importFile(nowhere, pieces(Buffer.from('hello world'), 4), { profile });
    expect(hello.cid.toString()).toBe(expected.hello);
    const empty = await importFile(nowhere, pieces(new Uint8Array(), 1), { profile });
    expect(empty.cid.toString()).toBe(expected.emptyFile);
    expect((await putDirectory(nowhere, [], profile)).cid.toString()).toBe(expected.emptyFolder);
  });

  test('a directory at the threshold is one block, one byte over it is sharded', async () => {
    const flat = await kuboEntries(profile, ...expected.flat.names);
    expect((await putDirectory(nowhere, flat, profile)).cid.toString()).toBe(expected.flat.cid);

    const store = memory();
    const entries = await kuboEntries(profile, ...expected.sharded.names);
    const sharded = await putDirectory(store, entries, profile);
    expect(sharded.cid.toString()).toBe(expected.sharded.cid);
    const read = await readDirectory(store, sharded.cid);
    const byName = (a: DirectoryEntry, b: DirectoryEntry): number => (a.name < b.name ? -1 : 1);
    expect(read.sort(byName)).toEqual([...entries].sort(byName));
    for (const { name, cid } of entries.slice(0, 50))
      expect((await findEntry(store, sharded.cid, name))?.cid).toEqual(cid);
    expect(await findEntry(store, sharded.cid, 'not there')).toBeUndefined();
  });
});

describe('js-ipfs-unixfs makes the same CIDs, and reads what is written here', () => {
  const oracle = () => {
    const store = memory();
    return {
      store,
      put: async (cid: CID, bytes: Uint8Array) => {
        await store.putBytes(cid, bytes);
        return cid;
      },
      get: async function* (cid: CID) {
        yield await store.get(cid);
      },
    };
  };

  test.each([
    ['unixfs-v0-2015', unixfsV0],
    ['unixfs-v1-2025', unixfsV1],
  ] as const)('files and directories of %s', async (name, profile) => {
    const file = fc.record({
      name: fc.stringMatching(/^[a-zA-Z0-9äß€ ._-]{1,12}$/).filter((n) => !/^\.{1,2}$/.test(n)),
      size: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 200_000, max: 1_200_000 })),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(file, { minLength: 1, maxLength: 5, selector: (f) => f.name }),
        async (files) => {
          const store = memory();
          const contents = await Promise.all(
            files.map(async (f) => ({ path: `d/${f.name}`, content: await collect(seeded(f.size, f.name)) })),
          );
          const entries: DirectoryEntry[] = [];
          for (const [i, { content }] of contents.entries()) {
            const stored = await importFile(store, pieces(content, 70_000), { profile });
            entries.push({ name: files[i]?.name ?? '', cid: stored.cid, dagSize: stored.dagSize });
          }
          const ours = await putDirectory(store, entries, profile);
          let theirs: CID | undefined;
          for await (const entry of importer(contents, oracle(), { profile: name }))
            theirs = entry.path === 'd' ? entry.cid : theirs;
          expect(ours.cid.toString()).toBe(theirs?.toString());
          const source = {
            get: async function* (cid: CID) {
              yield await store.get(cid);
            },
          };
          for (const { path, content } of contents) {
            const found = await exporter(`${ours.cid.toString()}${path.slice(1)}`, source);
            if (!('content' in found)) throw new TypeError(`${path} is no file there`);
            expect((await collect(found.content() as AsyncIterable<Uint8Array>)).equals(content)).toBe(true);
          }
        },
      ),
      { numRuns: 8 },
    );
  });

  test('a directory that they have sharded is read here, entry by entry and as a whole', async () => {
    const there = oracle();
    const contents = Array.from({ length: 700 }, (_, i) => ({
      path: `d/file-${i}`,
      content: Buffer.from(String(i)),
    }));
    let root: CID | undefined;
    const options = { profile: 'unixfs-v1-2025', shardSplitThresholdBytes: 1000 } as const;
    for await (const entry of importer(contents, there, options))
      root = entry.path === 'd' ? entry.cid : root;
    const cid = CID.parse(String(root));
    expect(await readDirectory(there.store, cid)).toHaveLength(700);
    const entry = await findEntry(there.store, cid, 'file-321');
    const content = await collect(readFile(there.store, (entry as Stored & DirectoryEntry).cid));
    expect(content.toString()).toBe('321');
  });
});
