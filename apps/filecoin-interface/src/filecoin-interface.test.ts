import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { flipByteOnDisk } from '@antirio/testing';
import type { Edge, Json, Neighbourhood } from './test-neighbourhood.ts';
import {
  build,
  content,
  get,
  inState,
  objectOf,
  order,
  packsOf,
  post,
  put,
  Scene,
  stored,
  until,
  v3,
} from './test-scene.ts';

let scene: Scene;
let around: Neighbourhood;
let a: Edge;
let b: Edge;

beforeEach(async () => {
  scene = new Scene();
  around = scene.around;
  a = await scene.start('A');
  b = await scene.start('B');
});
afterEach(() => scene.close());

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

  test('tables 4.6 and 4.8: what backends tell is kept; of an image that is not here the orchestrator is told nothing', async () => {
    const told = { imageid: '16935cab-2de3', imageHash: '7kg8sdf03jdfh9hfsf49h0sdf', status: 'COMMITTED' };
    const answer = await post(a, 'backend/image', told);
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({
      imageId: told.imageid,
      imageHash: told.imageHash,
      status: 'COMMITTED',
    });
    const error = { errorObject: { a: 1 }, code: 404, message: "can't find miner" };
    expect((await post(a, 'backend/error', error)).status).toBe(202);
    expect(await get(a, 'backend/image')).toHaveLength(1);
    expect(await get(a, 'backend/error')).toMatchObject([error]);
    const ready = { ...told, status: 'READY2DOWNLOAD', providers: ['/p2p/B'] };
    expect((await post(a, 'backend/image', ready)).status).toBe(400);
    expect(await get(a, 'backend/image')).toHaveLength(1);
    await build(a, order.fileName);
    await post(a, 'orchestrator/image', { ...order, imageId: 'own' });
    await until(() => (around.reports.length > 0 ? true : undefined));
    expect(around.reports.map((report) => report.body['imageId'])).toEqual(['own']);
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
  const image = { imageId: 'i', imageHash, minerAddress: 'A' };
  expect((await v3(a, 'GET', 'image/i')).json()).toMatchObject({ apiVersion: 'v3', statusCode: 200, image });
  expect(await objectOf(a, String(imageHash))).toMatchObject({ state: 'STORED', cid: imageHash });
  expect((await v3(a, 'DELETE', 'image/i')).json()).toEqual({ apiVersion: 'v3', statusCode: 200 });
  expect((await v3(a, 'DELETE', 'image/i')).status).toBe(404);
});

test('a report that the orchestrator does not take now is there after a restart', async () => {
  around.orchestratorStatus = 503;
  await build(a, order.fileName);
  await post(a, 'orchestrator/image', order);
  await stored(a, order.imageName);
  await until(async () => ((await a.room.health())['orchestrator']?.ok === false ? true : undefined));
  await scene.stop(a);
  around.orchestratorStatus = 202;
  a = await scene.start('A');
  expect((await until(() => around.reports[0])).body).toMatchObject({ status: 'STORED' });
});

describe('objects go from edge to edge', () => {
  test('an image: fetched through edge2edge, exported as the same archive', async () => {
    const built = await build(a, 'in.tar');
    const { cid } = await put(a, { fileName: 'in.tar', kind: 'image' });
    const ordered = await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A', '/p2p/B'] });
    expect([ordered.status, ordered.json()]).toMatchObject([202, { object: { cid, state: 'FETCHING' } }]);
    const object = await inState(b, cid, 'STORED');
    expect(object).toMatchObject({ cid, progress: { fetchedBlocks: expect.any(Number) as unknown } });
    const exported = await v3(b, 'POST', `object/${cid}/export`, { fileName: 'out.tar' });
    const { sha256, imageId } = built;
    expect(exported.json()).toMatchObject({ exported: { sha256, imageId, fileName: 'out.tar' } });
    expect(
      readFileSync(join(b.dataDir, 'images', 'out.tar')).equals(
        readFileSync(join(a.dataDir, 'images', 'in.tar')),
      ),
    ).toBe(true);
  });

  test('JSON and plain files', async () => {
    const json = await put(a, { json: { b: [1, 'x'], a: null } });
    writeFileSync(join(a.dataDir, 'images', 'plain'), content(2_500_000));
    const file = await put(a, { fileName: 'plain' });
    expect(file.size).toBe(2_500_000);
    for (const { cid } of [json, file]) {
      await v3(b, 'POST', 'fetch', { cid, providers: [`http://127.0.0.1:${a.room.port}`] });
      await inState(b, cid, 'STORED');
      expect((await v3(b, 'POST', `object/${cid}/export`, { fileName: cid })).status).toBe(200);
    }
    expect(readFileSync(join(b.dataDir, 'images', json.cid), 'utf8')).toBe('{"a":null,"b":[1,"x"]}');
    expect(statSync(join(b.dataDir, 'images', file.cid)).size).toBe(2_500_000);
  });

  test('a provider that lies gives nothing: FAILED says who lied, and nothing of it is kept', async () => {
    const { cid } = await put(a, { json: 'the truth' });
    around.tamper = (body) => Buffer.from(body.map((byte) => byte ^ 1));
    await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A'] });
    const object = await inState(b, cid, 'FAILED');
    expect(object['error']).toMatch(/\/p2p\/A lied/);
    expect((await b.http.call({ path: `/ipfs/${cid}?format=raw` })).status).toBe(404);
    expect((await v3(b, 'POST', `object/${cid}/export`, { fileName: 'x' })).status).toBe(404);
  });

  test('a byte flipped on the disk is found: no export, no archive; fetched anew only that block comes', async () => {
    await build(a, 'in.tar', 3_000_000);
    const { cid } = await put(a, { fileName: 'in.tar', kind: 'image' });
    await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A'] });
    await inState(b, cid, 'STORED');
    flipByteOnDisk(packsOf(b), content(3_000_000, 7).subarray(0, 5000));
    const refused = await v3(b, 'POST', `object/${cid}/export`, { fileName: 'out.tar' });
    expect(refused.status).toBe(500);
    expect(refused.json()).toMatchObject({
      message: expect.stringMatching(/the disk has changed the stored block/) as unknown,
    });
    expect(readdirSync(join(b.dataDir, 'images'))).toEqual([]);
    expect(await objectOf(b, cid)).toMatchObject({ state: 'FAILED' });
    await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A'] });
    expect(await inState(b, cid, 'STORED')).toMatchObject({ progress: { fetchedBlocks: 1 } });
    expect((await v3(b, 'POST', `object/${cid}/export`, { fileName: 'out.tar' })).status).toBe(200);
  });

  test('a fetch waits for a provider that is away, and goes on after a restart', async () => {
    const { cid } = await put(a, { json: 'x'.repeat(1000) });
    await scene.stop(a);
    around.edges.delete('A');
    await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A'] });
    await until(() => (around.relayed > 3 ? true : undefined));
    expect(await objectOf(b, cid)).toMatchObject({ state: 'FETCHING' });
    await scene.stop(b);
    a = await scene.start('A');
    b = await scene.start('B');
    await inState(b, cid, 'STORED');
  });

  test('verify finds what is damaged; drop lets go', async () => {
    const { cid } = await put(a, { json: 'something to spoil' });
    expect((await v3(a, 'POST', `object/${cid}/verify`, {})).json()).toMatchObject({
      verified: { cid, blocks: 1 },
    });
    expect((await v3(a, 'GET', `object/${cid}/sample?count=3`)).json()).toMatchObject({
      sample: { cid, blocks: 1, bytes: 20, blockCids: [cid] },
    });
    flipByteOnDisk(packsOf(a), Buffer.from('"something to spoil"'));
    expect((await v3(a, 'POST', `object/${cid}/verify`, {})).status).toBe(500);
    expect(await objectOf(a, cid)).toMatchObject({ state: 'FAILED' });
    expect((await v3(a, 'DELETE', `object/${cid}`)).json()).toEqual({ apiVersion: 'v3', statusCode: 200 });
    expect((await v3(a, 'DELETE', `object/${cid}`)).status).toBe(404);
  });

  test('what was stored is damaged, not missing, whoever has read the changed block first', async () => {
    const { cid } = await put(a, { json: 'something else to spoil' });
    flipByteOnDisk(packsOf(a), Buffer.from('"something else to spoil"'));
    expect((await a.http.call({ path: `/ipfs/${cid}?format=raw` })).status).toBeGreaterThanOrEqual(400);
    const answer = await v3(a, 'POST', `object/${cid}/verify`, {});
    expect([answer.status, answer.json()]).toMatchObject([
      500,
      { message: expect.stringMatching(/not whole any more: block .* is not here/) as unknown },
    ]);
    expect(await objectOf(a, cid)).toMatchObject({ state: 'FAILED' });
  });
});

test('other edges get blocks and nothing else', async () => {
  const headers = { 'x-antirio-peer': 'B' };
  for (const path of ['/filecoin_interface/orchestrator/image', '/api/v3/storage/object'])
    expect((await a.http.call({ path, headers })).status).toBe(403);
  const { cid } = await put(a, { json: 1 });
  expect((await a.http.call({ path: `/ipfs/${cid}?format=raw`, headers })).status).toBe(200);
});

test('a full store says so, and stores again when something is let go', async () => {
  await scene.stop(a);
  a = await scene.start('A', { quotaBytes: 1 << 20 });
  const file = (name: string, seed: number) => {
    const bytes = new Uint8Array(700_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * i * seed) >> 5;
    writeFileSync(join(a.dataDir, 'images', name), bytes);
    return v3(a, 'POST', 'object', { fileName: name });
  };
  const first = ((await file('one', 3)).json() as { object: { cid: string } }).object;
  expect((await file('two', 5)).status).toBe(507);
  await v3(a, 'DELETE', `object/${first.cid}`);
  expect((await file('two', 5)).status).toBe(201);
});

test('what exports left half-written is removed at the start', async () => {
  await scene.stop(a);
  const path = join(a.dataDir, 'images', 'x.tar.part');
  writeFileSync(path, 'half');
  utimesSync(path, 1000, 1000);
  a = await scene.start('A');
  expect(readdirSync(join(a.dataDir, 'images'))).toEqual([]);
});
