import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { TestChain, TestProvider } from '@antirio/storage-filecoin/testing';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, get, order, post, Scene, until, v3 } from './test-scene.ts';

let scene: Scene;
let chain: TestChain;
let provider: TestProvider;
let keyFile: string;

beforeEach(async () => {
  scene = new Scene();
  chain = await TestChain.open();
  provider = await TestProvider.open(chain, join(scene.folder, 'provider'));
  keyFile = join(scene.folder, 'key');
  writeFileSync(keyFile, randomBytes(32).toString('hex'));
});
afterEach(async () => {
  await scene.close();
  await provider.close();
  await chain.close();
});

const start = (id: string, more: object = {}): Promise<Edge> =>
  scene.start(id, {
    network: { kind: 'filecoin', chain: 'calibration', rpcUrl: chain.url, keyFile },
    networkCheckMs: 50,
    networkRecheckMs: 200,
    formerNetworkKeepMs: 0,
    ...more,
  });
const imageOf = async (edge: Edge): Promise<Json> =>
  (await get(edge, `orchestrator/image?imageName=${order.imageName}`)) as Json;
const inStatus = (edge: Edge, status: string): Promise<Json> =>
  until(async () => {
    const image = await imageOf(edge);
    return image['status'] === status ? image : undefined;
  });
const heldOf = async (edge: Edge, imageId: string): Promise<Json> =>
  ((await v3(edge, 'GET', `image/${imageId}`)).json() as { image: { held: Json } }).image.held;
const liveSets = (): number =>
  chain.dataSets.flatMap(({ pieces }) => pieces).filter(({ isRemoved }) => !isRemoved).length;

test('an image of an edge that chose Filecoin is COMMITTED once it is proven, is fetched by what it is known by there, and leaves with the network', async () => {
  let a = await start('A');
  expect((await a.room.health())['network']).toMatchObject({ ok: true });
  await build(a, order.fileName);
  await post(a, 'orchestrator/image', order);
  const { imageId, imageHash } = await inStatus(a, 'STORED');
  const held = await until(async () => {
    const now = await heldOf(a, String(imageId));
    return now['state'] === 'STORED' ? now : undefined;
  });
  expect(held).toMatchObject({ network: 'filecoin', providers: [`filecoin:${provider.id}`] });
  expect((await imageOf(a))['status']).toBe('STORED');
  chain.nextPeriod(chain.dataSets[0]?.id ?? 0n);
  chain.prove(chain.dataSets[0]?.id ?? 0n);
  await inStatus(a, 'COMMITTED');

  const b = await start('B');
  const fetched = { cid: imageHash, providers: held['providers'], pieceCid: held['pieceCid'] };
  expect((await v3(b, 'POST', 'fetch', fetched)).status).toBe(202);
  await until(async () => {
    const { object } = (await v3(b, 'GET', `object/${String(imageHash)}`)).json() as { object: Json };
    return object['state'] === 'STORED' ? true : undefined;
  });
  expect((await v3(b, 'POST', `object/${String(imageHash)}/verify`, {})).status).toBe(200);

  await scene.stop(a);
  expect(liveSets()).toBe(1);
  a = await start('A', { network: { kind: 'embedded' } });
  expect((await imageOf(a))['status']).toBe('STORED');
  await until(() => (liveSets() === 0 ? true : undefined));
  await until(async () => {
    const { network } = (await v3(a, 'GET', 'network')).json() as { network: { former: unknown[] } };
    return network.former.length === 0 ? true : undefined;
  });
});
