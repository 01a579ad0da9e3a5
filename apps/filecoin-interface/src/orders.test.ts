import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, get, inState, post, put, Scene, until, v3 } from './test-scene.ts';

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
