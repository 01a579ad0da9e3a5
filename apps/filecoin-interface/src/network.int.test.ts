import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, sleep } from '@antirio/host';
import { findKubo, freePort, kuboTest, startKubo } from '@antirio/testing';
import { listen } from './test-events.ts';
import { imageOf, inStatus, KuboScene, order, storage } from './test-kubo-scene.ts';
import type { Json } from './test-neighbourhood.ts';
import { build, get, post, until } from './test-scene.ts';

let scene: KuboScene;
let kubo: KuboScene['kubo'];
let way: KuboScene['way'];
let child: ChildProcess | undefined;

beforeEach(async () => {
  scene = await KuboScene.open();
  ({ kubo, way } = scene);
});
afterEach(async () => {
  await kill();
  await scene.close();
});

async function kill(): Promise<void> {
  const running = child;
  child = undefined;
  if (running === undefined || running.exitCode !== null) return;
  running.kill('SIGKILL');
  await new Promise((resolve) => running.once('close', resolve));
}

const reported = (): unknown[] => scene.around.reports.map((report) => report.body['status']);

describe('an image of an edge that has a Kubo', () => {
  test('is STORED here, COMMITTED once the node holds it, and taken out of it at the end', async () => {
    const a = await scene.start('A', scene.withKubo());
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'COMMITTED');
    await until(() => (reported().length === 2 ? true : undefined));
    expect(reported()).toEqual(['STORED', 'COMMITTED']);
    expect([...kubo.pins.values()]).toEqual(['A/image/one']);
    expect((await a.room.health())['network']).toMatchObject({ ok: true });
    const providers = [`kubo:${way.url}`];
    expect((await storage(a, 'image/one')).json()).toMatchObject({
      image: { held: { network: 'kubo', state: 'COMMITTED', providers } },
    });
    expect((await storage(a, 'network')).json()).toMatchObject({
      network: { kind: 'kubo', ok: true, waiting: 0, failed: 0 },
    });
    await a.http.call({ method: 'DELETE', path: '/api/v3/storage/image/one' });
    await until(() => (kubo.pins.size === 0 ? true : undefined));
  });

  test('is COMMITTED by the network only, whoever says so', async () => {
    way.fault('down');
    const a = await scene.start('A', scene.withKubo());
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    const { imageHash } = await inStatus(a, 'one', 'STORED');
    const told = { imageId: 'one', imageHash, status: 'COMMITTED' };
    expect((await post(a, 'backend/image', told)).status).toBe(202);
    expect((await imageOf(a, 'one'))['status']).toBe('STORED');
    expect(await get(a, 'backend/image')).toHaveLength(1);
  });

  test('tells how far it is on its way there', async () => {
    const a = await scene.start('A', scene.withKubo());
    const all = await listen(a, 'events?imageId=one');
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    const own = await listen(a, 'image/one/events');
    await own.over;
    expect(own.events.at(-1)).toMatchObject({ event: 'end', data: { image: { imageId: 'one' } } });
    const pushed = await until(() =>
      all.events.find(({ data }) => data['kind'] === 'push' && data['state'] === 'done'),
    );
    expect(pushed.data['bytes']).toBe(pushed.data['totalBytes']);
    expect(pushed.data['bytes']).toBeGreaterThan(300_000);
    all.close();
  });

  test('waits for a node that is away, over a restart; health says so', async () => {
    way.fault('down');
    let a = await scene.start('A', scene.withKubo());
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'STORED');
    expect((await a.room.health())['network']).toMatchObject({ ok: false });
    await scene.stop(a);
    way.fault(undefined);
    a = await scene.start('A', scene.withKubo());
    await inStatus(a, 'one', 'COMMITTED');
  });

  test('is tried again later where the node had no room', async () => {
    way.fault('full');
    const a = await scene.start('A', scene.withKubo());
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await until(async () => ((await get(a, 'backend/error')) as Json[]).find((each) => each['code'] === 507));
    way.fault(undefined);
    await inStatus(a, 'one', 'COMMITTED');
  });

  test('that the node loses is brought there again', async () => {
    const a = await scene.start('A', scene.withKubo());
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'COMMITTED');
    const [pinned] = kubo.pins.keys();
    await fetch(`${kubo.url}/api/v0/pin/rm?arg=${String(pinned)}`, { method: 'POST' });
    await kubo.collect();
    await until(() => (kubo.pins.size === 1 ? true : undefined));
    await inStatus(a, 'one', 'COMMITTED');
    expect(kubo.imports).toHaveLength(2);
  });

  test('that the node has lost and has no room for is COMMITTED no more', async () => {
    const a = await scene.start('A', scene.withKubo(way.url, { attempts: 2 }));
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'COMMITTED');
    way.fault('full');
    const [pinned] = kubo.pins.keys();
    await fetch(`${kubo.url}/api/v0/pin/rm?arg=${String(pinned)}`, { method: 'POST' });
    await kubo.collect();
    await inStatus(a, 'one', 'STORED');
    await until(() => (reported().length === 3 ? true : undefined));
    expect(reported()).toEqual(['STORED', 'COMMITTED', 'STORED']);
    await until(async () => {
      const { detail = '' } = (await a.room.health())['network'] ?? {};
      return /1 have failed/.test(detail) ? true : undefined;
    });
    way.fault(undefined);
    await inStatus(a, 'one', 'COMMITTED');
  });

  test('of which the node says nothing for a while is COMMITTED no more after some of them', async () => {
    const a = await scene.start('A', scene.withKubo(way.url, { attempts: 1 }));
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'COMMITTED');
    way.fault('down');
    await until(async () => ((await a.room.health())['network']?.ok === false ? true : undefined));
    expect((await imageOf(a, 'one'))['status']).toBe('COMMITTED');
    await inStatus(a, 'one', 'STORED');
    way.fault(undefined);
    await inStatus(a, 'one', 'COMMITTED');
  });

  test('and an object that were stored before it had one are brought there after the next start; COMMITTED is theirs only', async () => {
    let a = await scene.start('A');
    const object = (await storage(a, 'object', { json: 'before' })).json() as { object: { cid: string } };
    await build(a, 'in.tar');
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    await inStatus(a, 'one', 'STORED');
    await scene.stop(a);
    a = await scene.start('A', scene.withKubo());
    await inStatus(a, 'one', 'COMMITTED');
    await until(() => ([...kubo.pins.values()].includes(`A/object/${object.object.cid}`) ? true : undefined));
    await scene.stop(a);
    a = await scene.start('A');
    expect((await imageOf(a, 'one'))['status']).toBe('STORED');
  });
});

test('a network that cannot be opened is said at the start, and keeps nothing open', async () => {
  const network = { kind: 'kubo', apiUrls: [way.url], copies: 2 };
  await expect(scene.start('A', { network })).rejects.toMatchObject({ code: 'badConfig' });
  await scene.start('A');
});

test('the configuration that is shown tells no token that an address holds', async () => {
  const tokenFile = join(scene.folder, 'token');
  writeFileSync(tokenFile, 'token');
  const network = {
    kind: 'kubo',
    apiUrls: [`${way.url}/rpc/hunter2`],
    pinning: { endpoint: `${way.url}/psa/hunter2`, tokenFile },
  };
  const a = await scene.start('A', { network });
  const shown = (await a.http.call({ path: '/api/v3/config' })).json();
  expect(shown).toMatchObject({
    config: {
      network: {
        ...network,
        apiUrls: [`${way.url}/***`],
        pinning: { endpoint: `${way.url}/***`, tokenFile },
      },
    },
  });
  way.fault('down');
  expect(JSON.stringify([shown, await a.room.health()])).not.toContain('hunter2');
});

describe('an object', () => {
  test('is fetched out of the node where the edge that brought it there is gone', async () => {
    const a = await scene.start('A', scene.withKubo());
    await build(a, 'in.tar', 3_000_000);
    const stored = await storage(a, 'object', { fileName: 'in.tar', kind: 'image' });
    const { cid } = (stored.json() as { object: { cid: string } }).object;
    await until(() => (kubo.pins.size > 0 ? true : undefined));
    await scene.stop(a);
    const b = await scene.start('B', scene.withKubo());
    way.fault('lie');
    await storage(b, 'fetch', { cid, providers: [`kubo:${way.url}`] });
    const failed = await until(async () => {
      const { object } = (await storage(b, `object/${cid}`)).json() as { object: Json };
      return object['state'] === 'FAILED' ? object : undefined;
    });
    expect(failed['error']).toMatch(/not those of|not a CAR|no CID/);
    way.fault(undefined);
    await storage(b, 'fetch', { cid, providers: [`kubo:${way.url}`] });
    await until(async () => {
      const { object } = (await storage(b, `object/${cid}`)).json() as { object: Json };
      return object['state'] === 'STORED' ? true : undefined;
    });
    expect((await storage(b, `object/${cid}/verify`, {})).status).toBe(200);
    expect([...kubo.pins.values()]).toEqual([`A/object/${cid}`]);
  });
});

test('whenever the process is killed, all of what was ordered comes to the node, each once', async () => {
  const a = await scene.start('A');
  const names = ['one', 'two', 'three'];
  for (const [i, name] of names.entries()) await build(a, `${name}.tar`, 3_000_000 + i);
  await scene.stop(a);
  scene.around.edges.delete('A');
  const port = await freePort();
  const config = join(scene.folder, 'config.json');
  const around = { orchestratorUrl: scene.around.url, edge2edgeUrl: scene.around.url };
  writeFileSync(
    config,
    JSON.stringify({ port, dataDir: a.dataDir, edgeId: 'A', ...around, ...scene.withKubo() }),
  );
  const http = httpPeer({ url: `http://127.0.0.1:${port}` });
  const start = async (): Promise<void> => {
    const env = { ...process.env, NODE_OPTIONS: '' };
    child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), config], { env, stdio: 'ignore' });
    await until(async () => {
      const answer = await http.call({ path: '/filecoin_interface/health' }).catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
  };
  const edge = { ...a, http };
  try {
    for (const [i, name] of names.entries()) {
      await start();
      await post(edge, 'orchestrator/image', order(`${name}.tar`, name));
      await sleep(i * 70);
      await kill();
      // Killed in the middle of what it sends.
      way.fault('stall');
      await start();
      await inStatus(edge, name, 'STORED');
      await kill();
      way.fault(undefined);
    }
    await start();
    for (const name of names) await inStatus(edge, name, 'COMMITTED');
    const committed = scene.around.reports.filter((report) => report.body['status'] === 'COMMITTED');
    expect(new Set(committed.map((report) => report.body['imageId']))).toEqual(new Set(names));
    expect([...kubo.pins.values()].sort()).toEqual(names.map((name) => `A/image/${name}`).sort());
  } finally {
    http.close();
  }
});

const program = findKubo();
kuboTest('goes by a real Kubo from one edge to another', async () => {
  const real = await startKubo(String(program), join(scene.folder, 'real'));
  try {
    const a = await scene.start('A', scene.withKubo(real.url));
    await build(a, 'in.tar', 3_000_000);
    await post(a, 'orchestrator/image', order('in.tar', 'one'));
    const cid = String((await inStatus(a, 'one', 'COMMITTED'))['imageHash']);
    expect(real.ipfs('ls', cid)).toMatch(/manifest\.json/);
    await scene.stop(a);
    const b = await scene.start('B', scene.withKubo(real.url));
    await storage(b, 'fetch', { cid, providers: [`kubo:${real.url}`] });
    await until(async () => {
      const { object } = (await storage(b, `object/${cid}`)).json() as { object: Json };
      return object['state'] === 'STORED' ? true : undefined;
    });
  } finally {
    await real.stop();
  }
});
