import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  buildImage,
  importFile,
  importImage,
  openBlockStore,
  putDirectory,
  readDirectory,
  readFile,
  unixfsV0,
  unixfsV1,
  wholeFile,
  type BlockStore,
  type CID,
} from '@antirio/content-store';
import { systemClock, systemRandom } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { findKubo, kuboTest, startKubo, type KuboDaemon } from '@antirio/testing';
import { dagOf } from './dag-of.ts';
import { kuboNetwork, type KuboNetworkOptions } from './kubo-network.ts';
import type { StorageNetwork, StorageRef } from './storage-network.ts';
import { makeFile, seededBytes } from './test-dags.ts';
import { TestPinningService } from './test-pinning-service.ts';

const program = findKubo();

let folder: string;
let store: BlockStore;
const kubos: KuboDaemon[] = [];
const networks: StorageNetwork[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-kubo-'));
  store = await openBlockStore({ folder: join(folder, 'store'), clock: systemClock });
});
afterEach(async () => {
  for (const network of networks.splice(0)) await network.close();
  for (const kubo of kubos.splice(0)) await kubo.stop();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function newKubo(config: Record<string, string> = {}): Promise<KuboDaemon> {
  const kubo = await startKubo(String(program), join(folder, `kubo-${kubos.length}`), { config });
  kubos.push(kubo);
  return kubo;
}

function networkOf(apiUrls: string[], more: Partial<KuboNetworkOptions> = {}): StorageNetwork {
  const network = kuboNetwork({
    apiUrls,
    folder: join(folder, `names-${networks.length}`),
    owner: 'edge-a',
    clock: systemClock,
    random: systemRandom,
    idleMs: 3000,
    ...more,
  });
  networks.push(network);
  return network;
}

async function content(size: number, seed: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of seededBytes(size, seed)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const stored = async (size = 3_000_000, seed = `${size}`) =>
  dagOf(store, await makeFile(store, size, seed, 200_000));
const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof AntirioError ? error.code : String(error)),
  );
const pinsOf = (kubo: KuboDaemon): string =>
  kubo.ipfs('pin', 'ls', '--type=recursive', '--names').split('\n').sort().join('\n');

/** Writes over a block of that size. */
function damage(kubo: KuboDaemon, size: number): void {
  const blocks = join(kubo.folder, 'blocks');
  const files = readdirSync(blocks, { recursive: true, encoding: 'utf8' }).map((name) => join(blocks, name));
  const leaf = files.find((file) => file.endsWith('.data') && statSync(file).size === size);
  writeFileSync(String(leaf), Buffer.alloc(size, 1));
}

describe('the reference implementation and ours', () => {
  kuboTest('make the same CIDs of files and directories by both profiles', async () => {
    const kubo = await newKubo();
    const given = join(folder, 'given');
    const sizes = { empty: 0, small: 11, chunk: 1 << 20, over: (1 << 20) + 1, large: 50_000_003 };
    for (const { name: profile, ...unixfs } of [unixfsV0, unixfsV1]) {
      mkdirSync(given, { recursive: true });
      const entries = [];
      for (const [name, size] of Object.entries(sizes)) {
        const file = join(given, name);
        writeFileSync(file, await content(size, name));
        const ours = await importFile(store, wholeFile(file), { profile: { name: profile, ...unixfs } });
        entries.push({ name, cid: ours.cid, dagSize: ours.dagSize });
      }
      const ours = await putDirectory(store, entries, { name: profile, ...unixfs });
      kubo.ipfs('config', 'profile', 'apply', profile);
      const added = kubo.ipfs('add', '--quieter', '--recursive', given).trim();
      expect([profile, added]).toEqual([profile, ours.cid.toString()]);
      rmSync(given, { recursive: true });
    }
    const file = join(folder, 'options');
    writeFileSync(file, await content(3_333_333, 'options'));
    const flags = ['--cid-version=1', '--raw-leaves', '--chunker=size-1048576', '--quieter'];
    const added = kubo.ipfs('add', ...flags, file).trim();
    expect(added).toBe((await importFile(store, wholeFile(file))).cid.toString());
  });

  kuboTest('an image cut along its tar is read by it as it is', async () => {
    const kubo = await newKubo();
    const archive = join(folder, 'image.tar');
    const files = [
      { path: 'app/main.mjs', content: await content(700_000, 'main') },
      { path: 'app/small', content: Buffer.from('small') },
    ];
    await buildImage(archive, { files, entrypoint: ['node', '/app/main.mjs'], repoTags: ['device:1'] });
    const { cid } = await importImage(store, archive);
    await networkOf([kubo.url]).put('image', await dagOf(store, cid));
    const expectSame = async (root: CID, path: string): Promise<void> => {
      for (const entry of await readDirectory(store, root)) {
        const place = `${path}/${entry.name}`;
        const isFolder = await readDirectory(store, entry.cid).then(
          () => true,
          () => false,
        );
        if (isFolder) {
          await expectSame(entry.cid, place);
          continue;
        }
        const out = join(folder, 'out');
        kubo.ipfs('get', '--output', out, `/ipfs/${place}`);
        const pieces: Uint8Array[] = [];
        for await (const piece of readFile(store, entry.cid)) pieces.push(piece);
        expect(readFileSync(out).equals(Buffer.concat(pieces))).toBe(true);
        rmSync(out);
      }
      const names = (await readDirectory(store, root)).map((entry) => entry.name).sort();
      const listed = kubo.ipfs('ls', '--size=false', `/ipfs/${path}`).trim().split('\n');
      expect(listed.map((line) => line.split(/\s+/)[1]?.replace(/\/$/, '')).sort()).toEqual(names);
    };
    await expectSame(cid, cid.toString());
  });
});

describe('pins', () => {
  kuboTest('have names that tell whose they are; a user’s own pin is left alone', async () => {
    const kubo = await newKubo();
    const network = networkOf([kubo.url]);
    const dag = await stored();
    await network.put('image/1', dag);
    expect(pinsOf(kubo)).toContain('recursive edge-a/image/1');
    const users = await stored(5000);
    await network.put('image/2', users);
    kubo.ipfs('pin', 'add', '--name=mine', users.root.toString());
    expect(await network.unpin('image/2')).toBe(true);
    expect(await network.unpin('image/1')).toBe(true);
    expect(pinsOf(kubo)).toContain(`${users.root.toString()} recursive mine`);
    expect(pinsOf(kubo)).not.toContain('edge-a');
  });

  kuboTest('survive a restart of this side: what was replaced or let go is no longer kept', async () => {
    const kubo = await newKubo();
    const names = join(folder, 'names');
    const dag = await stored();
    const first = networkOf([kubo.url], { folder: names });
    await first.put('a', dag);
    await first.put('b', dag);
    await networks.pop()?.close();
    const second = networkOf([kubo.url], { folder: names });
    expect(await second.unpin('a')).toBe(true);
    expect(pinsOf(kubo)).toContain('edge-a/a');
    await second.put('b', await stored(7000));
    expect(pinsOf(kubo)).not.toContain('edge-a/a');
  });
});

describe('several nodes', () => {
  kuboTest('hold it all; one that is away makes it stored only, and is made up for later', async () => {
    const one = await newKubo();
    const two = await newKubo();
    const network = networkOf([one.url, two.url]);
    const dag = await stored();
    const ref = await network.put('a', dag);
    expect(ref.providers).toEqual([`kubo:${one.url}`, `kubo:${two.url}`]);
    expect((await network.status(ref)).state).toBe('replicated');
    two.ipfs('pin', 'rm', String(/(\S+) recursive edge-a/.exec(pinsOf(two))?.[1]));
    expect(await network.status(ref)).toMatchObject({
      state: 'stored',
      providers: [`kubo:${one.url}`],
      detail: `kubo:${two.url} does not hold it`,
    });
    await network.put('a', dag);
    expect((await network.status(ref)).state).toBe('replicated');
    await two.stop();
    expect((await network.status(ref)).state).toBe('stored');
    expect(await code(network.put('b', await stored(9000)))).toBe('unavailable');
    const lenient = networkOf([one.url, two.url], { copies: 1 });
    const other: StorageRef = await lenient.put('c', await stored(9001));
    expect((await lenient.status(other)).state).toBe('replicated');
    const bytes = [];
    for await (const block of lenient.get({ ...other, providers: [`kubo:${two.url}`] }))
      bytes.push(block.bytes.length);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBe(other.bytes);
  });
});

kuboTest(
  'a DAG that is pinned itself, as it was done before, gets its directory; others’ pins stay',
  async () => {
    const kubo = await newKubo();
    const network = networkOf([kubo.url]);
    const [dag, own] = [await stored(), await stored(5000)];
    const ref = await network.put('image/1', dag);
    const users = await networkOf([kubo.url], { owner: 'user' }).put('mine', own);
    const holder = /^(\S+) .*edge-a\/image\/1/m.exec(pinsOf(kubo))?.[1] ?? '';
    kubo.ipfs('pin', 'add', '--name=edge-a/image/1', dag.root.toString());
    kubo.ipfs('pin', 'rm', holder);
    kubo.ipfs('pin', 'add', '--name=edge-a/image/9', users.cid.toString());
    expect((await network.status(ref)).state).toBe('absent');
    expect(await network.keepOnly((name) => name === 'image/1')).toBe(0);
    expect((await network.status(ref)).state).toBe('replicated');
    const left = pinsOf(kubo);
    expect(left).not.toContain(dag.root.toString());
    expect(left).not.toContain('image/9');
    expect(left).toContain('user/mine');
  },
);

kuboTest('a node that is named three ways is one copy', async () => {
  const { url } = await newKubo();
  const names = [url, url.replace('127.0.0.1', 'localhost'), `${url}/api/v0`];
  const network = networkOf(names);
  const ref = await network.put('x', await stored());
  expect(await network.status(ref)).toMatchObject({ state: 'stored', providers: [`kubo:${url}`] });
  expect((await networkOf(names, { copies: 1 }).status(ref)).state).toBe('replicated');
});

kuboTest('a damaged block that two DAGs share is sent anew, and all pins are there after it', async () => {
  const kubo = await newKubo();
  const network = networkOf([kubo.url], { paths: 64 });
  const shared = { ...(await importFile(store, seededBytes(1000, 'shared'))), name: 'shared' };
  const refs = [];
  for (const name of ['a', 'b']) {
    const own = { ...(await importFile(store, seededBytes(500, name))), name };
    const { cid } = await putDirectory(store, [shared, own]);
    refs.push(await network.put(name, await dagOf(store, cid)));
  }
  const before = pinsOf(kubo);
  damage(kubo, 1000);
  for (const ref of refs) expect((await network.status(ref)).state).toBe('absent');
  const dag = await dagOf(store, refs[0]?.cid ?? shared.cid);
  kubo.ipfs('pin', 'add', '--name=mine', shared.cid.toString());
  expect(await code(network.put('a', dag))).toBe('conflict');
  kubo.ipfs('pin', 'rm', shared.cid.toString());
  expect(pinsOf(kubo)).toBe(before);
  await network.put('a', dag);
  for (const ref of refs) expect((await network.status(ref)).state).toBe('replicated');
  expect(pinsOf(kubo)).toBe(before);
});

kuboTest(
  'a pinning service is asked to hold what the node holds, once, and again where it failed',
  async () => {
    const kubo = await newKubo();
    const service = await new TestPinningService().open();
    try {
      const tokenFile = join(folder, 'token');
      writeFileSync(tokenFile, service.token);
      const network = networkOf([kubo.url], { pinning: { endpoint: service.url, tokenFile } });
      const dag = await stored();
      const ref = await network.put('image/1', dag);
      await network.put('image/1', dag);
      expect(ref.providers).toEqual([`kubo:${kubo.url}`, `pinning:${new URL(service.url).host}`]);
      expect(service.pins.map(({ pin }) => [pin.cid, pin.name])).toEqual([
        [dag.root.toString(), 'edge-a/image/1'],
      ]);
      expect(await network.status(ref)).toMatchObject({
        state: 'stored',
        detail: expect.stringContaining('queued') as unknown,
      });
      service.settle('failed');
      expect((await network.status(ref)).detail).toMatch(/failed/);
      await network.put('image/1', dag);
      expect(service.pins.map(({ status }) => status)).toEqual(['queued']);
      service.settle('pinned');
      expect(await network.status(ref)).toMatchObject({ state: 'replicated', providers: ref.providers });
      expect(await network.health()).toMatchObject({ ok: true });
      service.instead = { status: 500, body: {} };
      expect((await network.status(ref)).state).toBe('stored');
      expect(await network.health()).toMatchObject({ ok: false });
      expect(await code(network.unpin('image/1'))).toBe('unavailable');
      service.instead = undefined;
      const pin = { cid: dag.root.toString(), name: 'edge-b/image/1' };
      const others = { requestid: 'b', status: 'pinned' as const, created: '2020-01-01T00:00:00Z', pin };
      service.pins.push({ ...others, delegates: [], info: {} });
      const former = networkOf([], { pinning: { endpoint: service.url, tokenFile } });
      expect(await network.keepOnly((name) => name === 'image/1')).toBe(0);
      expect(await former.keepOnly(() => false, network)).toBe(0);
      expect(service.pins).toHaveLength(2);
      expect(await former.keepOnly(() => false)).toBe(0);
      expect(service.pins.map((each) => each.pin.name)).toEqual(['edge-b/image/1']);
      expect(await network.unpin('image/1')).toBe(true);
      expect(pinsOf(kubo)).not.toContain('edge-a');
    } finally {
      await service.close();
    }
  },
);

kuboTest('a node that asks for credentials gets those of the file, and refuses others', async () => {
  const secrets = JSON.stringify({
    edge: { AuthSecret: 'bearer:right-token', AllowedPaths: ['/api/v0'] },
    other: { AuthSecret: 'basic:user:word', AllowedPaths: ['/api/v0'] },
  });
  const kubo = await newKubo({ 'API.Authorizations': secrets });
  const authFile = join(folder, 'secret');
  writeFileSync(authFile, 'bearer:wrong\n', { mode: 0o600 });
  const network = networkOf([kubo.url], { authFile });
  const dag = await stored(4000);
  expect(await code(network.put('a', dag))).toBe('forbidden');
  expect((await network.health()).ok).toBe(false);
  for (const secret of ['bearer:right-token\n', 'basic:user:word']) {
    writeFileSync(authFile, secret);
    const ref = await network.put('a', dag);
    expect((await network.status(ref)).state).toBe('replicated');
  }
  writeFileSync(authFile, 'whatever');
  expect(await code(network.has(dag.root))).toBe('badConfig');
  expect(await code(networkOf([kubo.url]).has(dag.root))).toBe('forbidden');
});

kuboTest('a node whose disk has changed blocks holds it no more, until it is put again', async () => {
  const kubo = await newKubo();
  const network = networkOf([kubo.url], { paths: 64 });
  const dag = await stored(600_000);
  const ref = await network.put('a', dag);
  damage(kubo, 200_000);
  expect(await network.status(ref)).toMatchObject({ state: 'absent', providers: [] });
  await network.put('a', dag);
  expect((await network.status(ref)).state).toBe('replicated');
});

test.each([
  ['no address', []],
  ['an address that is no URL', ['127.0.0.1:5001']],
  ['another protocol', ['ftp://127.0.0.1']],
  ['a URL with a password', ['http://a:b@127.0.0.1:5001']],
  ['a URL with a query', ['http://127.0.0.1:5001/?x=1']],
])('%s is refused before anything is asked', (_what, apiUrls) => {
  expect(() => networkOf(apiUrls)).toThrow(AntirioError);
});
