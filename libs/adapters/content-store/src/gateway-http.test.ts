// Trustless Gateway and Path Gateway specifications, by the names of their sections: headers, status codes, and where an answer ends.
import { request } from 'node:http';
import { zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { AntirioError } from '@antirio/kernel';
import { encode, prepare } from '@ipld/dag-pb';
import { DAG_PB, makeBlock, RAW, type BlockSource } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { content, noisyFile, storeFile, TestGateway } from './test-gateway.ts';
import { encodeFileData } from './unixfs-data.ts';
import type { Stored } from './unixfs-file.ts';

let gateway: TestGateway;
let theirs: BlockStore;
let peer: HttpPeer;
beforeEach(async () => {
  gateway = await TestGateway.open();
  ({ theirs, peer } = gateway);
});
afterEach(() => gateway.close());

type Headers = Readonly<Record<string, string>>;

describe('headers', () => {
  test('a raw block by ranges', async () => {
    const block = makeBlock(RAW, content(1000));
    await theirs.put(block);
    const path = `/ipfs/${block.cid.toString()}?format=raw`;
    const tag = `"${block.cid.toString()}.raw"`;
    const get = (headers: Headers) => peer.call({ path, headers });
    for (const [range, from, to] of [
      ['bytes=0-0', 0, 0],
      ['bytes=100-199', 100, 199],
      ['bytes=900-', 900, 999],
      ['bytes=-10', 990, 999],
      ['bytes=990-5000', 990, 999],
    ] as const) {
      const part = await get({ range });
      expect(part.status).toBe(206);
      expect(part.headers).toMatchObject({
        'content-range': `bytes ${from}-${to}/1000`,
        etag: `"${block.cid.toString()}.raw.${from}-${to}"`,
        'content-length': String(to - from + 1),
      });
      expect(Buffer.from(part.body).equals(content(1000).subarray(from, to + 1))).toBe(true);
    }
    for (const range of ['bytes=1000-', 'bytes=-0']) {
      const none = await get({ range });
      expect([none.status, none.headers['content-range']]).toEqual([416, 'bytes */1000']);
    }
    for (const headers of [
      { range: 'bytes=0-1,5-6' },
      { range: 'lines=1-2' },
      { range: 'bytes=5-2' },
      { range: 'bytes=0-1', 'if-range': '"another"' },
    ] satisfies Headers[] as Headers[])
      expect([(await get(headers)).status, (await get(headers)).body.length]).toEqual([200, 1000]);
    expect((await get({ range: 'bytes=0-1', 'if-range': tag })).status).toBe(206);
    expect((await peer.call({ method: 'HEAD', path, headers: { range: 'bytes=0-1' } })).status).toBe(200);
  });

  test('If-None-Match: 304 without a body, for either format, weakly compared, and for *', async () => {
    const file = await storeFile(theirs, content(3000));
    for (const format of ['raw', 'car']) {
      const path = `/ipfs/${file.cid.toString()}?format=${format}`;
      const { etag } = (await peer.call({ method: 'HEAD', path })).headers;
      for (const known of [
        String(etag),
        `"other", ${String(etag)}`,
        `W/${String(etag).replace('W/', '')}`,
        '*',
      ]) {
        const answer = await peer.call({ path, headers: { 'if-none-match': known } });
        expect([answer.status, answer.body.length, answer.headers['etag']]).toEqual([304, 0, etag]);
        expect(answer.headers['cache-control']).toBe('public, max-age=29030400, immutable');
      }
      expect((await peer.call({ path, headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    }
  });

  test('Content-Location where the format is not in the address, and Content-Disposition with a name of its own', async () => {
    const block = makeBlock(RAW, content(10));
    await theirs.put(block);
    const path = `/ipfs/${block.cid.toString()}`;
    const headersOf = async (query: string, headers: Headers = {}) =>
      (await peer.call({ path: path + query, headers })).headers;
    expect(await headersOf('', { accept: 'application/vnd.ipld.raw' })).toMatchObject({
      'content-location': `${path}?format=raw`,
    });
    expect((await headersOf('?format=raw'))['content-location']).toBeUndefined();
    expect(await headersOf('?format=raw', { accept: 'application/vnd.ipld.car' })).toMatchObject({
      'content-location': `${path}?format=raw`,
    });
    expect((await headersOf('', { accept: 'application/vnd.ipld.car; dups=y' }))['content-location']).toBe(
      `${path}?format=car&dag-scope=all&car-version=1&car-order=dfs&car-dups=y`,
    );
    expect((await headersOf('?format=raw&filename=a%22b%0d%0a%D1%82.bin'))['content-disposition']).toBe(
      `attachment; filename="a_b___.bin"; filename*=UTF-8''a%22b%0D%0A%D1%82.bin`,
    );
    expect(await headersOf('?format=car')).toMatchObject({
      'content-disposition': `attachment; filename="${block.cid.toString()}.car"`,
      'accept-ranges': 'none',
      'x-content-type-options': 'nosniff',
      'cache-control': 'public, max-age=29030400, immutable',
    });
  });

  test('an answer that is an error is not for caches', async () => {
    const block = makeBlock(RAW, content(500));
    await theirs.put(block);
    flipByteOnDisk(await gateway.packsOf('theirs'), block.bytes);
    const answer = await peer.call({ path: `/ipfs/${block.cid.toString()}?format=raw` });
    expect(answer.status).toBe(500);
    expect([answer.headers['cache-control'], answer.headers['etag']]).toEqual([undefined, undefined]);
  });

  test('zstd on the wire for who takes it, with the same content', async () => {
    const file = await storeFile(theirs, content(50_000));
    const block = makeBlock(RAW, Buffer.alloc(5000, 'x'));
    await theirs.put(block);
    for (const [cid, format] of [
      [block.cid, 'raw'],
      [file.cid, 'car'],
    ] as const) {
      const path = `/ipfs/${cid.toString()}?format=${format}`;
      const plain = await peer.call({ path });
      const packed = await peer.call({ path, headers: { 'accept-encoding': 'gzip, zstd' } });
      expect(packed.headers).toMatchObject({ 'content-encoding': 'zstd', vary: 'accept, accept-encoding' });
      expect(packed.body.length).toBeLessThan(plain.body.length);
      expect(zstdDecompressSync(packed.body).equals(Buffer.from(plain.body))).toBe(true);
      const refused = await peer.call({ path, headers: { 'accept-encoding': 'zstd;q=0' } });
      expect(refused.headers['content-encoding']).toBeUndefined();
    }
  });
});

describe('status codes', () => {
  const cidOf = (n: number) => makeBlock(RAW, content(n)).cid;
  const failing = (code: 'unavailable' | 'timeout' | 'internal'): BlockSource => ({
    has: () => true,
    get: () => Promise.reject(new AntirioError(code, 'simulated')),
  });

  test('405 for what does not read, 412 for only-if-cached, 410 for what is denied', async () => {
    const block = makeBlock(RAW, content(7));
    await theirs.put(block);
    const path = `/ipfs/${block.cid.toString()}?format=raw`;
    const posted = await peer.call({ method: 'POST', path });
    expect([posted.status, posted.headers['allow']]).toEqual([405, 'GET, HEAD']);
    const headers = { 'cache-control': 'only-if-cached' };
    expect((await peer.call({ path, headers })).status).toBe(200);
    for (const method of ['GET', 'HEAD'] as const) {
      const missing = await peer.call({ method, path: `/ipfs/${cidOf(9).toString()}?format=car`, headers });
      expect([missing.status, missing.body.length]).toEqual([412, 0]);
    }
    const denying = await gateway.serve(theirs, { isDenied: (cid) => cid.equals(block.cid) });
    expect((await denying.peer.call({ path })).status).toBe(410);
  });

  test('500, 502 and 504 for a source that fails, and when to come again', async () => {
    const path = `/ipfs/${cidOf(7).toString()}?format=raw`;
    for (const [code, status, retryAfter] of [
      ['internal', 500, undefined],
      ['unavailable', 502, '1'],
      ['timeout', 504, '1'],
    ] as const) {
      const { peer: failed } = await gateway.serve(failing(code));
      const answer = await failed.call({ path });
      expect([answer.status, answer.headers['retry-after']]).toEqual([status, retryAfter]);
      expect(answer.json()).toMatchObject({ statusCode: status });
    }
    const never: BlockSource = { has: () => true, get: () => new Promise(() => undefined) };
    const { peer: slow } = await gateway.serve(never, { withinMs: 30 });
    expect((await slow.call({ path })).status).toBe(504);
  });

  test('429 when too many ask at once, and an end to it', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const source: BlockSource = {
      has: () => true,
      get: async () => {
        await held;
        return content(7);
      },
    };
    const { peer: small } = await gateway.serve(source, { atOnce: 1 });
    const path = `/ipfs/${cidOf(7).toString()}?format=raw`;
    // Which of the two comes first is the network's to say; only the refused one is answered now.
    const both = [small.call({ path }), small.call({ path })];
    const refused = await Promise.race(both);
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    release();
    expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([200, 429]);
    expect((await small.call({ path })).status).toBe(200);
  });
});

test('a client that goes away ends the walk', async () => {
  const file = await noisyFile(theirs, 200_000);
  let reads = 0;
  let seen = 0;
  const slow: BlockSource = {
    has: (cid) => theirs.has(cid),
    get: async (cid) => {
      reads++;
      await new Promise((resolve) => setImmediate(resolve));
      return theirs.get(cid);
    },
  };
  // Duplicates without end: a file of 2^20 times the same.
  let top: Stored = file;
  for (let level = 0; level < 20; level++) {
    const links = [0, 1].map(() => ({ Name: '', Hash: top.cid, Tsize: 0 }));
    const block = makeBlock(
      DAG_PB,
      encode(prepare({ Data: encodeFileData([top.size, top.size]), Links: links })),
    );
    await theirs.put(block);
    top = { cid: block.cid, size: top.size * 2, dagSize: 0 };
  }
  const { url } = await gateway.serve(slow, { limits: { maxDepth: 64, maxBlocks: 1e9, maxBytes: 1e15 } });
  await new Promise<void>((resolve) => {
    const asked = request(`${url}/ipfs/${top.cid.toString()}?format=car&car-dups=y`, (incoming) => {
      incoming.once('data', () => {
        asked.destroy();
        resolve();
      });
    });
    asked.on('error', () => undefined);
    asked.end();
  });
  const stopped = await waitFor(
    systemClock,
    10_000,
    () => {
      const isSame = reads === seen;
      seen = reads;
      return isSame || undefined;
    },
    50,
  );
  expect(stopped).toBe(true);
  expect(reads).toBeGreaterThan(0);
});

test('a DAG over the limits ends the connection, not the CAR', async () => {
  const file = await noisyFile(theirs, 20_000);
  const { url } = await gateway.serve(theirs, { limits: { maxDepth: 64, maxBlocks: 5, maxBytes: 1e9 } });
  const answer = await fetch(`${url}/ipfs/${file.cid.toString()}?format=car`);
  await expect(answer.arrayBuffer()).rejects.toThrow();
});
