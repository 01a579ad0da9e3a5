import { createCipheriv } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpPeer } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { CarReader } from '@ipld/car';
import { makeBlock, RAW } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { bytesOf, content, storeFile, TestGateway } from './test-gateway.ts';
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
    ['an order that is not served', '?format=car&car-order=bfs', {}, 406],
    ['duplicates that are neither y nor n', '?format=car&car-dups=maybe', {}, 406],
    ['an IPNS record of a CID', '?format=ipns-record', {}, 400],
    ['an IPNS record by Accept', '', { accept: 'application/vnd.ipfs.ipns-record' }, 400],
    ['a service worker for a whole CID', '?format=raw', { 'service-worker': 'script' }, 400],
    ['entity-bytes that are none', '?format=car&entity-bytes=1', {}, 400],
    ['entity-bytes that end before they begin', '?format=car&entity-bytes=10:5', {}, 400],
    ['entity-bytes of absurd size', '?format=car&entity-bytes=0:99999999999999999999', {}, 400],
    ['entity-bytes behind the end', '?format=car&entity-bytes=3000:*', {}, 400],
    ['entity-bytes before the beginning', '?format=car&entity-bytes=-9000:-8000', {}, 400],
    ['a raw block by a path', '/x?format=raw', {}, 400],
    ['a path that is not well-formed', '/%zz?format=car', {}, 400],
    ['an endless path', `${'/x'.repeat(100)}?format=car`, {}, 400],
    ['a scope that there is not', '?format=car&dag-scope=some', {}, 400],
    ['a path below a file', '/x?format=car', {}, 404],
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
    flipByteOnDisk(await gateway.packsOf('theirs'), block.bytes);
    const first = await peer.call({ path: `/ipfs/${block.cid.toString()}?format=raw` });
    expect(first.status).toBe(500);
    expect((await peer.call({ path: `/ipfs/${block.cid.toString()}?format=raw` })).status).toBe(404);
  });

  test('breaks a CAR off rather than ending it where a block is missing', async () => {
    const noise = createCipheriv('chacha20', Buffer.alloc(32, 1), Buffer.alloc(16)).update(
      Buffer.alloc(300_000),
    );
    const file = await importFile(theirs, bytesOf(noise), { chunker: fixedChunker(100_000) });
    flipByteOnDisk(await gateway.packsOf('theirs'), noise.subarray(200_000));
    const answer = await fetch(`${gateway.url}/ipfs/${file.cid.toString()}?format=car`);
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
  });
});
