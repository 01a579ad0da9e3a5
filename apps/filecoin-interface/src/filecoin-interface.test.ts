import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { buildImage } from '@antirio/content-store';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type HttpAnswer,
  type HttpPeer,
} from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { createFilecoinInterface, filecoinInterfaceOptions } from './index.ts';
import { Neighbourhood, type Edge, type Json } from './test-neighbourhood.ts';

let folder: string;
let around: Neighbourhood;
let way: HttpPeer;
let a: Edge;
let b: Edge;

async function startEdge(id: string, more: object = {}): Promise<Edge> {
  const dataDir = join(folder, id);
  const options = filecoinInterfaceOptions.parse({
    port: 0,
    dataDir,
    edgeId: id,
    firstRetryMs: 5,
    maxRetryMs: 50,
    ...more,
  });
  const ports = { clock: systemClock, random: systemRandom, log: silentLog };
  const room = createFilecoinInterface(options, { ...ports, peers: { orchestrator: way, edge2edge: way } });
  await room.start();
  const edge = { id, dataDir, room, http: httpPeer({ url: `http://127.0.0.1:${room.port}` }) };
  around.edges.set(id, edge);
  return edge;
}

async function stopEdge(edge: Edge): Promise<void> {
  edge.http.close();
  await edge.room.stop();
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-filecoin-'));
  around = new Neighbourhood();
  way = await around.open();
  a = await startEdge('A');
  b = await startEdge('B');
});
afterEach(async () => {
  await Promise.all([...around.edges.values()].map(stopEdge));
  way.close();
  await around.close();
  rmSync(folder, { recursive: true, force: true });
});

const content = (size: number, seed = 1): Uint8Array =>
  new Uint8Array(size).map((_, i) => (i * seed + (i >> 8) * 31) % 256);

const build = (edge: Edge, fileName: string, size = 300_000) =>
  buildImage(join(edge.dataDir, 'images', fileName), {
    files: [{ path: 'app/main.mjs', content: content(size, 7) }],
    entrypoint: ['node', '/app/main.mjs'],
    repoTags: ['lora-device-service:1'],
  });

const post = (edge: Edge, path: string, json: unknown): Promise<HttpAnswer> =>
  edge.http.call({ method: 'POST', path: `/filecoin_interface/${path}`, json, timeoutMs: 20_000 });
const get = async (edge: Edge, path: string): Promise<unknown> =>
  (await edge.http.call({ path: `/filecoin_interface/${path}` })).json();

const until = async <T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const value = await waitFor(systemClock, 15_000, what, 10);
  if (value === undefined) throw new Error('it never came to it');
  return value;
};

const objectOf = async (edge: Edge, cid: string): Promise<Json> =>
  (await get(edge, `v1/object/${cid}`)) as Json;
const inState = (edge: Edge, cid: string, state: string): Promise<Json> =>
  until(async () => {
    const object = await objectOf(edge, cid);
    return object['state'] === state ? object : undefined;
  });
const stored = (edge: Edge, name: string): Promise<Json> =>
  until(async () => {
    const image = (await get(edge, `orchestrator/image?imageName=${name}`)) as Json;
    return image['status'] === 'WAITING' ? undefined : image;
  });

const packsOf = (edge: Edge): string => join(edge.dataDir, 'filecoin-interface', 'packs');

const order = { imageName: 'LoRa-device-service', storageDuration: 7, fileName: 'LoRa-device-service.tar' };

describe('the resources of the thesis', () => {
  test('table 4.7: an ordered image is stored and reported to the orchestrator', async () => {
    await build(a, order.fileName);
    const answer = await post(a, 'orchestrator/image', order);
    expect(answer.status).toBe(202);
    const record = answer.json() as Json;
    expect(record).toMatchObject({ ...order, status: 'WAITING', minerAddress: 'A' });
    const image = await stored(a, order.imageName);
    expect(image).toMatchObject({ imageName: order.imageName, minerAddress: 'A', status: 'STORED' });
    const { imageId, imageHash } = image;
    expect(imageId).toBe(record['imageId']);
    expect(imageHash).toMatch(/^bafybei/);
    const report = await until(() => around.reports[0]);
    expect(report).toEqual({
      path: '/orchestrator/service_customer/image/status',
      body: { imageId, imageHash, status: 'STORED' },
    });
    expect(await get(a, 'orchestrator/image')).toEqual([image]);
    expect((await a.http.call({ path: '/filecoin_interface/orchestrator/image?imageName=x' })).status).toBe(
      404,
    );
  });

  test('an order with an imageId is one order however often it is given', async () => {
    await build(a, order.fileName);
    const body = { ...order, imageId: 'i-1' };
    await post(a, 'orchestrator/image', body);
    await stored(a, order.imageName);
    expect((await post(a, 'orchestrator/image', body)).json()).toMatchObject({
      imageId: 'i-1',
      status: 'STORED',
    });
    expect((await post(a, 'orchestrator/image', { ...body, imageName: 'other' })).status).toBe(409);
    expect(await get(a, 'orchestrator/image')).toHaveLength(1);
  });

  test('tables 4.6 and 4.8: what backends tell is kept and passed on', async () => {
    const told = { imageid: '16935cab-2de3', imageHash: '7kg8sdf03jdfh9hfsf49h0sdf', status: 'COMMITTED' };
    const answer = await post(a, 'backend/image', told);
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({
      imageId: told.imageid,
      imageHash: told.imageHash,
      status: 'COMMITTED',
    });
    expect((await until(() => around.reports[0])).body).toEqual({
      imageId: told.imageid,
      imageHash: told.imageHash,
      status: 'COMMITTED',
    });
    const error = { errorObject: { a: 1 }, code: 404, message: "can't find miner" };
    expect((await post(a, 'backend/error', error)).status).toBe(202);
    expect(await get(a, 'backend/image')).toHaveLength(1);
    expect(await get(a, 'backend/error')).toMatchObject([error]);
  });

  test('COMMITTED changes a stored image; another content under its id is refused', async () => {
    await build(a, order.fileName);
    await post(a, 'orchestrator/image', order);
    const { imageId, imageHash } = await stored(a, order.imageName);
    await post(a, 'backend/image', { imageId, imageHash, status: 'COMMITTED' });
    expect(await stored(a, order.imageName)).toMatchObject({ status: 'COMMITTED' });
    const wrong = await post(a, 'backend/image', { imageId, imageHash: 'bafyother', status: 'STORED' });
    expect(wrong.status).toBe(409);
    await until(() => (around.reports.length === 2 ? true : undefined));
    expect(around.reports.map((report) => report.body['status'])).toEqual(['STORED', 'COMMITTED']);
  });

  test('READY2DOWNLOAD with providers brings the image here', async () => {
    await build(a, order.fileName);
    await post(a, 'orchestrator/image', order);
    const { imageHash } = await stored(a, order.imageName);
    await post(b, 'backend/image', {
      imageId: 'x',
      imageHash,
      status: 'READY2DOWNLOAD',
      providers: ['/p2p/A'],
    });
    await inState(b, String(imageHash), 'STORED');
  });

  test('table 4.9: health', async () => {
    expect(await get(a, 'health')).toEqual({ 'Status Message': 'filecoin interface v.0.1.0' });
  });

  test.each([
    ['orchestrator/image', { ...order, fileName: '../../etc/passwd' }, 400],
    ['orchestrator/image', { ...order, fileName: 'absent.tar' }, 404],
    ['orchestrator/image', { ...order, storageDuration: '7' }, 400],
    ['orchestrator/image', { ...order, colour: 'red' }, 400],
    ['orchestrator/image', [], 400],
    ['backend/image', { imageId: 'x', imageHash: 'y', status: 'GONE' }, 400],
    ['backend/error', { code: 'x' }, 400],
    ['v1/object', {}, 400],
    ['v1/object', { fileName: 'absent' }, 404],
    ['v1/fetch', { cid: 'x', providers: ['/p2p/A'] }, 400],
    [
      'v1/fetch',
      { cid: 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e', providers: ['ftp://x'] },
      400,
    ],
    ['v1/object/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e/export', { fileName: 'x' }, 404],
    [
      'v1/object/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e/export',
      { fileName: 'a/b' },
      400,
    ],
  ])('a wrong POST to %s is refused: %j', async (path, body, status) => {
    const answer = await post(a, path, body);
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({ statusCode: status, message: expect.any(String) as unknown });
  });
});

test('a file that is no image becomes FAILED, with the reason, and is an error; ordered again once mended it is stored', async () => {
  writeFileSync(join(a.dataDir, 'images', order.fileName), 'no tar'.repeat(300));
  await post(a, 'orchestrator/image', { ...order, imageId: 'i' });
  const failed = await stored(a, order.imageName);
  expect(failed).toMatchObject({
    status: 'FAILED',
    error: expect.stringContaining('malformed tar') as unknown,
  });
  expect(await get(a, 'backend/error')).toMatchObject([{ code: 400, errorObject: { imageId: 'i' } }]);
  await build(a, order.fileName);
  await post(a, 'orchestrator/image', { ...order, imageId: 'i' });
  expect(await stored(a, order.imageName)).toMatchObject({ status: 'STORED' });
});

test('an image is known by its id, and let go', async () => {
  await build(a, order.fileName);
  await post(a, 'orchestrator/image', { ...order, imageId: 'i' });
  const { imageHash } = await stored(a, order.imageName);
  expect(await get(a, 'v1/image/i')).toMatchObject({ imageId: 'i', imageHash, minerAddress: 'A' });
  expect(await objectOf(a, String(imageHash))).toMatchObject({ state: 'STORED', cid: imageHash });
  const drop = { method: 'DELETE', path: '/filecoin_interface/v1/image/i' } as const;
  expect((await a.http.call(drop)).status).toBe(204);
  expect((await a.http.call(drop)).status).toBe(404);
});

test('a report that the orchestrator does not take now is there after a restart', async () => {
  around.orchestratorStatus = 503;
  await build(a, order.fileName);
  await post(a, 'orchestrator/image', order);
  await stored(a, order.imageName);
  await until(async () => ((await a.room.health())['orchestrator']?.ok === false ? true : undefined));
  await stopEdge(a);
  around.orchestratorStatus = 202;
  a = await startEdge('A');
  expect((await until(() => around.reports[0])).body).toMatchObject({ status: 'STORED' });
});

describe('objects go from edge to edge', () => {
  test('an image: fetched through edge2edge, exported as the same archive', async () => {
    const built = await build(a, 'in.tar');
    const { cid } = (await post(a, 'v1/object', { fileName: 'in.tar', kind: 'image' })).json() as {
      cid: string;
    };
    const ordered = await post(b, 'v1/fetch', { cid, providers: ['/p2p/A', '/p2p/B'] });
    expect([ordered.status, ordered.json()]).toMatchObject([202, { cid, state: 'FETCHING' }]);
    const object = await inState(b, cid, 'STORED');
    expect(object).toMatchObject({ cid, progress: { fetchedBlocks: expect.any(Number) as unknown } });
    const exported = await post(b, `v1/object/${cid}/export`, { fileName: 'out.tar' });
    expect(exported.json()).toMatchObject({
      sha256: built.sha256,
      imageId: built.imageId,
      fileName: 'out.tar',
    });
    expect(
      readFileSync(join(b.dataDir, 'images', 'out.tar')).equals(
        readFileSync(join(a.dataDir, 'images', 'in.tar')),
      ),
    ).toBe(true);
  });

  test('JSON and plain files', async () => {
    const json = (await post(a, 'v1/object', { json: { b: [1, 'x'], a: null } })).json() as { cid: string };
    writeFileSync(join(a.dataDir, 'images', 'plain'), content(2_500_000));
    const file = (await post(a, 'v1/object', { fileName: 'plain' })).json() as { cid: string; size: number };
    expect(file.size).toBe(2_500_000);
    for (const { cid } of [json, file]) {
      await post(b, 'v1/fetch', { cid, providers: [`http://127.0.0.1:${a.room.port}`] });
      await inState(b, cid, 'STORED');
      expect((await post(b, `v1/object/${cid}/export`, { fileName: cid })).status).toBe(200);
    }
    expect(readFileSync(join(b.dataDir, 'images', json.cid), 'utf8')).toBe('{"a":null,"b":[1,"x"]}');
    expect(statSync(join(b.dataDir, 'images', file.cid)).size).toBe(2_500_000);
  });

  test('a provider that lies gives nothing: FAILED says who lied, and nothing of it is kept', async () => {
    const { cid } = (await post(a, 'v1/object', { json: 'the truth' })).json() as { cid: string };
    around.tamper = (body) => Buffer.from(body.map((byte) => byte ^ 1));
    await post(b, 'v1/fetch', { cid, providers: ['/p2p/A'] });
    const object = await inState(b, cid, 'FAILED');
    expect(object['error']).toMatch(/\/p2p\/A lied/);
    expect((await b.http.call({ path: `/ipfs/${cid}?format=raw` })).status).toBe(404);
    expect((await post(b, `v1/object/${cid}/export`, { fileName: 'x' })).status).toBe(404);
  });

  test('a byte flipped on the disk is found: no export, no archive; fetched anew only that block comes', async () => {
    await build(a, 'in.tar', 3_000_000);
    const { cid } = (await post(a, 'v1/object', { fileName: 'in.tar', kind: 'image' })).json() as {
      cid: string;
    };
    await post(b, 'v1/fetch', { cid, providers: ['/p2p/A'] });
    await inState(b, cid, 'STORED');
    flipByteOnDisk(packsOf(b), content(3_000_000, 7).subarray(0, 5000));
    const refused = await post(b, `v1/object/${cid}/export`, { fileName: 'out.tar' });
    expect(refused.status).toBe(500);
    expect(refused.json()).toMatchObject({
      message: expect.stringMatching(/the disk has changed the stored block/) as unknown,
    });
    expect(readdirSync(join(b.dataDir, 'images'))).toEqual([]);
    expect(await objectOf(b, cid)).toMatchObject({ state: 'FAILED' });
    await post(b, 'v1/fetch', { cid, providers: ['/p2p/A'] });
    expect(await inState(b, cid, 'STORED')).toMatchObject({ progress: { fetchedBlocks: 1 } });
    expect((await post(b, `v1/object/${cid}/export`, { fileName: 'out.tar' })).status).toBe(200);
  });

  test('a fetch waits for a provider that is away, and goes on after a restart', async () => {
    const { cid } = (await post(a, 'v1/object', { json: 'x'.repeat(1000) })).json() as { cid: string };
    await stopEdge(a);
    around.edges.delete('A');
    await post(b, 'v1/fetch', { cid, providers: ['/p2p/A'] });
    await until(() => (around.relayed > 3 ? true : undefined));
    expect(await objectOf(b, cid)).toMatchObject({ state: 'FETCHING' });
    await stopEdge(b);
    a = await startEdge('A');
    b = await startEdge('B');
    await inState(b, cid, 'STORED');
  });

  test('verify finds what is damaged; drop lets go', async () => {
    const { cid } = (await post(a, 'v1/object', { json: 'something to spoil' })).json() as { cid: string };
    expect((await post(a, `v1/object/${cid}/verify`, {})).json()).toMatchObject({ cid, blocks: 1 });
    const sample = await get(a, `v1/object/${cid}/sample?count=3`);
    expect(sample).toEqual({ cid, blocks: 1, bytes: 20, blockCids: [cid] });
    flipByteOnDisk(packsOf(a), Buffer.from('"something to spoil"'));
    expect((await post(a, `v1/object/${cid}/verify`, {})).status).toBe(500);
    expect(await objectOf(a, cid)).toMatchObject({ state: 'FAILED' });
    const drop = { method: 'DELETE', path: `/filecoin_interface/v1/object/${cid}` } as const;
    expect((await a.http.call(drop)).status).toBe(204);
    expect((await a.http.call(drop)).status).toBe(404);
  });
});

test('other edges get blocks and nothing else', async () => {
  const headers = { 'x-antirio-peer': 'B' };
  for (const path of ['/filecoin_interface/orchestrator/image', '/filecoin_interface/v1/object'])
    expect((await a.http.call({ path, headers })).status).toBe(403);
  const { cid } = (await post(a, 'v1/object', { json: 1 })).json() as { cid: string };
  expect((await a.http.call({ path: `/ipfs/${cid}?format=raw`, headers })).status).toBe(200);
});

test('a full store says so, and stores again when something is let go', async () => {
  await stopEdge(a);
  a = await startEdge('A', { quotaBytes: 1 << 20 });
  const file = (name: string, seed: number) => {
    const bytes = new Uint8Array(700_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * i * seed) >> 5;
    writeFileSync(join(a.dataDir, 'images', name), bytes);
    return post(a, 'v1/object', { fileName: name });
  };
  const first = (await file('one', 3)).json() as { cid: string };
  expect((await file('two', 5)).status).toBe(507);
  await a.http.call({ method: 'DELETE', path: `/filecoin_interface/v1/object/${first.cid}` });
  expect((await file('two', 5)).status).toBe(200);
});

test('what exports left half-written is removed at the start', async () => {
  await stopEdge(a);
  const path = join(a.dataDir, 'images', 'x.tar.part');
  writeFileSync(path, 'half');
  utimesSync(path, 1000, 1000);
  a = await startEdge('A');
  expect(readdirSync(join(a.dataDir, 'images'))).toEqual([]);
});
