import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openTestWay, TestKubo } from '@antirio/storage-network/testing';
import { imageOf, inStatus, KuboScene, order, storage } from './test-kubo-scene.ts';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, post, until } from './test-scene.ts';

let scene: KuboScene;
let kubo: KuboScene['kubo'];
let way: KuboScene['way'];

beforeEach(async () => {
  scene = await KuboScene.open();
  ({ kubo, way } = scene);
});
afterEach(() => scene.close());

describe('when another network is chosen', () => {
  let other: TestKubo;
  beforeEach(async () => {
    other = await TestKubo.open(join(scene.folder, 'other'));
  });
  afterEach(() => other.close());

  const formerOf = async (edge: Edge): Promise<Json[]> =>
    ((await storage(edge, 'network')).json() as { network: { former: Json[] } }).network.former;
  const nothingLeft = (edge: Edge): Promise<true> =>
    until(async () => ((await formerOf(edge)).length === 0 ? true : undefined));
  const begin = async (more: object = scene.withKubo()): Promise<Edge> => {
    const a = await scene.start('A', more);
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'COMMITTED');
    await storage(a, 'object', { json: { of: 'A' } });
    await until(() => (kubo.pins.size === 2 ? true : undefined));
    await scene.stop(a);
    return a;
  };

  test('what the former one holds is told of, stays there for a while, and comes back with it', async () => {
    await begin();
    const a = await scene.start('A', scene.withKubo(other.url));
    await inStatus(a, 'one', 'COMMITTED');
    expect(other.pins.size).toBe(2);
    expect(await formerOf(a)).toEqual([expect.objectContaining({ name: `kubo:${way.url}`, pieces: 2 })]);
    expect((await a.room.health())['formerNetworks']).toEqual({
      ok: true,
      detail: `2 pieces are still kept at kubo:${way.url}`,
    });
    expect(kubo.pins.size).toBe(2);
    await a.http.call({ method: 'DELETE', path: '/api/v3/storage/image/one' });
    await until(() => (other.pins.size === 1 ? true : undefined));
    await scene.stop(a);
    const back = await scene.start('A', scene.withKubo());
    expect(await formerOf(back)).toEqual([expect.objectContaining({ name: `kubo:${other.url}`, pieces: 1 })]);
    await until(() => (kubo.pins.size === 1 ? true : undefined));
    expect([...kubo.pins.values()][0]).toMatch(/^A\/object/);
  });

  test('the former one is left once the new one holds all, and when it can be reached', async () => {
    await begin();
    way.fault('down');
    const newWay = await openTestWay(other.url);
    try {
      newWay.fault('down');
      const a = await scene.start('A', scene.withKubo(newWay.url, { formerNetworkKeepMs: 0, attempts: 1 }));
      await until(async () =>
        /fail/.test((await a.room.health())['network']?.detail ?? '') ? true : undefined,
      );
      expect((await formerOf(a))[0]?.['error']).toBeUndefined();
      newWay.fault(undefined);
      await inStatus(a, 'one', 'COMMITTED');
      await until(async () => (await formerOf(a))[0]?.['error']);
      expect((await a.room.health())['formerNetworks']).toMatchObject({ ok: false });
      way.fault(undefined);
      await nothingLeft(a);
      expect([kubo.pins.size, other.pins.size]).toEqual([0, 2]);
      expect((await a.room.health())['formerNetworks']).toBeUndefined();
    } finally {
      await newWay.close();
    }
  });

  test('a node more is brought everything, a node less is left', async () => {
    await begin();
    const both = { network: { kind: 'kubo', apiUrls: [way.url, other.url] }, formerNetworkKeepMs: 0 };
    let a = await scene.start('A', { ...scene.withKubo(), ...both });
    await inStatus(a, 'one', 'COMMITTED');
    await until(() => (other.pins.size === 2 ? true : undefined));
    expect(await formerOf(a)).toEqual([]);
    await scene.stop(a);
    a = await scene.start('A', scene.withKubo(other.url, { formerNetworkKeepMs: 0 }));
    expect((await imageOf(a, 'one'))['status']).toBe('COMMITTED');
    await nothingLeft(a);
    expect([kubo.pins.size, other.pins.size]).toEqual([0, 2]);
  });

  test('none: the node is left as well, and one that is not there any more can be forgotten', async () => {
    await begin();
    let a = await scene.start('A', { formerNetworkKeepMs: 0, networkRecheckMs: 100 });
    await nothingLeft(a);
    expect(kubo.pins.size).toBe(0);
    await scene.stop(a);
    await begin();
    way.fault('down');
    a = await scene.start('A', { formerNetworkKeepMs: 0, attempts: 1 });
    const [gone] = await until(async () => {
      const all = await formerOf(a);
      return all[0]?.['error'] === undefined ? undefined : all;
    });
    const path = `/api/v3/storage/network/former/${String(gone?.['id'])}`;
    expect((await a.http.call({ method: 'DELETE', path })).status).toBe(200);
    expect((await a.http.call({ method: 'DELETE', path })).status).toBe(404);
    expect(await formerOf(a)).toEqual([]);
    expect(kubo.pins.size).toBe(2);
  });

  test('the same node by another address keeps what it has', async () => {
    await begin();
    const a = await scene.start('A', scene.withKubo(kubo.url, { formerNetworkKeepMs: 0 }));
    await nothingLeft(a);
    expect(kubo.pins.size).toBe(2);
    expect((await imageOf(a, 'one'))['status']).toBe('COMMITTED');
  });
});
