import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HttpAnswer } from '@antirio/host';
import { fromUtf8, generateIdentity, openIdentity, utf8 } from '@antirio/kernel';
import { introduce, startEdge, until, type TestEdge } from './edges.fixture.ts';

let a: TestEdge;
let b: TestEdge;

beforeAll(async () => {
  [a, b] = await Promise.all([startEdge(), startEdge()]);
});
afterAll(async () => {
  await Promise.all([a, b].map((edge) => edge.close()));
});

const textOf = (answer: HttpAnswer): string => fromUtf8(answer.body);

describe('the address book', () => {
  test('survives a restart, and the configuration wins over what it was told', async () => {
    const edge = await startEdge();
    await introduce(edge, a);
    await edge.restart();
    const path = `/api/v3/peer/${a.identity.edgeId}`;
    expect((await edge.local.call({ path })).json()).toMatchObject({ url: a.url, source: 'told' });
    await edge.restart({ neighbours: { [a.identity.edgeId]: { url: 'http://127.0.0.1:9' } } });
    expect((await edge.local.call({ path })).json()).toMatchObject({
      url: 'http://127.0.0.1:9',
      source: 'config',
    });
    await introduce(edge, a);
    expect((await edge.local.call({ path })).json()).toMatchObject({ url: 'http://127.0.0.1:9' });
    expect(
      ((await edge.local.call({ path: '/api/v3/peer' })).json() as { peers: object[] }).peers,
    ).toHaveLength(1);
    expect(readFileSync(`${edge.dataDir}/edge2edge/peers.json`, 'utf8')).toContain(a.url);
    await edge.close();
  });

  test('refuses what is no address, and seal keys of somebody else', async () => {
    const path = `/api/v3/peer/${a.identity.edgeId}`;
    const bad = [
      {},
      { url: 'ftp://x' },
      { url: a.url, udp: { host: 'x', port: 0 } },
      { url: a.url, more: 1 },
      { url: a.url, sealKey: 'x' },
    ];
    for (const json of bad) expect((await b.local.call({ method: 'PUT', path, json })).status).toBe(400);
    expect(
      (
        await b.local.call({
          method: 'PUT',
          path,
          body: utf8('{'),
          headers: { 'content-type': 'application/json' },
        })
      ).status,
    ).toBe(400);
    const stolen = { ...openIdentity(generateIdentity()).sealKey, edgeId: a.identity.edgeId };
    expect((await b.local.call({ method: 'PUT', path, json: { url: a.url, sealKey: stolen } })).status).toBe(
      403,
    );
    expect((await b.local.call({ method: 'PUT', path: '/api/v3/peer/x', json: { url: a.url } })).status).toBe(
      400,
    );
  });
});

describe('with a centre', () => {
  const centralOf = (central: TestEdge): object => ({
    central: {
      edgeId: central.identity.edgeId,
      url: central.url,
      udp: { host: '127.0.0.1', port: central.edge.udpPort },
    },
  });

  test('edges register, find each other on the ledger, and are known by that', async () => {
    const central = await startEdge({ role: 'central', vetted: 'all' });
    const one = await startEdge({ ...centralOf(central), name: 'one' });
    const two = await startEdge(centralOf(central));
    const detail = async (edge: TestEdge): Promise<unknown> =>
      (
        (await edge.local.call({ path: '/api/v3/ready' })).json() as {
          checks: { ledger: { detail: string } };
        }
      ).checks.ledger.detail;
    await until(async () => (await detail(one)) === 'registered' && (await detail(two)) === 'registered');

    const found = await one.local.call({ path: `/api/v3/peer/${two.identity.edgeId}` });
    expect(found.json()).toMatchObject({
      url: two.url,
      udp: { port: two.edge.udpPort },
      sealKey: two.identity.sealKey,
      source: 'ledger',
    });
    // Two has never heard of one, and asks the ledger.
    const path = `/edge2edge/peer/${two.identity.edgeId}/filecoin-interface/ipfs/x`;
    expect((await one.local.call({ path })).status).toBe(200);

    // Datagrams to the centre, which looks up who they are of.
    let beats = 0;
    await central.bus.subscribe('antirio/datagram/in/beat', () => {
      beats += 1;
    });
    await until(async () => {
      await one.bus.publish(
        'antirio/datagram/out',
        JSON.stringify({ to: 'central', kind: 'beat', body: {} }),
      );
      await delay(20);
      return beats > 0;
    });

    // A match on the ledger opens the negotiation for its parties.
    const ledger = central.rooms.ledger;
    if (ledger === undefined) throw new TypeError('no ledger');
    ledger.match = { customer: one.identity.edgeId, provider: two.identity.edgeId };
    const negotiation = {
      method: 'POST',
      path: `/edge2edge/peer/${two.identity.edgeId}/dmu/dmu/v1/negotiation/m1`,
      json: { offer: 1 },
    } as const;
    expect((await one.local.call(negotiation)).status).toBe(200);
    expect((await central.local.call(negotiation)).status).toBe(403);

    // An edge that moved is found again, without being told.
    await two.restart();
    await until(async () => (await detail(two)) === 'registered');
    await until(async () => (await one.local.call({ path })).status === 200);
    await Promise.all([one, two, central].map((edge) => edge.close()));
  });

  test('nobody is taken there who is neither vetted nor registered', async () => {
    const central = await startEdge({ role: 'central', vetted: [a.identity.edgeId] });
    const outsider = await startEdge(centralOf(central));
    const head = '/edge2edge/peer/central/ledger/ledger/v1/head';
    expect((await outsider.local.call({ path: head })).status).toBe(403);
    await outsider.restart({ central: undefined });
    await central.restart({ vetted: [outsider.identity.edgeId] });
    await outsider.restart(centralOf(central));
    expect((await outsider.local.call({ path: head })).json()).toHaveProperty('height');
    expect(
      (
        await outsider.local.call({
          method: 'PUT',
          path: '/edge2edge/peer/central/ledger/ledger/v1/tx',
          json: {},
        })
      ).status,
    ).toBe(503);
    // Its own rooms reach the centre by the same name.
    expect((await central.local.call({ path: head })).json()).toHaveProperty('height');
    await Promise.all([outsider, central].map((edge) => edge.close()));
  });

  test('an edge whose centre is away is ready, and registers when it comes', async () => {
    const central = await startEdge({ role: 'central', vetted: 'all' });
    const where = centralOf(central);
    await central.edge.stop();
    const edge = await startEdge(where);
    const ready = await edge.local.call({ path: '/api/v3/ready' });
    expect([ready.status, textOf(ready)]).toEqual([200, expect.stringContaining('"ledger"')]);
    const { central: address } = where as { central: { url: string; udp: { port: number } } };
    await central.restart({ peerPort: Number(new URL(address.url).port), udpPort: address.udp.port });
    await until(async () =>
      textOf(await edge.local.call({ path: '/api/v3/ready' })).includes('"registered"'),
    );
    await Promise.all([edge, central].map((one) => one.close()));
  });
});

test('an edge that listens everywhere must say where it is', async () => {
  await expect(startEdge({ peerBind: '0.0.0.0' })).rejects.toThrow('edge2edge.advertise');
});
