import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildImage } from '@antirio/content-store';
import { sha256Hex } from '@antirio/kernel';
import { sleep, systemClock } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import {
  TwoEdges,
  call,
  fetchOrder,
  get,
  noise,
  packsOf,
  reaches,
  until,
  type Edge,
} from './migration.fixture.ts';
import { type RoomProcess, type Json } from './test-edges.ts';

const edges = new TwoEdges();
const { between, prepare, stored } = edges;
let a: Edge;
let b: Edge;
beforeAll(async () => void ([a, b] = await edges.open()));
afterAll(() => edges.close());
beforeEach(() => edges.reset());

describe('the provider’s side (Algorithm 2)', () => {
  test('the image is fetched, verified and there as the same archive; the configuration is read', async () => {
    const prepared = await prepare();
    const cids = await stored(prepared);
    const order = fetchOrder(prepared, cids);
    const answer = await call(b, 'POST', 'fetch', order);
    expect([answer.status, answer.json()]).toMatchObject([202, { state: 'FETCHING' }]);
    const done = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(done).toMatchObject({
      state: 'DOWNLOADED',
      imageId: prepared.built.imageId,
      archiveSha256: prepared.built.sha256,
      configuration: { serviceName: prepared.name, service_customer_id: 'A', miner_address: '/p2p/A' },
      progress: { configuration: 'STORED' },
    });
    expect(sha256Hex(readFileSync(String(done['archive'])))).toBe(prepared.built.sha256);
    const told = await until(() =>
      between.told.find(({ edge: at, body }) => at === 'B' && body['status'] === 'DOWNLOADED'),
    );
    expect(told).toMatchObject({
      foreign: false,
      path: '/orchestrator/service_provider/image/status',
      body: { imageId: prepared.contractId },
    });
    expect((await call(b, 'POST', 'fetch', order)).json()).toMatchObject({ state: 'DOWNLOADED' });
    expect((await call(b, 'POST', 'fetch', { ...order, customer: 'C' })).status).toBe(409);
    expect((await call(b, 'DELETE', `fetch/${prepared.contractId}`)).status).toBe(204);
    expect(existsSync(String(done['archive']))).toBe(false);
    expect((await call(b, 'GET', `fetch/${prepared.contractId}`)).status).toBe(404);
  });

  test('of a second version only what changed comes over, and it is there as whole as the first', async () => {
    const prepared = await prepare();
    const first = await stored(prepared);
    await call(b, 'POST', 'fetch', fetchOrder(prepared, first));
    const one = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(one['fetchedBytes']).toBeGreaterThan(2_000_000);

    const changed = Buffer.from(noise(prepared.n));
    changed.write('a change of the code', 1_000_000);
    const next = { ...prepared, order: { ...prepared.order, imageId: `image-${prepared.n}-next` } };
    const built = await buildImage(join(a.dataDir, 'images', `${prepared.name}.tar`), {
      files: [{ path: 'app/main.mjs', content: changed }],
      entrypoint: ['node', '/app/main.mjs'],
      repoTags: [`${prepared.name}:2`],
    });
    const second = await stored(next);
    const order = { ...fetchOrder(prepared, second), contractId: `${prepared.contractId}-next` };
    const given = (): number => between.given.get('A') ?? 0;
    const before = given();
    await call(b, 'POST', 'fetch', order);
    const two = await reaches(b, `fetch/${order.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    const came = given() - before;
    expect(two).toMatchObject({ state: 'DOWNLOADED', archiveSha256: built.sha256 });
    // One chunk of the file, and what leads to it
    expect(two['fetchedBytes']).toBeLessThan(600_000);
    expect(two['reusedBytes']).toBeGreaterThan(1_400_000);
    expect(came).toBeLessThan(Number(two['fetchedBytes']) + 10_000);
  });

  test('a block of it that the disk has changed is made of the archive: what is ready stays so while the customer is away', async () => {
    const prepared = await prepare();
    await call(b, 'POST', 'fetch', fetchOrder(prepared, await stored(prepared)));
    const path = `fetch/${prepared.contractId}`;
    await reaches(b, path, 'state', 'DOWNLOADED');
    between.stores.delete('A');
    flipByteOnDisk(packsOf(b), prepared.block);
    const states = new Set<unknown>();
    const before = systemClock.now();
    await until(async () => {
      const { state, retrievable } = await get(b, path);
      states.add(state);
      const { ok, checkedAt } = retrievable as { ok: boolean; checkedAt: number };
      return ok && checkedAt > before + 600 ? true : undefined;
    });
    between.stores.set('A', a.store.url);
    expect([...states]).toEqual(['DOWNLOADED']);
    const packs = readdirSync(packsOf(b)).map((name) => readFileSync(join(packsOf(b), name)));
    expect(packs.some((pack) => pack.includes(Buffer.from(prepared.block)))).toBe(true);
  });

  test('nothing is left at the end of a contract but what another one has in common with it', async () => {
    const usage = async (at: Edge): Promise<number> => {
      const answer = await at.store.http.call({ path: '/api/v3/storage/network' });
      return (answer.json() as { network: { store: { blocks: number } } }).network.store.blocks;
    };
    // What other tests have left for the next collection goes first
    const settled = async (at: Edge): Promise<number> => {
      let last = -1;
      return until(async () => {
        const now = await usage(at);
        await sleep(1300);
        const same = now === last && now === (await usage(at));
        last = now;
        return same ? now : undefined;
      });
    };
    const [atA, atB] = await Promise.all([settled(a), settled(b)]);
    const prepared = await prepare();
    const cids = await stored(prepared);
    const ids = [prepared.contractId, `${prepared.contractId}-other`];
    for (const contractId of ids) {
      await call(b, 'POST', 'fetch', { ...fetchOrder(prepared, cids), contractId });
      await reaches(b, `fetch/${contractId}`, 'state', 'DOWNLOADED');
    }
    await call(a, 'POST', `contracts/${prepared.contractId}/send`, { providerEdgeId: 'B', ...cids });
    const full = await usage(b);
    expect(full).toBeGreaterThan(atB + 5);
    const archive = (id: string): string => join(b.dataDir, 'images', `contract-${id}.tar`);
    expect((await call(b, 'DELETE', `fetch/${ids[0] ?? ''}`)).status).toBe(204);
    expect(ids.map((id) => existsSync(archive(id)))).toEqual([false, true]);
    await sleep(1300);
    expect(await usage(b)).toBe(full);
    // The last one while the store is away: it is let go once that is back, by whoever has started again meanwhile
    await b.store.kill();
    expect((await call(b, 'DELETE', `fetch/${ids[1] ?? ''}`)).status).toBe(503);
    expect((await call(b, 'GET', `fetch/${ids[1] ?? ''}`)).status).toBe(404);
    await b.migration.kill();
    await Promise.all([b.store.start(), b.migration.start()]);
    await until(async () => ((await usage(b)) === atB ? true : undefined));
    expect(existsSync(archive(ids[1] ?? ''))).toBe(false);
    const all = (await call(b, 'GET', 'fetch')).json() as { contractId: string }[];
    expect(all.filter(({ contractId }) => ids.includes(contractId))).toEqual([]);

    expect((await call(a, 'DELETE', `contracts/${prepared.contractId}`)).status).toBe(204);
    expect((await call(a, 'DELETE', `images/${String(prepared.order['imageId'])}`)).status).toBe(204);
    await until(async () => ((await usage(a)) === atA ? true : undefined));
    expect((await call(a, 'GET', `images/${String(prepared.order['imageId'])}`)).status).toBe(404);
  });

  test('an archive that is gone from the disk is written again from the blocks', async () => {
    const prepared = await prepare();
    await call(b, 'POST', 'fetch', fetchOrder(prepared, await stored(prepared)));
    const done = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED');
    rmSync(String(done['archive']));
    await until(() => (existsSync(String(done['archive'])) ? true : undefined));
    await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED');
  });

  test('a byte flipped in a block that came: no DOWNLOADED, no archive; asked again, just that block is fetched', async () => {
    const prepared = await prepare();
    const cids = await stored(prepared);
    await b.store.http.call({
      method: 'POST',
      path: '/api/v3/storage/fetch',
      json: { cid: cids.imageCid, providers: ['/p2p/A'] },
    });
    await until(async () => {
      const answer = await b.store.http.call({ path: `/api/v3/storage/object/${cids.imageCid}` });
      return (answer.json() as { object: Json }).object['state'] === 'STORED' ? true : undefined;
    });
    flipByteOnDisk(packsOf(b), prepared.block);
    const order = fetchOrder(prepared, cids);
    await call(b, 'POST', 'fetch', order);
    const failed = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(failed).toMatchObject({
      state: 'FAILED',
      error: expect.stringMatching(/the disk has changed/) as unknown,
    });
    expect(failed['archive']).toBeUndefined();
    expect(existsSync(join(b.dataDir, 'images', `contract-${prepared.contractId}.tar`))).toBe(false);
    expect(between.told.some(({ body }) => body['status'] === 'DOWNLOADED')).toBe(false);

    expect((await call(b, 'POST', 'fetch', order)).json()).toMatchObject({ state: 'FETCHING' });
    const done = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(done).toMatchObject({ state: 'DOWNLOADED', progress: { image: { fetchedBlocks: 1 } } });
  });

  test('a byte flipped at the customer: what is left is not enough, and says so', async () => {
    const prepared = await prepare();
    const cids = await stored(prepared);
    await a.migration.kill();
    flipByteOnDisk(packsOf(a), prepared.block);
    await call(b, 'POST', 'fetch', fetchOrder(prepared, cids));
    const failed = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(failed).toMatchObject({
      state: 'FAILED',
      error: expect.stringMatching(/nobody gives block/) as unknown,
    });
    await a.migration.start();
  });

  test('a customer that sends other bytes gets nothing stored here', async () => {
    const prepared = await prepare();
    const cids = await stored(prepared);
    between.tamper = true;
    await call(b, 'POST', 'fetch', fetchOrder(prepared, cids));
    const failed = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(failed['error']).toMatch(/\/p2p\/A lied/);
  });

  test('what is no image, or has no configuration, is FAILED with the reason', async () => {
    const prepared = await prepare();
    const { imageCid, configCid } = await stored(prepared);
    const contract = (n: number): string => `${prepared.contractId}-${n}`;
    await call(b, 'POST', 'fetch', {
      ...fetchOrder(prepared, { imageCid: configCid, configCid }),
      contractId: contract(1),
    });
    await call(b, 'POST', 'fetch', {
      ...fetchOrder(prepared, { imageCid, configCid: imageCid }),
      contractId: contract(2),
    });
    const noImage = await reaches(b, `fetch/${contract(1)}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(noImage).toMatchObject({
      state: 'FAILED',
      error: expect.stringContaining('is no image') as unknown,
    });
    const noConfiguration = await reaches(b, `fetch/${contract(2)}`, 'state', 'DOWNLOADED', 'FAILED');
    expect(noConfiguration).toMatchObject({
      state: 'FAILED',
      error: expect.stringContaining('configuration.json') as unknown,
    });
  });

  test('other edges have no business here', async () => {
    const answer = await b.migration.http.call({
      path: '/migration/v1/fetch',
      headers: { 'x-antirio-peer': 'A' },
    });
    expect(answer.status).toBe(403);
  });
});

test('the whole way goes on to its end however often either edge is killed', async () => {
  const prepared = await prepare();
  const killed = async (room: RoomProcess, afterMs: number): Promise<void> => {
    await sleep(afterMs);
    await room.kill();
    await room.start();
  };
  await call(a, 'POST', 'images', prepared.order);
  await killed(a.store, 5);
  await killed(a.migration, 20);
  const image = await reaches(a, `images/${String(prepared.order['imageId'])}`, 'status', 'STORED');
  const cids = { imageCid: String(image['imageCid']), configCid: String(image['configCid']) };

  between.status = 503;
  await call(a, 'POST', `contracts/${prepared.contractId}/send`, { providerEdgeId: 'B', ...cids });
  await killed(a.migration, 30);
  between.status = 202;
  const { body } = await until(() => between.told.find(({ foreign }) => foreign));
  expect(body).toMatchObject({ imageHash: cids.imageCid, config: cids.configCid });

  await call(b, 'POST', 'fetch', fetchOrder(prepared, cids));
  await killed(b.migration, 0);
  await killed(b.store, 5);
  await killed(b.migration, 30);
  await killed(b.store, 30);
  const done = await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED', 'FAILED');
  expect(done).toMatchObject({ state: 'DOWNLOADED', archiveSha256: prepared.built.sha256 });
  await until(() =>
    between.told.find((each) => each.edge === 'B' && each.body['imageId'] === prepared.contractId),
  );
});
