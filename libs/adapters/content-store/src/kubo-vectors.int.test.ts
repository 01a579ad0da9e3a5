// CIDs that Kubo has given (0.43, by `ipfs add` with its profiles) for inputs that are made here; and Kubo itself, where
// there is one.
import { chmodSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { findKubo, kuboTest } from '@antirio/testing';
import { importCar } from './car.ts';
import { verifyDag } from './dag.ts';
import { decodeCid } from './block.ts';
import { kuboInputs, storeTree, vectorName, writeTree } from './kubo-inputs.ts';
import { collect, memory, nowhere, pieces } from './test-blocks.ts';
import { TestKubo } from './test-kubo.ts';
import { readDirectory } from './unixfs-directory.ts';
import { readFile } from './unixfs-file.ts';

const FIXTURE = join(import.meta.dirname, 'kubo-vectors.fixture.json');
const program = findKubo() ?? '';
const writes = process.env['KUBO_VECTORS'] === 'write';
const vectors = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Readonly<Record<string, string>>;

let running: TestKubo | undefined;
afterAll(() => running?.close());
/** Begun by the first test that needs it. */
const started = (): TestKubo => (running ??= new TestKubo(program));

test('each input has its CID, and each CID its input', () => {
  expect(kuboInputs.map(vectorName).sort()).toEqual(Object.keys(vectors).sort());
});

test.each(kuboInputs.map((input) => [vectorName(input), input] as const))('%s', async (name, input) => {
  const { cid } = await storeTree(nowhere, await input.tree(), input);
  expect(cid.toString()).toBe(vectors[name]);
});

describe('Kubo', () => {
  kuboTest('gives the CIDs that are written down (KUBO_VECTORS=write writes them anew)', async () => {
    const kubo = started();
    const given: Record<string, string> = {};
    let profile = '';
    for (const [i, input] of kuboInputs.entries()) {
      if (input.profile.name !== profile) kubo.run('config', 'profile', 'apply', input.profile.name);
      profile = input.profile.name;
      const path = join(kubo.folder, `input-${i}`);
      writeTree(path, await input.tree());
      const chunker = input.chunkBytes === undefined ? [] : [`--chunker=size-${input.chunkBytes}`];
      given[vectorName(input)] = kubo.run('add', '-Q', '-r', '--hidden', '--only-hash', ...chunker, path);
    }
    if (writes) writeFileSync(FIXTURE, `${JSON.stringify(given, null, 2)}\n`);
    else expect(given).toEqual(vectors);
  });

  kuboTest('what it writes is read here: symbolic links, modes and times, sharded directories', async () => {
    const kubo = started();
    const root = join(kubo.folder, 'tree');
    mkdirSync(join(root, 'sub'), { recursive: true });
    const content = Buffer.alloc(700_000, 'content ');
    writeFileSync(join(root, 'sub', 'file'), content);
    chmodSync(join(root, 'sub', 'file'), 0o751);
    utimesSync(join(root, 'sub', 'file'), 1_234_567_890, 1_234_567_890);
    symlinkSync('sub/file', join(root, 'link'));
    for (const profile of ['unixfs-v0-2015', 'unixfs-v1-2025']) {
      kubo.run('config', 'profile', 'apply', profile);
      for (const kept of [[], ['--raw-leaves=false', '--preserve-mode', '--preserve-mtime']]) {
        const cid = decodeCid(kubo.run('add', '-Q', '-r', ...kept, root));
        const store = memory();
        await importCar(store, pieces(kubo.bytes('dag', 'export', cid.toString()), 65_536), cid);
        await verifyDag(store, cid);
        const entries = await readDirectory(store, cid);
        expect(entries.map(({ name }) => name)).toEqual(['link', 'sub']);
        const [link, sub] = entries;
        if (link === undefined || sub === undefined) throw new TypeError('two entries');
        const [below] = await readDirectory(store, sub.cid);
        expect((await collect(readFile(store, below?.cid ?? sub.cid))).equals(content)).toBe(true);
        // A symbolic link is no file: nobody is led out of the directory by it.
        await expect(collect(readFile(store, link.cid))).rejects.toMatchObject({ code: 'invalidInput' });
      }
    }
  });
});
