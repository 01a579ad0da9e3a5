import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openBlockStore, type BlockStore } from '@antirio/content-store';
import { systemClock, systemRandom } from '@antirio/host';
import { dagOf } from './dag-of.ts';
import { kuboNetwork, type KuboNetworkOptions } from './kubo-network.ts';
import type { Dag, StorageNetwork } from './storage-network.ts';
import { makeFile } from './test-dags.ts';
import { TestKubo } from './test-kubo.ts';
import { openTestWay, type TestWay } from './test-way.ts';

let folder: string;
let store: BlockStore;
let here: TestKubo;
let there: TestKubo;
let way: TestWay;
const networks: StorageNetwork[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-copies-'));
  store = await openBlockStore({ folder: join(folder, 'store'), clock: systemClock });
  here = await TestKubo.open(join(folder, 'here'));
  there = await TestKubo.open(join(folder, 'there'));
  way = await openTestWay(there.url);
});
afterEach(async () => {
  for (const network of networks.splice(0)) await network.close();
  await way.close();
  for (const node of [here, there]) await node.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function networkOf(more: Partial<KuboNetworkOptions> = {}): StorageNetwork {
  const network = kuboNetwork({
    apiUrls: [here.url, way.url],
    copies: 1,
    folder: join(folder, `names-${networks.length}`),
    owner: 'edge-a',
    clock: systemClock,
    random: systemRandom,
    idleMs: 1000,
    ...more,
  });
  networks.push(network);
  return network;
}

const dag = async (size: number): Promise<Dag> => dagOf(store, await makeFile(store, size, `${size}`));

test('owners of the same DAG on one node do not take it from each other', async () => {
  const [a, b] = [networkOf(), networkOf({ owner: 'edge-b' })];
  const shared = await dag(1000);
  const ref = await a.put('x', shared);
  await b.put('x', shared);
  expect(await a.unpin('x')).toBe(true);
  await here.collect();
  expect((await a.status(ref)).state).toBe('absent');
  expect((await b.status(ref)).state).toBe('replicated');
  expect([...here.pins.values()]).toEqual(['edge-b/x']);
});

test('what was replaced while a node is away is in nobody’s way, and let go once it is there again', async () => {
  const network = networkOf();
  const before = await network.put('x', await dag(1000));
  await network.put('y', await dag(2000));
  way.fault('down');
  await network.put('x', await dag(3000));
  await network.put('z', await dag(4000));
  expect(here.pins.size).toBe(3);
  way.fault(undefined);
  for (let i = 0; there.pins.size > 1 && i < 1000; i++) await new Promise((done) => setTimeout(done, 10));
  expect([...there.pins.values()]).toEqual(['edge-a/y']);
  expect((await network.status(before)).state).toBe('absent');
});

test('of what a node has nearly all of the rest is sent, however long it takes to ask about it', async () => {
  const network = networkOf({ apiUrls: [here.url] });
  const of = async (bytes: number): Promise<Dag> => dagOf(store, await makeFile(store, bytes, 'grows', 1000));
  await network.put('x', await of(150_000));
  here.imports.length = 0;
  here.askMs = 100;
  const longer = await of(150_500);
  const seen: number[] = [];
  const ref = await network.put('x', longer, { onProgress: (bytes) => void seen.push(bytes) });
  expect((await network.status(ref)).state).toBe('replicated');
  // The new root first, what is new at the end much later.
  expect(here.imports).toHaveLength(2);
  expect(here.imports.at(-1)).toBe(500);
  expect(seen.at(-1)).toBe(longer.bytes);
  here.imports.length = 0;
  await network.put('y', longer);
  expect(here.imports).toEqual([]);
});

test('pins of ours that nobody here knows of are taken away, those of others are not', async () => {
  const network = networkOf({ apiUrls: [here.url] });
  const forgotten = await network.put('x', await dag(1000));
  await networkOf({ apiUrls: [here.url], owner: 'edge-ab' }).put('x', await dag(2000));
  const again = networkOf({ apiUrls: [here.url] });
  await again.put('y', await dag(3000));
  expect(await again.keepOnly((name) => name === 'y')).toBe(0);
  expect([...here.pins.values()].sort()).toEqual(['edge-a/y', 'edge-ab/x']);
  expect((await network.status(forgotten)).state).toBe('absent');
});

test('what is left of a network leaves alone what is kept at the same node by another address', async () => {
  const present = networkOf({ apiUrls: [here.url.replace('127.0.0.1', 'localhost')] });
  const ref = await present.put('x', await dag(1000));
  const former = networkOf({ apiUrls: [here.url] });
  expect(await former.keepOnly(() => false, present)).toBe(0);
  expect((await present.status(ref)).state).toBe('replicated');
  here.peerId = '';
  await expect(former.keepOnly(() => false, present)).rejects.toMatchObject({ code: 'unavailable' });
  expect(here.pins.size).toBe(1);
});

test('one node by several names is one copy; who it is is asked each time', async () => {
  const names = [here.url, here.url.replace('127.0.0.1', 'localhost'), `${here.url}/api/v0`];
  const network = networkOf({ apiUrls: names, copies: 2 });
  const ref = await network.put('x', await dag(1000));
  const told = expect.stringMatching(/localhost:\d+ is the same node as kubo:http:\/\/127/) as unknown;
  expect(await network.status(ref)).toMatchObject({
    state: 'stored',
    providers: [`kubo:${here.url}`],
    detail: told,
  });
  expect(await network.health()).toMatchObject({ ok: true, detail: told });
  const two = networkOf({ apiUrls: [here.url, there.url], copies: 2 });
  const held = await two.put('x', await dag(1000));
  expect((await two.status(held)).state).toBe('replicated');
  there.peerId = here.peerId;
  expect((await two.status(held)).state).toBe('stored');
  there.peerId = 'another';
  expect((await two.status(held)).state).toBe('replicated');
});
