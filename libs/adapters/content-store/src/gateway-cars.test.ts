// Trustless Gateway and Path Gateway specifications, by the names of their sections: what a CAR has.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { decode, encode, prepare } from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { DAG_PB, makeBlock, RAW } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { bytesOf, carAt, noisyFile, TestGateway } from './test-gateway.ts';
import { encodeFileData } from './unixfs-data.ts';
import { putDirectory } from './unixfs-directory.ts';
import { importFile } from './unixfs-file.ts';

let gateway: TestGateway;
let theirs: BlockStore;
let peer: HttpPeer;
beforeEach(async () => {
  gateway = await TestGateway.open();
  ({ theirs, peer } = gateway);
});
afterEach(() => gateway.close());

type Headers = Readonly<Record<string, string>>;

describe('path resolution', () => {
  test('a CAR has the blocks on the way, then those of what the path leads to; the header tells the roots', async () => {
    const file = await noisyFile(theirs, 2500);
    const inner = await putDirectory(theirs, [{ name: 'größe 1.txt', ...file }]);
    const root = await putDirectory(theirs, [{ name: 'inner', ...inner }]);
    const path = `/ipfs/${root.cid.toString()}/inner/${encodeURIComponent('größe 1.txt')}`;
    const whole = await carAt(peer, `${path}?format=car`);
    expect(whole.cids.slice(0, 3)).toEqual([root, inner, file].map(({ cid }) => cid.toString()));
    expect(whole.cids).toHaveLength(3 + 3);
    expect(whole.headers).toMatchObject({
      'x-ipfs-path': path,
      'x-ipfs-roots': [root, inner, file].map(({ cid }) => cid.toString()).join(','),
    });
    expect((await carAt(peer, `${path}?format=car&dag-scope=block`)).cids).toHaveLength(3);
    for (const wrong of ['/inner/none', '/inner/größe 1.txt/below'])
      expect(
        (await peer.call({ path: `/ipfs/${root.cid.toString()}${encodeURI(wrong)}?format=car` })).status,
      ).toBe(404);
  });

  test('through a sharded directory only the shards on the way are sent, and its entity is all of its shards', async () => {
    const x = await importFile(theirs, bytesOf(Buffer.from('x')));
    const names = Array.from({ length: 6000 }, (_, i) => `a-rather-long-file-name-${i}`);
    const root = await putDirectory(
      theirs,
      names.map((name) => ({ name, ...x })),
    );
    const path = `/ipfs/${root.cid.toString()}`;
    const one = await carAt(peer, `${path}/${names[4321]}?format=car`);
    expect(one.cids[0]).toBe(root.cid.toString());
    expect(one.cids.at(-1)).toBe(x.cid.toString());
    expect(one.cids.length).toBeLessThan(6);
    const entity = await carAt(peer, `${path}?format=car&dag-scope=entity`);
    expect(entity.cids).not.toContain(x.cid.toString());
    expect(entity.cids.length).toBeGreaterThan(200);
    expect((await carAt(peer, `${path}?format=car&dag-scope=block`)).cids).toEqual([root.cid.toString()]);
  });

  test('a node that is no UnixFS is gone through by the names of its links, and has no entity but itself', async () => {
    const leaf = makeBlock(RAW, Buffer.from('leaf'));
    const root = makeBlock(DAG_PB, encode(prepare({ Links: [{ Name: 'a', Hash: leaf.cid, Tsize: 4 }] })));
    for (const block of [leaf, root]) await theirs.put(block);
    const path = `/ipfs/${root.cid.toString()}`;
    expect((await carAt(peer, `${path}/a?format=car`)).cids).toEqual([
      root.cid.toString(),
      leaf.cid.toString(),
    ]);
    expect((await carAt(peer, `${path}?format=car&dag-scope=entity`)).cids).toEqual([root.cid.toString()]);
  });
});

describe('entity-bytes', () => {
  test.each<[query: string, from: number, to: number]>([
    ['0:*', 0, 9999],
    ['0:0', 0, 0],
    ['2500:3499', 2500, 3499],
    ['-1000:*', 9000, 9999],
    ['-1500:-1001', 8500, 8999],
    ['499:-1000', 499, 9000],
    ['9999:20000', 9999, 9999],
    ['-20000:5', 0, 5],
  ])('%s has what proves these bytes, and no more', async (query, from, to) => {
    const file = await noisyFile(theirs, 10_000);
    const car = await carAt(peer, `/ipfs/${file.cid.toString()}?format=car&entity-bytes=${query}`);
    const leaves = car.cids.filter((cid) => cid.startsWith('bafkrei'));
    expect(leaves).toHaveLength(Math.floor(to / 1000) - Math.floor(from / 1000) + 1);
    // What was asked for can be read from the answer alone.
    for (const leaf of leaves) await car.blocks.get(CID.parse(leaf));
    expect(car.cids[0]).toBe(file.cid.toString());
  });

  test('a range of nothing is the root alone; of a directory it means nothing; the tag tells them apart', async () => {
    const file = await noisyFile(theirs, 10_000);
    const empty = await importFile(theirs, bytesOf(new Uint8Array()));
    const folder = await putDirectory(theirs, [{ name: 'f', ...file }]);
    expect(
      (await carAt(peer, `/ipfs/${file.cid.toString()}?format=car&entity-bytes=6000:-5000`)).cids,
    ).toHaveLength(1);
    expect(
      (await carAt(peer, `/ipfs/${empty.cid.toString()}?format=car&entity-bytes=0:*`)).cids,
    ).toHaveLength(1);
    expect(
      (await carAt(peer, `/ipfs/${folder.cid.toString()}?format=car&entity-bytes=5:6`)).cids,
    ).toHaveLength(1);
    const tags = await Promise.all(
      [
        '',
        '&dag-scope=entity',
        '&entity-bytes=0:5',
        '&entity-bytes=0:*',
        '&car-dups=y',
        '&dag-scope=block',
      ].map(
        async (query) =>
          (await carAt(peer, `/ipfs/${file.cid.toString()}?format=car${query}`)).headers['etag'],
      ),
    );
    expect(new Set(tags).size).toBe(tags.length);
    expect(tags.every((tag) => String(tag).startsWith('W/"'))).toBe(true);
  });

  test('blocks outside of the range may be missing', async () => {
    const file = await noisyFile(theirs, 3000);
    const whole = (await carAt(peer, `/ipfs/${file.cid.toString()}?format=car`)).cids;
    const without = async (missing: number) => {
      const source = {
        has: (cid: CID) => cid.toString() !== whole[missing] && theirs.has(cid),
        get: (cid: CID) =>
          cid.toString() === whole[missing]
            ? Promise.reject(new AntirioError('notFound', 'missing'))
            : theirs.get(cid),
      };
      return (await gateway.serve(source)).peer;
    };
    const path = `/ipfs/${file.cid.toString()}?format=car&dag-scope=entity&entity-bytes=`;
    expect((await carAt(await without(3), `${path}0:999`)).cids).toEqual(whole.slice(0, 2));
    expect((await carAt(await without(1), `${path}2200:*`)).cids).toEqual([whole[0], whole[3]]);
    await expect(carAt(await without(2), `${path}500:2500`)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('of a node that occurs twice both parts come', async () => {
    const inner = await noisyFile(theirs, 3000);
    const links = [0, 1].map(() => ({ Name: '', Hash: inner.cid, Tsize: inner.dagSize }));
    const twice = makeBlock(DAG_PB, encode(prepare({ Data: encodeFileData([3000, 3000]), Links: links })));
    await theirs.put(twice);
    const car = await carAt(peer, `/ipfs/${twice.cid.toString()}?format=car&entity-bytes=2000:3999`);
    expect(car.cids.filter((cid) => cid.startsWith('bafkrei'))).toHaveLength(2);
  });
});

describe('dups and order', () => {
  test('duplicates are sent once or each time, and the content type says which', async () => {
    const file = await importFile(theirs, bytesOf(Buffer.alloc(5000)), { chunker: fixedChunker(1000) });
    const path = `/ipfs/${file.cid.toString()}`;
    const type = 'application/vnd.ipld.car; version=1; order=dfs';
    const cases: [query: string, headers: Headers, blocks: number, dups: string][] = [
      ['?format=car', {}, 2, 'n'],
      ['?format=car&car-dups=y', {}, 6, 'y'],
      ['', { accept: `${type}; dups=y` }, 6, 'y'],
      ['?format=car', { accept: `${type}; dups=y` }, 6, 'y'],
      ['?car-dups=n', { accept: `${type}; dups=y` }, 2, 'n'],
      [
        '',
        { accept: 'application/vnd.ipld.car; order=bfs, application/vnd.ipld.car; dups=y; q=0.5' },
        6,
        'y',
      ],
    ];
    for (const [query, headers, blocks, dups] of cases) {
      const car = await carAt(peer, path + query, headers);
      expect([query, car.cids.length]).toEqual([query, blocks]);
      expect(car.headers['content-type']).toBe(`${type}; dups=${dups}`);
    }
  });

  test('blocks come depth first', async () => {
    const file = await noisyFile(theirs, 20_000);
    const order: string[] = [];
    const walk = async (cid: CID): Promise<void> => {
      order.push(cid.toString());
      const bytes = await theirs.get(cid);
      if (cid.code !== DAG_PB) return;
      for (const link of decode(bytes).Links) await walk(link.Hash);
    };
    await walk(file.cid);
    expect((await carAt(peer, `/ipfs/${file.cid.toString()}?format=car`)).cids).toEqual(order);
  });

  test('what is in a CID itself is no block of a CAR, yet can be asked for', async () => {
    const inline = CID.createV1(RAW, createDigest(0, Buffer.from('inline')));
    const root = makeBlock(
      DAG_PB,
      encode(prepare({ Data: encodeFileData([6]), Links: [{ Name: '', Hash: inline, Tsize: 6 }] })),
    );
    await theirs.put(root);
    expect((await carAt(peer, `/ipfs/${root.cid.toString()}?format=car&car-dups=y`)).cids).toEqual([
      root.cid.toString(),
    ]);
    const raw = await peer.call({ path: `/ipfs/${inline.toString()}?format=raw` });
    expect(Buffer.from(raw.body).toString()).toBe('inline');
    const path = '/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa';
    const alone = await carAt(peer, path, { accept: 'application/vnd.ipld.car; dups=y' });
    expect(alone.cids).toEqual([]);
    for (const format of ['raw', 'car'])
      expect((await peer.call({ method: 'HEAD', path: `/ipfs/bafkqaaa?format=${format}` })).status).toBe(200);
  });
});
