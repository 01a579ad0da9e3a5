import { createCipheriv } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildImage, type BuiltImage } from '@antirio/content-store';
import { sha256Hex } from '@antirio/kernel';
import { sleep, systemClock, waitFor, type HttpAnswer } from '@antirio/host';
import { flipByteOnDisk } from '@antirio/testing';
import { Between, freePort, RoomProcess, type Json } from './test-edges.ts';

interface Edge {
  readonly id: string;
  readonly dataDir: string;
  readonly store: RoomProcess;
  readonly migration: RoomProcess;
}

const OBJECTS = '/api/v3/storage/object';

let folder: string;
let between: Between;
let a: Edge;
let b: Edge;
let count = 0;

async function edge(id: string): Promise<Edge> {
  const dataDir = join(folder, id);
  const { orchestrator: ORCHESTRATOR_URL, edge2edge: EDGE2EDGE_URL } = between.urls(id);
  const common = { DATA_DIR: dataDir, EDGE_ID: id, ORCHESTRATOR_URL, EDGE2EDGE_URL };
  const store = new RoomProcess('filecoin-interface', await freePort(), {
    ...common,
    ATTEMPTS: 8,
    COLLECT_INTERVAL_MS: 1000,
  });
  const migration = new RoomProcess('migration', await freePort(), {
    ...common,
    FILECOIN_INTERFACE_URL: store.url,
    POLL_MS: 20,
    VERIFY_INTERVAL_MS: 300,
    CHECKS_PER_ROUND: 20,
  });
  between.stores.set(id, store.url);
  await Promise.all([store.start(), migration.start()]);
  return { id, dataDir, store, migration };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-migration-'));
  between = new Between();
  await between.open();
  [a, b] = await Promise.all([edge('A'), edge('B')]);
});
afterAll(async () => {
  for (const { store, migration } of [a, b]) await Promise.all([store.kill(), migration.kill()]);
  await between.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  between.told.length = 0;
  between.status = 202;
  between.tamper = false;
});

const noise = (seed: number, size = 2_000_000): Uint8Array =>
  createCipheriv('chacha20', Buffer.alloc(32, seed), Buffer.alloc(16)).update(Buffer.alloc(size));

const packsOf = (edge: Edge): string => join(edge.dataDir, 'filecoin-interface', 'packs');

interface Prepared {
  readonly name: string;
  readonly contractId: string;
  readonly built: BuiltImage;
  /** The first bytes of a block of the image. */
  readonly block: Uint8Array;
  readonly order: Json;
}

/** An image in A's images folder that no other test has, and the order to store it. */
async function prepare(): Promise<Prepared> {
  const n = ++count;
  const name = `service-${n}`;
  const content = noise(n);
  const built = await buildImage(join(a.dataDir, 'images', `${name}.tar`), {
    files: [{ path: 'app/main.mjs', content }],
    entrypoint: ['node', '/app/main.mjs'],
    repoTags: [`${name}:1`],
  });
  const configuration = {
    serviceName: name,
    activationEvent: 'offline',
    event: { interval: '20', ip: '' },
    ports: '1880',
    volumes: '',
    depends_on: [],
  };
  const order = {
    imageId: `image-${n}`,
    imageName: name,
    fileName: `${name}.tar`,
    storageDuration: 7,
    configuration,
  };
  return { name, contractId: `contract-${n}`, built, block: content.subarray(0, 1000), order };
}

const call = (
  at: Edge,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  json?: unknown,
): Promise<HttpAnswer> =>
  at.migration.http.call({ method, path: `/migration/v1/${path}`, ...(json === undefined ? {} : { json }) });
const get = async (at: Edge, path: string): Promise<Json> => (await call(at, 'GET', path)).json() as Json;

const until = async <T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const value = await waitFor(systemClock, 60_000, what, 25);
  if (value === undefined) throw new Error('it never came to it');
  return value;
};
const reaches = (at: Edge, path: string, key: string, ...values: string[]): Promise<Json> =>
  until(async () => {
    const now = await get(at, path).catch((): Json => ({}));
    return values.includes(String(now[key])) ? now : undefined;
  });

const stored = async ({ order }: Prepared): Promise<{ imageCid: string; configCid: string }> => {
  expect((await call(a, 'POST', 'images', order)).status).toBe(202);
  const image = await reaches(a, `images/${String(order['imageId'])}`, 'status', 'STORED', 'COMMITTED');
  return { imageCid: String(image['imageCid']), configCid: String(image['configCid']) };
};
const fetchOrder = ({ contractId, name }: Prepared, cids: Json): Json => ({
  contractId,
  customer: 'A',
  imageName: name,
  ...cids,
});

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
    const order = { ...prepared.order, imageId: `image-${count}-next` };
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

    const changed = Buffer.from(noise(count));
    changed.write('a change of the code', 1_000_000);
    const next = { ...prepared, order: { ...prepared.order, imageId: `image-${count}-next` } };
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
