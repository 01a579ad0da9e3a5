import { createCipheriv } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHttpRim, httpPeer, silentLog, systemClock, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { flipByteOnDisk } from '@antirio/testing';
import { CarReader } from '@ipld/car';
import { encode, prepare } from '@ipld/dag-pb';
import type { CID } from 'multiformats/cid';
import { makeBlock, RAW } from './block.ts';
import { openBlockStore, type BlockStore } from './block-store.ts';
import { carOf, exportCar, importCar } from './car.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { fetchDag } from './fetch-dag.ts';
import { createGateway } from './gateway.ts';
import { gatewayProvider, type BlockProvider } from './provider.ts';
import { encodeFileData } from './unixfs-data.ts';
import { putDirectory } from './unixfs-directory.ts';
import { importFile, readFile, type Stored } from './unixfs-file.ts';

let folder: string;
let ours: BlockStore;
let theirs: BlockStore;
let rim: HttpRim;
let peer: HttpPeer;
let url: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-gateway-'));
  ours = await openBlockStore({ folder: join(folder, 'ours'), clock: systemClock });
  theirs = await openBlockStore({ folder: join(folder, 'theirs'), clock: systemClock });
  rim = createHttpRim({
    serviceKey: 'gateway',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
  });
  rim.app.use('/ipfs', createGateway(theirs));
  url = `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}`;
  peer = httpPeer({ url });
});
afterEach(async () => {
  peer.close();
  await rim.close();
  await Promise.all([ours.close(), theirs.close()]);
  rmSync(folder, { recursive: true, force: true });
});

const content = (size: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 7) * 13) % 256));

async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const storeFile = (store: BlockStore, bytes: Uint8Array): Promise<Stored> =>
  importFile(store, bytesOf(bytes), { chunker: fixedChunker(1000), maxLinks: 4 });

async function read(store: BlockStore, cid: CID): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of readFile(store, cid)) parts.push(part);
  return Buffer.concat(parts);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

/** Flips a byte on the disk, in the stored block of these bytes. */
async function spoil(store: BlockStore, name: string, block: Uint8Array): Promise<void> {
  await store.flush();
  flipByteOnDisk(join(folder, name, 'packs'), block);
}

describe('the trustless gateway', () => {
  test('gives a block by format or Accept, with the headers of the specification', async () => {
    const block = makeBlock(RAW, Buffer.from('hello'));
    await theirs.put(block);
    const path = `/ipfs/${block.cid.toString()}`;
    for (const call of [
      { path: `${path}?format=raw` },
      { path, headers: { accept: 'application/vnd.ipld.raw' } },
      { path, headers: { accept: 'text/html;q=0.9, application/vnd.ipld.raw;q=0.8' } },
      { path: `${path}?format=raw`, headers: { accept: 'application/vnd.ipld.car' } },
    ]) {
      const answer = await peer.call(call);
      expect(answer.status).toBe(200);
      expect(Buffer.from(answer.body).toString()).toBe('hello');
      expect(answer.headers).toMatchObject({
        'content-type': 'application/vnd.ipld.raw',
        'content-length': '5',
        etag: `"${block.cid.toString()}.raw"`,
        'content-disposition': `attachment; filename="${block.cid.toString()}.bin"`,
        'cache-control': 'public, max-age=29030400, immutable',
        'x-content-type-options': 'nosniff',
      });
    }
    const head = await peer.call({ method: 'HEAD', path: `${path}?format=raw` });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
    const again = await peer.call({
      path: `${path}?format=raw`,
      headers: { 'if-none-match': `"${block.cid.toString()}.raw"` },
    });
    expect(again.status).toBe(304);
  });

  test('gives a whole DAG, a directory alone, or a root alone, as a CAR', async () => {
    const file = await storeFile(theirs, content(9000));
    const root = await putDirectory(theirs, [{ name: 'f', ...file }]);
    const car = async (query: string, headers = {}) => {
      const answer = await peer.call({ path: `/ipfs/${root.cid.toString()}${query}`, headers });
      expect(answer.headers['content-type']).toBe('application/vnd.ipld.car; version=1; order=dfs; dups=n');
      const reader = await CarReader.fromBytes(answer.body);
      expect((await reader.getRoots()).map(String)).toEqual([root.cid.toString()]);
      let blocks = 0;
      for await (const _ of reader.blocks()) blocks++;
      return { blocks, etag: answer.headers['etag'] };
    };
    const all = await car('?format=car');
    expect(all.blocks).toBe((await verifyDag(theirs, root.cid)).blocks);
    const entity = await car('?format=car&dag-scope=entity');
    expect(entity.blocks).toBe(1);
    const block = await car('?dag-scope=block', {
      accept: 'application/vnd.ipld.car; version=1; order=dfs; dups=n',
    });
    expect(block.blocks).toBe(1);
    expect(new Set([all.etag, entity.etag, block.etag]).size).toBe(3);
  });

  test('answers the probe for what it is', async () => {
    const raw = await peer.call({ path: '/ipfs/bafkqaaa?format=raw' });
    expect([raw.status, raw.body.length]).toEqual([200, 0]);
    const car = await CarReader.fromBytes((await peer.call({ path: '/ipfs/bafkqaaa?format=car' })).body);
    expect((await car.getRoots()).map(String)).toEqual(['bafkqaaa']);
  });

  test.each([
    ['no format', '', {}, 400],
    ['no CID', '/ipfs/hello?format=raw', {}, 400],
    [
      'a CID that is damaged',
      '/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5?format=raw',
      {},
      400,
    ],
    [
      'a block that is not here',
      '/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e?format=raw',
      {},
      404,
    ],
    [
      'a CAR whose root is not here',
      '/ipfs/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e?format=car',
      {},
      404,
    ],
    [
      'a codec nobody stores here',
      '/ipfs/bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe?format=raw',
      {},
      404,
    ],
    ['a format that is not served', '?format=tar', {}, 406],
    ['an Accept that is not served', '', { accept: 'text/html' }, 406],
    ['a CAR version that is not served', '', { accept: 'application/vnd.ipld.car; version=2' }, 406],
    ['duplicates that are not served', '?format=car&car-dups=y', {}, 406],
    ['a scope that there is not', '?format=car&dag-scope=some', {}, 400],
    ['a path below a CID', '/x?format=car', {}, 501],
  ])('refuses %s', async (_name, path, headers, status) => {
    const { cid } = await storeFile(theirs, content(3000));
    const answer = await peer.call({
      path: path.startsWith('/ipfs') ? path : `/ipfs/${cid.toString()}${path}`,
      headers,
    });
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({ statusCode: status });
  });

  test('never gives out a block that the disk has changed', async () => {
    const block = makeBlock(RAW, content(500));
    await theirs.put(block);
    await spoil(theirs, 'theirs', block.bytes);
    const first = await peer.call({ path: `/ipfs/${block.cid.toString()}?format=raw` });
    expect(first.status).toBe(500);
    expect((await peer.call({ path: `/ipfs/${block.cid.toString()}?format=raw` })).status).toBe(404);
  });

  test('breaks a CAR off rather than ending it where a block is missing', async () => {
    const noise = createCipheriv('chacha20', Buffer.alloc(32, 1), Buffer.alloc(16)).update(
      Buffer.alloc(300_000),
    );
    const file = await importFile(theirs, bytesOf(noise), { chunker: fixedChunker(100_000) });
    await spoil(theirs, 'theirs', noise.subarray(200_000));
    const answer = await fetch(`${url}/ipfs/${file.cid.toString()}?format=car`);
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
  });
});

describe('a CAR', () => {
  test('carries a DAG over, and what does not belong to it stays out', async () => {
    const file = await storeFile(theirs, content(20_000));
    const { blocks } = await verifyDag(theirs, file.cid);
    expect(await importCar(ours, exportCar(theirs, file.cid), file.cid)).toMatchObject({
      blocks,
      ignored: 0,
    });
    expect(await read(ours, file.cid)).toEqual(content(20_000));

    const foreign = makeBlock(RAW, Buffer.from('foreign'));
    const root = { cid: file.cid, bytes: await theirs.get(file.cid) };
    const taken = await importCar(ours, carOf(file.cid, [root, foreign, root]), file.cid);
    expect(taken).toMatchObject({ blocks: 1, ignored: 2 });
    expect(ours.has(foreign.cid)).toBe(false);
  });

  test('is refused when a block lies, the header is bad, it breaks off, or it is too large', async () => {
    const file = await storeFile(theirs, content(20_000));
    const whole = await collect(exportCar(theirs, file.cid));
    const from = (bytes: Uint8Array) => importCar(ours, bytesOf(bytes), file.cid);
    const lied = Buffer.from(whole);
    lied[whole.length - 1] = (whole.at(-1) as number) ^ 1;
    await expect(from(lied)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(from(Buffer.from('no car at all'))).rejects.toMatchObject({ code: 'invalidInput' });
    await expect(from(whole.subarray(0, whole.length - 5))).rejects.toMatchObject({ code: 'invalidInput' });
    await expect(from(Buffer.from('ffffffffffffff7f', 'hex'))).rejects.toMatchObject({ code: 'tooLarge' });
    const limits = { maxDepth: 8, maxBlocks: 3, maxBytes: 1 << 20 };
    await expect(importCar(ours, bytesOf(whole), file.cid, limits)).rejects.toMatchObject({
      code: 'tooLarge',
    });
  });
});

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
    await spoil(ours, 'ours', content(5000).subarray(2000, 3000));
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
    const fetched = await fetchDag(ours, file.cid, [stalling, honest()], { blockTimeoutMs: 10 });
    expect(fetched.providers.find((p) => p.name === 'honest')?.blocks).toBe(fetched.blocks);
  });
});
