import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildImage } from '@antirio/content-store';
import { sleep, systemClock } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { TwoEdges, call, fetchOrder, get, packsOf, reaches, until, type Edge } from './migration.fixture.ts';
import { type Json } from './test-edges.ts';

const OBJECTS = '/api/v3/storage/object';
const edges = new TwoEdges();
const { between, folder, prepare, stored } = edges;
let a: Edge;
let b: Edge;
beforeAll(async () => void ([a, b] = await edges.open()));
afterAll(() => edges.close());
beforeEach(() => edges.reset());

describe('the customer’s side (Algorithm 1)', () => {
  test('image and configuration are stored, both are sent to the provider by CID, once', async () => {
    const prepared = await prepare();
    const first = await call(a, 'POST', 'images', prepared.order);
    expect(first.json()).toMatchObject({
      imageId: prepared.order['imageId'],
      imageCid: null,
      status: 'STORING',
    });
    const cids = await stored(prepared);
    const path = `contracts/${prepared.contractId}/send`;
    for (let i = 0; i < 2; i++)
      expect((await call(a, 'POST', path, { providerEdgeId: 'B', ...cids })).status).toBe(202);
    const told = await until(() => between.told.find(({ foreign }) => foreign));
    expect(told).toMatchObject({ edge: 'B', path: '/orchestrator/service_provider/contract' });
    expect(told.body).toEqual({
      edgeId: 'A',
      contractId: prepared.contractId,
      imageName: prepared.name,
      imageHash: cids.imageCid,
      config: cids.configCid,
      providers: ['/p2p/A'],
    });
    await sleep(200);
    expect(between.told.filter(({ foreign }) => foreign)).toHaveLength(1);
    const other = await call(a, 'POST', path, { providerEdgeId: 'C', ...cids });
    expect(other.status).toBe(409);
  });

  test('an image that the provider holds is COMMITTED, and the orchestrator is told', async () => {
    const prepared = await prepare();
    const cids = await stored(prepared);
    await call(a, 'POST', `contracts/${prepared.contractId}/send`, { providerEdgeId: 'B', ...cids });
    await call(b, 'POST', 'fetch', fetchOrder(prepared, cids));
    await reaches(a, `images/${String(prepared.order['imageId'])}`, 'status', 'COMMITTED');
    const statuses = await until(() => {
      const about = between.told.filter(({ body }) => body['imageId'] === prepared.order['imageId']);
      return about.length === 2 ? about : undefined;
    });
    expect(statuses.map(({ edge: at, body }) => [at, body['status']])).toEqual([
      ['A', 'STORED'],
      ['A', 'COMMITTED'],
    ]);
  });

  test('an image of the container engine is stored as it streams, again from the start where that breaks off', async () => {
    const { name, built, order } = await prepare();
    const path = join(a.dataDir, 'images', `${name}.tar`);
    const elsewhere = join(folder, `${name}.tar`);
    renameSync(path, elsewhere);
    between.engine.set(`A/${name}:1`, { path: elsewhere, breaksAfter: 900_000 });
    const { fileName: _, ...rest } = order;
    const ofEngine = { ...rest, image: `${name}:1` };
    expect((await call(a, 'POST', 'images', ofEngine)).status).toBe(202);
    const image = await reaches(a, `images/${String(order['imageId'])}`, 'status', 'STORED', 'FAILED');
    expect(image).toMatchObject({ status: 'STORED', image: `${name}:1` });
    expect(readdirSync(join(a.dataDir, 'images')).filter((file) => file.includes(name))).toEqual([]);
    const out = { fileName: `${name}-out.tar` };
    const exported = await a.store.http.call({
      method: 'POST',
      path: `${OBJECTS}/${String(image['imageCid'])}/export`,
      json: out,
    });
    expect(exported.json()).toMatchObject({ exported: { imageId: built.imageId, sha256: built.sha256 } });

    const absent = { ...ofEngine, imageId: `${String(order['imageId'])}-absent`, image: 'absent:1' };
    await call(a, 'POST', 'images', absent);
    const failed = await reaches(a, `images/${absent.imageId}`, 'status', 'FAILED');
    expect(failed['error']).toContain('no such image');
    expect((await call(a, 'POST', 'images', { ...ofEngine, ...order })).status).toBe(400);
    expect((await call(a, 'POST', 'images', rest)).status).toBe(400);
  });

  test('a newer image of the name is sent under the same contract, another is a conflict', async () => {
    const prepared = await prepare();
    const first = await stored(prepared);
    const path = `contracts/${prepared.contractId}/send`;
    await call(a, 'POST', path, { providerEdgeId: 'B', ...first });
    const order = { ...prepared.order, imageId: `image-${prepared.n}-next` };
    await buildImage(join(a.dataDir, 'images', `${prepared.name}.tar`), {
      files: [{ path: 'app/main.mjs', content: 'another' }],
      entrypoint: ['node', '/app/main.mjs'],
    });
    const second = await stored({ ...prepared, order });
    const sent = await call(a, 'POST', path, { providerEdgeId: 'B', ...second });
    expect(sent.json()).toMatchObject({ ...second, state: 'SENDING', previous: first });
    const both = await until(() => {
      const about = between.told.filter(({ body }) => body['contractId'] === prepared.contractId);
      return about.length === 2 ? about : undefined;
    });
    expect(both.map(({ body }) => body['imageHash'])).toEqual([first.imageCid, second.imageCid]);
    const other = await prepare();
    const refused = await call(a, 'POST', path, { providerEdgeId: 'B', ...(await stored(other)) });
    expect(refused.status).toBe(409);
  });

  test('a provider is asked for every block in turn; what it has lost the orchestrator is told, and when it is back', async () => {
    const prepared = await prepare();
    const cids = await stored(prepared);
    await call(b, 'POST', 'fetch', fetchOrder(prepared, cids));
    await reaches(b, `fetch/${prepared.contractId}`, 'state', 'DOWNLOADED');
    await call(a, 'POST', `contracts/${prepared.contractId}/send`, { providerEdgeId: 'B', ...cids });
    const sent = async (): Promise<Json> => {
      const all = (await call(a, 'GET', 'contracts')).json() as Json[];
      return all.find(({ contractId }) => contractId === prepared.contractId) ?? {};
    };
    await until(async () => (Number((await sent())['rounds']) >= 1 ? true : undefined));
    await call(b, 'DELETE', `fetch/${prepared.contractId}`);
    const tell = (ok: boolean) =>
      until(() =>
        between.told.find(
          ({ path, body }) =>
            path === '/orchestrator/v1/retrievability' &&
            body['contractId'] === prepared.contractId &&
            body['ok'] === ok,
        ),
      );
    expect((await tell(false)).body).toMatchObject({
      at: 'provider',
      providerEdgeId: 'B',
      ...{ imageCid: cids.imageCid },
    });
    const metrics = await a.migration.http.call({ path: '/api/v3/metrics' });
    expect(Buffer.from(metrics.body).toString()).toMatch(/not_retrievable\{of="atProviders"\} [1-9]/);
    await call(b, 'POST', 'fetch', fetchOrder(prepared, cids));
    await tell(true);
    await call(a, 'DELETE', `contracts/${prepared.contractId}`);
  });

  test('a version that the provider gave up is told once; the one before is what it holds, and the same may be sent again', async () => {
    const prepared = await prepare();
    const { contractId, name } = prepared;
    const first = await stored(prepared);
    await call(b, 'POST', 'fetch', fetchOrder(prepared, first));
    await reaches(b, `fetch/${contractId}`, 'state', 'DOWNLOADED');
    const path = `contracts/${contractId}`;
    await call(a, 'POST', `${path}/send`, { providerEdgeId: 'B', ...first });
    await until(async () => ((await get(a, path))['heldByProvider'] === undefined ? undefined : true));
    await buildImage(join(a.dataDir, 'images', `${name}.tar`), {
      files: [{ path: 'app/main.mjs', content: 'another' }],
      entrypoint: ['node', '/app/main.mjs'],
    });
    const second = await stored({ ...prepared, order: { ...prepared.order, imageId: `${name}-next` } });
    const versions = (...more: Json[]): Json[] => [
      { imageHash: first.imageCid, config: first.configCid, status: 'LOADED', role: 'current' },
      ...more.map((each) => ({ imageHash: second.imageCid, config: second.configCid, ...each })),
    ];
    between.versions.set(contractId, versions({ status: 'REQUESTED', error: 'the disk is full' }));
    await call(a, 'POST', `${path}/send`, { providerEdgeId: 'B', ...second });
    await until(async () => ((await get(a, path))['state'] === 'SENT' ? true : undefined));
    const givenUp = { outcome: 'failed', reason: 'not ready after 300 s', at: 1 };
    between.versions.set(contractId, versions({ status: 'ENDED', givenUp }));
    const tells = () =>
      between.told.filter(
        ({ path: at, body }) => at === '/orchestrator/v1/retrievability' && body['contractId'] === contractId,
      );
    const letter = await until(() => tells()[0]);
    expect(letter.body).toMatchObject({
      ok: true,
      imageCid: first.imageCid,
      givenUp: { imageCid: second.imageCid, reason: givenUp.reason },
    });
    // After a kill it is not told again
    await a.migration.kill();
    await a.migration.start();
    const since = Date.now();
    const checked = await until(async () => {
      const sent = await get(a, path);
      const at = (sent['heldByProvider'] as { checkedAt: number } | undefined)?.checkedAt ?? 0;
      return at > since ? sent : undefined;
    });
    expect(checked).toMatchObject({
      ...second,
      previous: first,
      alarmed: false,
      atProvider: { state: 'GIVEN_UP', reason: givenUp.reason },
      heldByProvider: { ok: false },
      previousHeld: { ok: true },
    });
    // One letter: killed between the answer to it and its note of that, it is brought once more
    expect(new Set(tells().map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const health = await a.migration.http.call({ path: '/api/v3/ready' });
    expect(Buffer.from(health.body).toString()).toContain(`${contractId} (GIVEN_UP: ${givenUp.reason})`);
    const metrics = await a.migration.http.call({ path: '/api/v3/metrics' });
    expect(Buffer.from(metrics.body).toString()).toMatch(/versions_given_up 1/);

    between.told.length = 0;
    between.versions.set(contractId, versions({ status: 'LOADED', role: 'next' }));
    const again = await call(a, 'POST', `${path}/send`, { providerEdgeId: 'B', ...second });
    expect(again.json()).toMatchObject({ ...second, state: 'SENDING', previous: first });
    await until(() =>
      between.told.find(({ foreign, body }) => foreign && body['imageHash'] === second.imageCid),
    );
    expect((await call(a, 'DELETE', path)).status).toBe(204);
    expect((await call(a, 'GET', path)).status).toBe(404);
    between.versions.delete(contractId);
  });

  test('a stored image that the disk has damaged is found and mended from its file', async () => {
    const prepared = await prepare();
    await stored(prepared);
    flipByteOnDisk(packsOf(a), prepared.block);
    const path = `images/${String(prepared.order['imageId'])}`;
    const before = systemClock.now();
    await until(async () => {
      const { retrievable } = (await get(a, path)) as { retrievable?: { ok: boolean; checkedAt: number } };
      return retrievable?.ok === true && retrievable.checkedAt > before + 600 ? true : undefined;
    });
    expect(
      readFileSync(join(a.dataDir, 'filecoin-interface', 'packs', '00000001.pack')).indexOf(prepared.block),
    ).toBeGreaterThan(0);
  });

  test('one whose file is gone too is reported as not retrievable', async () => {
    const prepared = await prepare();
    await stored(prepared);
    rmSync(join(a.dataDir, 'images', `${prepared.name}.tar`));
    flipByteOnDisk(packsOf(a), prepared.block);
    const path = `images/${String(prepared.order['imageId'])}`;
    await until(async () => {
      const { retrievable } = (await get(a, path)) as { retrievable?: { ok: boolean } };
      return retrievable?.ok === false ? true : undefined;
    });
    const ready = (await a.migration.http.call({ path: '/api/v3/ready' })).json();
    expect(ready).toMatchObject({ ready: false });
    expect((await call(a, 'DELETE', path)).status).toBe(204);
  });

  test('an image that is none becomes FAILED with the reason', async () => {
    const { order } = await prepare();
    writeFileSync(join(a.dataDir, 'images', String(order['fileName'])), 'no tar at all'.repeat(99));
    await call(a, 'POST', 'images', order);
    const image = await reaches(a, `images/${String(order['imageId'])}`, 'status', 'FAILED');
    expect(image['error']).toMatch(/malformed tar/);
    expect((await call(a, 'POST', 'images', order)).json()).toMatchObject({ status: 'FAILED' });
  });

  test.each([
    [
      'images',
      { configuration: { serviceName: 'x', activationEvent: 'offline', event: { interval: 20 } } },
      400,
    ],
    ['images', { fileName: '../x' }, 400],
    ['images', { fileName: 'absent.tar' }, 404],
    ['images', { storageDuration: 0 }, 400],
    ['contracts/x/send', { providerEdgeId: 'B', imageCid: 'bafkreiabsent' }, 404],
    ['contracts/x/send', {}, 400],
  ])('a wrong POST to %s is refused: %j', async (path, change, status) => {
    const { order } = await prepare();
    const body = path === 'images' ? { ...order, ...change } : change;
    const answer = await call(a, 'POST', path, body);
    expect([answer.status, answer.json()]).toMatchObject([status, { statusCode: status }]);
  });
});
