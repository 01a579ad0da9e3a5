import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, type HttpPeer } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { AntirioError } from '@antirio/kernel';
import { encode, prepare } from '@ipld/dag-pb';
import type { BlockStore } from './block-store.ts';
import { verifyDag } from './dag.ts';
import { fetchDag } from './fetch-dag.ts';
import { gatewayProvider } from './gateway-provider.ts';
import type { BlockProvider } from './provider.ts';
import { content, read, storeFile, TestGateway } from './test-gateway.ts';
import { encodeFileData } from './unixfs-data.ts';

let gateway: TestGateway;
let ours: BlockStore;
let theirs: BlockStore;
let peer: HttpPeer;
beforeEach(async () => {
  gateway = await TestGateway.open();
  ({ ours, theirs, peer } = gateway);
});
afterEach(() => gateway.close());

describe('a fetch', () => {
  const honest = (): BlockProvider => gatewayProvider('honest', peer);
  const counting = (provider: BlockProvider) => {
    const asked: string[] = [];
    const fetchBlock: BlockProvider['fetchBlock'] = (cid, timeoutMs) => {
      asked.push(cid.toString());
      return provider.fetchBlock(cid, timeoutMs);
    };
    return { asked, provider: { name: provider.name, fetchBlock } };
  };

  test('makes a DAG whole over HTTP, and fetches nothing that is here already', async () => {
    const file = await storeFile(theirs, content(50_000));
    const fetched = await fetchDag(ours, file.cid, [honest()]);
    expect(await read(ours, file.cid)).toEqual(content(50_000));
    expect(fetched.fetchedBlocks).toBe(fetched.blocks);
    expect(fetched.blocks).toBe((await verifyDag(theirs, file.cid)).blocks);
    const { asked, provider } = counting(honest());
    expect(await fetchDag(ours, file.cid, [provider])).toMatchObject({
      fetchedBlocks: 0,
      blocks: fetched.blocks,
    });
    expect(asked).toEqual([]);
  });

  test('fetches again just the block that the disk has changed', async () => {
    const file = await storeFile(theirs, content(5000));
    await fetchDag(ours, file.cid, [honest()]);
    flipByteOnDisk(await gateway.packsOf('ours'), content(5000).subarray(2000, 3000));
    const { asked, provider } = counting(honest());
    expect(await fetchDag(ours, file.cid, [provider])).toMatchObject({ fetchedBlocks: 1 });
    expect(asked).toHaveLength(1);
    expect(await read(ours, file.cid)).toEqual(content(5000));
  });

  test('drops a liar, one that sends too much and one that fails, and goes on with an honest one', async () => {
    const file = await storeFile(theirs, content(30_000));
    const liar = counting({ name: 'liar', fetchBlock: async () => Buffer.from('something else') });
    const flood = counting({ name: 'flood', fetchBlock: async () => new Uint8Array((2 << 20) + 1) });
    const dead = counting(gatewayProvider('dead', httpPeer({ url: 'http://127.0.0.1:1' })));
    const fetched = await fetchDag(ours, file.cid, [liar.provider, flood.provider, dead.provider, honest()], {
      parallel: 1,
    });
    expect(await read(ours, file.cid)).toEqual(content(30_000));
    expect([liar.asked.length, flood.asked.length]).toEqual([1, 1]);
    expect(dead.asked.length).toBeLessThanOrEqual(3);
    expect(fetched.providers.find((p) => p.name === 'liar')?.dropped).toMatch(
      /^lied: the bytes are not those of/,
    );
    expect(fetched.providers.find((p) => p.name === 'honest')?.dropped).toBeUndefined();
  });

  test('a node that claims to lead back to its root is not the one that was asked for', async () => {
    const file = await storeFile(theirs, content(3000));
    const link = { Name: '', Tsize: 0, Hash: file.cid };
    const circle = encode(prepare({ Data: encodeFileData([3000]), Links: [link] }));
    const fetchBlock: BlockProvider['fetchBlock'] = async (cid) =>
      cid.equals(file.cid) ? theirs.get(cid) : circle;
    const fetching = fetchDag(ours, file.cid, [{ name: 'circle', fetchBlock }]);
    await expect(fetching).rejects.toMatchObject({ code: 'corrupt' });
    expect(ours.usage().blocks).toBe(1);
  });

  test('with liars only stores nothing and says who lied', async () => {
    const file = await storeFile(theirs, content(3000));
    const liar: BlockProvider = { name: '/p2p/liar', fetchBlock: async () => Buffer.from('x') };
    await expect(fetchDag(ours, file.cid, [liar])).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringMatching(/nobody gives block .*\/p2p\/liar lied/) as unknown,
    });
    expect(ours.usage().blocks).toBe(0);
    await expect(fetchDag(ours, file.cid, [])).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('says that nobody has a block, and goes on from there when somebody has', async () => {
    const file = await storeFile(theirs, content(30_000));
    let left = 10;
    const partial = counting({
      name: 'partial',
      fetchBlock: async (cid) => {
        if (left-- <= 0) throw new AntirioError('notFound', 'no');
        return theirs.get(cid);
      },
    });
    await expect(fetchDag(ours, file.cid, [partial.provider])).rejects.toMatchObject({ code: 'notFound' });
    const here = ours.usage().blocks;
    expect(here).toBe(10);
    const rest = await fetchDag(ours, file.cid, [honest()]);
    expect(rest.fetchedBlocks).toBe(rest.blocks - here);
  });

  test('refuses a DAG that is too deep, has too many blocks or too many bytes', async () => {
    const file = await storeFile(theirs, content(30_000));
    const limits = { maxDepth: 8, maxBlocks: 100, maxBytes: 100_000 };
    for (const tight of [{ maxDepth: 1 }, { maxBlocks: 10 }, { maxBytes: 9000 }])
      await expect(
        fetchDag(ours, file.cid, [honest()], { limits: { ...limits, ...tight } }),
      ).rejects.toMatchObject({
        code: 'tooLarge',
      });
    await fetchDag(ours, file.cid, [honest()], { limits });
  });

  test('stops when told to', async () => {
    const file = await storeFile(theirs, content(30_000));
    const stop = new AbortController();
    const fetching = fetchDag(ours, file.cid, [honest()], {
      parallel: 1,
      signal: stop.signal,
      onProgress: ({ blocks }) => {
        if (blocks === 5) stop.abort();
      },
    });
    await expect(fetching).rejects.toMatchObject({ code: 'timeout' });
    expect(ours.usage().blocks).toBe(5);
  });

  test('gives up on a provider that stalls', async () => {
    const file = await storeFile(theirs, content(2000));
    const stalling: BlockProvider = {
      name: 'stalling',
      fetchBlock: (_cid, timeoutMs) =>
        new Promise((_resolve, reject) => {
          setTimeout(() => reject(new AntirioError('timeout', 'no answer')), timeoutMs);
        }),
    };
    const fetched = await fetchDag(ours, file.cid, [stalling, honest()], {
      blockTimeoutMs: 1500,
      parallel: 2,
    });
    expect(fetched.providers.find((p) => p.name === 'honest')?.blocks).toBe(fetched.blocks);
  });
});
