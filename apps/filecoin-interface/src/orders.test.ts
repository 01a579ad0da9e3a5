import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openBlockStore } from '@antirio/content-store';
import { systemClock } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { filecoinInterfaceOptions } from './options.ts';
import { openRecords } from './records.ts';
import { localStorage } from './storage.ts';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, content, get, inState, packsOf, post, put, Scene, until, v3 } from './test-scene.ts';

let scene: Scene;
let a: Edge;

beforeEach(async () => {
  scene = new Scene();
  a = await scene.start('A');
});
afterEach(() => scene.close());

const pinsOf = async (edge: Edge): Promise<Json[]> =>
  ((await v3(edge, 'GET', 'pins')).json() as { pins: Json[] }).pins;
const imageOf = async (imageId: string): Promise<Json> =>
  ((await v3(a, 'GET', `image/${imageId}`)).json() as { image: Json }).image;
const inStatus = (imageId: string, status: string): Promise<Json> =>
  until(async () => {
    const image = await imageOf(imageId);
    return image['status'] === status ? image : undefined;
  });
const order = (imageId: string, fileName: string, storageDuration = 7) => ({
  imageName: imageId,
  imageId,
  fileName,
  storageDuration,
});

test('an object that is dropped while it is fetched, and ordered anew, is kept', async () => {
  const b = await scene.start('B');
  const { cid } = await put(a, { json: 'wanted twice' });
  const fetched = { cid, providers: ['/p2p/A'] };
  let open = (): void => undefined;
  scene.around.gate = new Promise((resolve) => (open = resolve));
  await v3(b, 'POST', 'fetch', fetched);
  await until(() => (scene.around.relayed > 0 ? true : undefined));
  await v3(b, 'DELETE', `object/${cid}`);
  await v3(b, 'POST', 'fetch', fetched);
  open();
  await inState(b, cid, 'STORED');
  expect(await pinsOf(b)).toEqual([{ name: `object/${cid}`, cid }]);
});

test('an image that is dropped while it is imported, and ordered anew, has the content of the new order', async () => {
  await build(a, 'big.tar', 30_000_000);
  await build(a, 'small.tar', 1000);
  await post(a, 'orchestrator/image', order('one', 'big.tar'));
  await until(async () => {
    const { store } = ((await v3(a, 'GET', 'network')).json() as { network: { store: Json } }).network;
    return Number(store['blocks']) > 0 ? true : undefined;
  });
  expect(await imageOf('one')).toMatchObject({ status: 'WAITING' });
  await v3(a, 'DELETE', 'image/one');
  expect((await post(a, 'orchestrator/image', order('one', 'small.tar'))).status).toBe(202);
  const image = await until(async () => {
    const now = await imageOf('one');
    return now['status'] === 'WAITING' ? undefined : now;
  });
  expect(image).toMatchObject({ status: 'STORED', fileName: 'small.tar' });
  expect(Number(image['size'])).toBeLessThan(100_000);
  expect(await pinsOf(a)).toEqual([{ name: 'image/one', cid: image['imageHash'] }]);
  expect(await get(a, 'backend/error')).toEqual([]);
});

test('a pin whose record is gone, as a kill between both leaves it, goes at the next start', async () => {
  await build(a, 'in.tar');
  await post(a, 'orchestrator/image', order('one', 'in.tar'));
  await inStatus('one', 'STORED');
  const [lost, kept] = [await put(a, { json: 'lost' }), await put(a, { json: 'kept' })];
  await scene.stop(a);
  const records = openRecords(join(a.dataDir, 'filecoin-interface', 'state.sqlite'), systemClock);
  records.objects.remove(lost.cid);
  records.images.remove('one');
  records.close();
  a = await scene.start('A');
  expect(await pinsOf(a)).toEqual([{ name: `object/${kept.cid}`, cid: kept.cid }]);
});

test('a full store is full also while something is on its way into it', async () => {
  const store = await openBlockStore({
    folder: join(scene.folder, 'full'),
    clock: systemClock,
    quotaBytes: 1 << 20,
  });
  const storage = localStorage(store, filecoinInterfaceOptions.parse({ dataDir: scene.folder }));
  let end = (): void => undefined;
  const other = store.session(() => new Promise<void>((resolve) => (end = resolve)));
  async function* tooMuch(): AsyncGenerator<Uint8Array> {
    for (let i = 1; i < 4; i++) yield content(500_000, i * 7);
  }
  await expect(storage.putFile(() => 'object/x', tooMuch)).rejects.toMatchObject({ code: 'storageFull' });
  end();
  await other;
  await store.close();
});

test('an order that asks again for longer is for longer', async () => {
  await build(a, 'in.tar');
  await post(a, 'orchestrator/image', order('one', 'in.tar'));
  const longer = (await post(a, 'orchestrator/image', order('one', 'in.tar', 300))).json() as Json;
  expect(longer['storageDuration']).toBe(300);
  const image = await inStatus('one', 'STORED');
  expect(Number(image['expiresAt']) - Number(image['createdAt'])).toBe(300 * 86_400_000);
  expect(image).toMatchObject({ storageDuration: 300, cost: { days: 300 } });
  const shorter = (await post(a, 'orchestrator/image', order('one', 'in.tar', 3))).json();
  expect(shorter).toMatchObject({ storageDuration: 300 });
});

test('a file that an image waits for is written over by nobody', async () => {
  await build(a, 'big.tar', 30_000_000);
  const { cid } = await put(a, { json: 'something else' });
  await post(a, 'orchestrator/image', order('one', 'big.tar'));
  const path = '/api/v3/storage/file/big.tar';
  const headers = { 'content-type': 'application/octet-stream' };
  const [uploaded, exported] = await Promise.all([
    a.http.call({ method: 'PUT', path, headers, body: Buffer.from('something else') }),
    v3(a, 'POST', `object/${cid}/export`, { fileName: 'big.tar' }),
  ]);
  expect([uploaded.status, exported.status]).toEqual([409, 409]);
  expect(Number((await inStatus('one', 'STORED'))['size'])).toBeGreaterThan(30_000_000);
});

const spoiled = async (fileName: string, size: number): Promise<string> => {
  const { imageHash } = await inStatus('one', 'STORED');
  flipByteOnDisk(packsOf(a), content(size, 7).subarray(0, 5000));
  if (fileName !== 'in.tar') rmSync(join(a.dataDir, 'images', 'in.tar'));
  expect((await v3(a, 'POST', `object/${String(imageHash)}/verify`, {})).status).toBe(500);
  return String(imageHash);
};
const retrievability = (): unknown[] =>
  scene.around.reports.flatMap(({ path, body }) => (/retrievability/.test(path) ? [body['ok']] : []));

test('an image that the disk has changed is imported anew from where it came', async () => {
  await build(a, 'in.tar', 3_000_000);
  await post(a, 'orchestrator/image', order('one', 'in.tar'));
  const cid = await spoiled('in.tar', 3_000_000);
  expect(await inStatus('one', 'STORED')).toMatchObject({ imageHash: cid });
  expect((await v3(a, 'POST', `object/${cid}/verify`, {})).status).toBe(200);
  await until(() => (retrievability().length === 2 ? true : undefined));
  expect(retrievability()).toEqual([false, true]);
});

test('an image that the disk has changed, and whose file is gone, is FAILED', async () => {
  await build(a, 'in.tar', 3_000_000);
  await post(a, 'orchestrator/image', order('one', 'in.tar'));
  const cid = await spoiled('gone', 3_000_000);
  const error = expect.stringMatching(/the disk has changed/) as unknown;
  expect(await imageOf('one')).toMatchObject({ status: 'FAILED', error, imageHash: cid });
  expect(await inState(a, cid, 'FAILED')).toMatchObject({ error });
  await until(() => (retrievability().length === 1 ? true : undefined));
});
