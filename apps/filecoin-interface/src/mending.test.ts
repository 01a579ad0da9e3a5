import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { flipByteOnDisk } from '@antirio/testing';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, content, packsOf, post, put, Scene, until, v3 } from './test-scene.ts';

let scene: Scene;
let a: Edge;

beforeEach(async () => {
  scene = new Scene();
  a = await scene.start('A');
});
afterEach(() => scene.close());

const pins = async (): Promise<Json[]> =>
  ((await v3(a, 'GET', 'pins')).json() as { pins: Json[] }).pins.map(({ name, cid }) => ({ name, cid }));
const verified = async (cid: string): Promise<number> => (await v3(a, 'POST', `object/${cid}/verify`)).status;
const stored = async (imageId: string, fileName: string): Promise<string> => {
  await post(a, 'orchestrator/image', { imageId, imageName: imageId, fileName, storageDuration: 7 });
  const image = await until(async () => {
    const now = ((await v3(a, 'GET', `image/${imageId}`)).json() as { image: Json }).image;
    return now['status'] === 'STORED' ? now : undefined;
  });
  return String(image['imageHash']);
};
const damage = (): void => {
  flipByteOnDisk(packsOf(a), content(300_000, 7).subarray(0, 1000));
};

test('an image is whole again from its archive, kept by what kept it and nothing else', async () => {
  await build(a, 'one.tar');
  const cid = await stored('one', 'one.tar');
  const before = await pins();
  damage();
  expect(await verified(cid)).toBe(500);
  const mended = await v3(a, 'POST', `object/${cid}/mend`, { fileName: 'one.tar' });
  expect([mended.status, mended.json()]).toMatchObject([200, { mended: { cid } }]);
  expect(await verified(cid)).toBe(200);
  expect(await pins()).toEqual(before);
  expect((await v3(a, 'GET', 'object')).json()).toMatchObject({ totalCount: 0 });
  expect((await v3(a, 'DELETE', 'image/one')).status).toBe(200);
  await until(async () => ((await pins()).length === 0 ? true : undefined));
});

test('an archive that holds another image by now mends nothing and is not kept', async () => {
  await build(a, 'one.tar');
  const cid = await stored('one', 'one.tar');
  const before = await pins();
  await build(a, 'one.tar', 1000);
  expect((await v3(a, 'POST', `object/${cid}/mend`, { fileName: 'one.tar' })).status).toBe(409);
  expect(await pins()).toEqual(before);
});

test('an object that was found damaged is STORED again; what nobody keeps is not mended', async () => {
  await build(a, 'one.tar');
  const { cid } = await put(a, { fileName: 'one.tar', kind: 'image' });
  damage();
  expect(await verified(cid)).toBe(500);
  expect((await v3(a, 'GET', `object/${cid}`)).json()).toMatchObject({ object: { state: 'FAILED' } });
  expect((await v3(a, 'POST', `object/${cid}/mend`, { fileName: 'one.tar' })).status).toBe(200);
  expect((await v3(a, 'GET', `object/${cid}`)).json()).toMatchObject({ object: { state: 'STORED' } });
  await v3(a, 'DELETE', `object/${cid}`);
  expect((await v3(a, 'POST', `object/${cid}/mend`, { fileName: 'one.tar' })).status).toBe(404);
});
