// What the conformance suite of the IPFS project asks of a trustless gateway, by the names of its groups, with content of our own.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { decode } from '@ipld/dag-pb';
import { makeBlock, RAW, type BlockSource, type CID } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { bytesOf, carAt, content, TestGateway } from './test-gateway.ts';
import { putDirectory } from './unixfs-directory.ts';
import { importFile, type Stored } from './unixfs-file.ts';
import { unixfsV1 } from './unixfs-profile.ts';

const CAR = 'application/vnd.ipld.car';
const CHUNK = 256;
const LONG = content(4 * CHUNK + 2);
const SHORT = Buffer.from('a file of one block');

let gateway: TestGateway;
let theirs: BlockStore;
let peer: HttpPeer;
/** A directory with `sub` in it, a directory with files; and one with so many files that it is sharded. */
let root: CID;
let sub: CID;
let long: CID;
let short: CID;
let sharded: CID;

const save = (bytes: Uint8Array): Promise<Stored> =>
  importFile(theirs, bytesOf(bytes), { chunker: fixedChunker(CHUNK) });

beforeAll(async () => {
  gateway = await TestGateway.open();
  ({ theirs, peer } = gateway);
  const [one, many] = [await save(SHORT), await save(LONG)];
  const entries = [
    { name: 'copy.txt', ...one },
    { name: 'long.txt', ...many },
    { name: 'short.txt', ...one },
  ];
  const below = await putDirectory(theirs, entries);
  const top = await putDirectory(theirs, [{ name: 'sub', ...below }]);
  const names = Array.from({ length: 1000 }, (_, i) => ({ name: `${i}.txt`, ...many }));
  const shards = await putDirectory(theirs, names, { ...unixfsV1, maxDirectoryBytes: 1000 });
  [root, sub, long, short, sharded] = [top.cid, below.cid, many.cid, one.cid, shards.cid];
});
afterAll(() => gateway.close());

const text = (cids: readonly CID[]): string[] => cids.map(String);
/** The leaves of the long file, from one to another. */
const leaves = (from = 0, to = 5): CID[] =>
  [0, 1, 2, 3, 4].slice(from, to).map((i) => makeBlock(RAW, LONG.subarray(i * CHUNK, (i + 1) * CHUNK)).cid);

/** The shards on the way to a name, found by looking everywhere. */
async function shardsTo(name: string, from: CID): Promise<CID[] | undefined> {
  const { Links: links } = decode(await theirs.get(from));
  for (const link of links) {
    if (link.Name?.slice(2) === name) return [from];
    const below = link.Name?.length === 2 ? await shardsTo(name, link.Hash) : undefined;
    if (below !== undefined) return [from, ...below];
  }
  return undefined;
}

async function allShards(from: CID): Promise<CID[]> {
  const found = [from];
  for (const link of decode(await theirs.get(from)).Links)
    if (link.Name?.length === 2) found.push(...(await allShards(link.Hash)));
  return found;
}

describe('raw blocks', () => {
  const raw = { accept: 'application/vnd.ipld.raw' };

  test('a directory is given as its block, by format and by Accept', async () => {
    for (const [query, headers] of [
      ['?format=raw', {}],
      ['', raw],
    ] as const) {
      const answer = await peer.call({ path: `/ipfs/${sub.toString()}${query}`, headers });
      expect(answer.status).toBe(200);
      expect(Buffer.from(answer.body).equals(await theirs.get(sub))).toBe(true);
    }
  });

  test('type, length, disposition, sniffing and caching of a block', async () => {
    const { headers, body } = await peer.call({ path: `/ipfs/${short.toString()}`, headers: raw });
    expect(Buffer.from(body).equals(SHORT)).toBe(true);
    expect(headers).toMatchObject({
      'content-type': 'application/vnd.ipld.raw',
      'content-length': String(SHORT.length),
      'content-disposition': `attachment; filename="${short.toString()}.bin"`,
      'x-content-type-options': 'nosniff',
      etag: `"${short.toString()}.raw"`,
      'x-ipfs-path': `/ipfs/${short.toString()}`,
      'x-ipfs-roots': short.toString(),
      'cache-control': 'public, max-age=29030400, immutable',
    });
  });

  test('a file name of its own', async () => {
    const answer = await peer.call({
      path: `/ipfs/${short.toString()}?filename=foobar.bin`,
      headers: raw,
    });
    expect(answer.headers).toMatchObject({
      'content-disposition': 'attachment; filename="foobar.bin"',
      'content-location': `/ipfs/${short.toString()}?format=raw&filename=foobar.bin`,
    });
  });
});

type Expected = () => CID[] | Promise<CID[]>;
const shardsOnWay = async (name: string): Promise<CID[]> => (await shardsTo(name, sharded)) ?? [];

describe.each([
  ['format=car', { accept: '*/*' }],
  ['Accept', { accept: CAR }],
])('CARs by %s', (by, headers) => {
  test.each<[what: string, path: () => string, query: string, blocks: Expected]>([
    ['path: through a directory', () => `${String(root)}/sub/short.txt`, '', () => [root, sub, short]],
    [
      'path: through a sharded directory',
      () => `${String(sharded)}/685.txt`,
      '',
      async () => [...(await shardsOnWay('685.txt')), long, ...leaves()],
    ],
    ['block: of a directory', () => `${String(root)}/sub`, 'dag-scope=block', () => [root, sub]],
    ['block: of a file', () => `${String(root)}/sub/long.txt`, 'dag-scope=block', () => [root, sub, long]],
    [
      'block: below a sharded directory',
      () => `${String(sharded)}/1.txt`,
      'dag-scope=block',
      async () => [...(await shardsOnWay('1.txt')), long],
    ],
    ['entity: of a directory', () => String(root), 'dag-scope=entity', () => [root]],
    ['entity: of a sharded directory', () => String(sharded), 'dag-scope=entity', () => allShards(sharded)],
    [
      'entity: of a file of one block',
      () => `${String(root)}/sub/short.txt`,
      'dag-scope=entity',
      () => [root, sub, short],
    ],
    [
      'entity: of a file in chunks',
      () => `${String(root)}/sub/long.txt`,
      'dag-scope=entity',
      () => [root, sub, long, ...leaves()],
    ],
    [
      'all: of a directory with files, each block once',
      () => `${String(root)}/sub`,
      'dag-scope=all',
      () => [root, sub, short, long, ...leaves()],
    ],
    [
      'all: of a file in chunks',
      () => `${String(root)}/sub/long.txt`,
      'dag-scope=all',
      () => [root, sub, long, ...leaves()],
    ],
    [
      'bytes: all of them, below a path',
      () => `${String(root)}/sub/long.txt`,
      'dag-scope=entity&entity-bytes=0:*',
      () => [root, sub, long, ...leaves()],
    ],
    [
      'bytes: of a directory they mean nothing',
      () => String(sharded),
      'dag-scope=entity&entity-bytes=0:*',
      () => allShards(sharded),
    ],
    [
      'bytes: of a directory they still mean the entity, not all',
      () => String(root),
      'dag-scope=all&entity-bytes=0:*',
      () => [root],
    ],
    ['bytes: 512:*', () => String(long), 'entity-bytes=512:*', () => [long, ...leaves(2)]],
    ['bytes: 512:1023', () => String(long), 'entity-bytes=512:1023', () => [long, ...leaves(2, 4)]],
    ['bytes: 512:-256', () => String(long), 'entity-bytes=512:-256', () => [long, ...leaves(2, 4)]],
    ['bytes: -5:*', () => String(long), 'entity-bytes=-5:*', () => [long, ...leaves(3)]],
    ['bytes: -9999:*', () => String(long), 'entity-bytes=-9999:*', () => [long, ...leaves()]],
    ['bytes: -9999:-3', () => String(long), 'entity-bytes=-9999:-3', () => [long, ...leaves(0, 4)]],
    ['bytes: 0:0', () => String(long), 'dag-scope=block&entity-bytes=0:0', () => [long, ...leaves(0, 1)]],
    ['bytes: none at all', () => String(long), 'entity-bytes=600:-600', () => [long]],
  ])('%s', async (_what, path, query, blocks) => {
    const format = by === 'Accept' ? '' : 'format=car&';
    const car = await carAt(peer, `/ipfs/${path()}?${format}${query}`, headers);
    expect(car.cids).toEqual(text(await blocks()));
    expect(car.headers).toMatchObject({
      'content-type': `${CAR}; version=1; order=dfs; dups=n`,
      'content-disposition': expect.stringMatching(/^attachment; filename="\w+\.car"$/) as unknown,
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'none',
    });
    expect(car.headers['content-length']).toBeUndefined();
  });

  test('a name that there is not is 404', async () => {
    const format = by === 'Accept' ? '' : '?format=car';
    const answer = await peer.call({ path: `/ipfs/${root.toString()}/sub/none${format}`, headers });
    expect([answer.status, answer.json()]).toMatchObject([404, { message: /none/ }]);
  });
});

describe('entity-bytes where a block is missing', () => {
  /** A gateway that has all but one leaf. */
  async function without(leaf: number): Promise<HttpPeer> {
    const [gone] = leaves(leaf, leaf + 1);
    const has = (cid: CID): boolean => !cid.equals(gone) && theirs.has(cid);
    const source: BlockSource = {
      has,
      get: (cid) =>
        has(cid) ? theirs.get(cid) : Promise.reject(new AntirioError('notFound', 'simulated', {})),
    };
    return (await gateway.serve(source)).peer;
  }

  test.each([
    ['behind the range', 4, '0:1000', 0, 4],
    ['before the range', 1, '600:*', 2, 5],
  ])('%s', async (_where, missing, range, from, to) => {
    const some = await without(missing);
    const path = `/ipfs/${long.toString()}?format=car&dag-scope=entity&entity-bytes=${range}`;
    expect((await carAt(some, path)).cids).toEqual(text([long, ...leaves(from, to)]));
  });
});

describe('order and duplicates', () => {
  const once = (): CID[] => [sub, short, long, ...leaves()];
  const twice = (): CID[] => [sub, short, long, ...leaves(), short];

  test.each<[what: string, query: string, accept: string, dups: string, blocks: () => CID[]]>([
    ['order=dfs and dups=y', '', `${CAR}; version=1; order=dfs; dups=y`, 'y', twice],
    ['order=dfs and dups=n', '', `${CAR}; version=1; order=dfs; dups=n`, 'n', once],
    ['order=unk: some order, which is told', '', `${CAR}; version=1; order=unk`, 'n', once],
    ['what Accept says of CARs, with format=car', '?format=car', `${CAR}; version=1; dups=y`, 'y', twice],
  ])('%s', async (_what, query, accept, dups, blocks) => {
    const car = await carAt(peer, `/ipfs/${sub.toString()}${query}`, { accept });
    expect(car.cids).toEqual(text(blocks()));
    expect(car.headers['content-type']).toBe(`${CAR}; version=1; order=dfs; dups=${dups}`);
  });

  test('content in its own CID is no block, whatever dups says', async () => {
    const car = await carAt(peer, '/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa', {
      accept: `${CAR}; dups=y`,
    });
    expect([car.cids, car.headers['content-type']]).toEqual([[], `${CAR}; version=1; order=dfs; dups=y`]);
  });
});

test('the path that was asked for is told as it was', async () => {
  for (const path of [`/ipfs/${root.toString()}/sub/`, `/ipfs/${root.toString()}/sub/short.txt`])
    expect((await peer.call({ path: `${path}?format=car` })).headers['x-ipfs-path']).toBe(path);
});
