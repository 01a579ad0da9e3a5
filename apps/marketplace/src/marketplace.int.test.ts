import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  callJson,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type HttpPeer,
} from '@antirio/host';
import type { Identity } from '@antirio/kernel';
import { createMarketplace, marketplaceOptions, type Marketplace } from './index.ts';
import { ada, ben, central, startCentre, type Centre } from './market.fixture.ts';

let folder: string;
let centre: Centre;
let cleanUp: (() => Promise<void> | void)[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'marketplace-'));
  centre = await startCentre(folder);
  cleanUp = [];
});

afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
  await centre.stop();
  rmSync(folder, { recursive: true });
});

interface Shop {
  readonly room: Marketplace;
  readonly peer: HttpPeer;
}

async function open(
  identity: Identity,
  role: 'edge' | 'central' = 'edge',
  name = identity.edgeId,
  log = silentLog,
): Promise<Shop> {
  const options = { port: 0, role, dataDir: join(folder, name), retryIntervalMs: 20, refreshIntervalMs: 200 };
  const peers = { edge2edge: centre.edge2edge, ledger: centre.peer };
  const ports = { clock: systemClock, random: systemRandom, log, identity, peers };
  const room = createMarketplace(marketplaceOptions.parse(options), ports);
  await room.start();
  const peer = httpPeer({ url: `http://127.0.0.1:${room.port}` });
  cleanUp.push(async () => {
    peer.close();
    await room.stop();
  });
  return { room, peer };
}

const common = {
  capacity: { cpuMillis: 100, memoryMiB: 100, storageMiB: 100, bandwidthKbps: 100, ringBytes: 1000 },
  qualities: { cells: ['u0'] },
  standby: ['hot'],
  confidentiality: ['process'],
};
const expiresAt = Date.now() + 3_600_000;
const anAsk = { ...common, side: 'ask', price: { p: 80, q: 100 }, expiresAt };
const aBid = { ...common, side: 'bid', price: { p: 100, q: 50 }, devices: 1, expiresAt };

const place = (shop: Shop, order: object, reference?: string) =>
  callJson(shop.peer, {
    method: 'POST',
    path: '/marketplace/v1/order',
    json: { order, reference },
  }) as Promise<{ id: string }>;
const get = (shop: Shop, path: string) => callJson(shop.peer, { path: `/marketplace/v1/${path}` });

async function stateOf(shop: Shop, id: string): Promise<string> {
  return ((await get(shop, `order/${id}`)) as { state: string }).state;
}

async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  const found = await waitFor(systemClock, 60_000, async () => (await look()) || undefined, 10);
  if (found === undefined) throw new TypeError('it never came');
  return found;
}

type Matches = { matches: { id: string; customer: string; provider: string; state: string }[] };

describe('an edge at the market', () => {
  test('says once that it cannot follow the market, and once that it can again', async () => {
    const said: string[] = [];
    const note = (_: object, text: string): number => said.push(text);
    const log = { debug: () => undefined, info: (text: string) => said.push(text), warn: note, error: note };
    const noted = { ...log, child: () => noted } as unknown as typeof silentLog;
    centre.reachable = false;
    const before = centre.refused;
    await open(ada, 'edge', ada.edgeId, noted);
    await until(async () => centre.refused > before + 5);
    expect(said).toEqual(['cannot follow the market, will try again']);
    centre.reachable = true;
    await until(async () => said.includes('the market can be followed again'));
  });

  test('has its orders placed and sees its matches; both sides see the same one', async () => {
    const [a, b] = [await open(ada), await open(ben)];
    const offered = await place(b, anAsk);
    await until(async () => (await stateOf(b, offered.id)) === 'placed');
    await place(a, aBid);
    const [mine] = await until(async () => {
      const { matches } = (await get(a, 'match')) as Matches;
      return matches.length > 0 && matches;
    });
    expect(mine).toMatchObject({ customer: ada.edgeId, provider: ben.edgeId, state: 'reserved' });
    await until(async () => ((await get(b, 'match')) as Matches).matches[0]?.id === mine?.id);

    const hold = { until: Date.now() + 300_000 };
    const call = {
      method: 'POST',
      path: `/marketplace/v1/match/${mine?.id ?? ''}/hold`,
      json: hold,
    } as const;
    await expect(callJson(a.peer, call)).rejects.toMatchObject({ code: 'forbidden' });
    expect(await callJson(b.peer, call)).toEqual({ expiresAt: hold.until });
    await callJson(a.peer, {
      ...call,
      path: call.path.replace('hold', 'release'),
      json: { reason: 'no coverage' },
    });
    await until(async () => ((await get(b, 'match')) as Matches).matches[0]?.state === 'released');
  });

  test('places an order once, however often it is asked to, and as soon as the ledger can be reached', async () => {
    const a = await open(ada);
    centre.reachable = false;
    const first = await place(a, aBid, 'demand-1');
    expect(await place(a, aBid, 'demand-1')).toEqual(first);
    expect(await stateOf(a, first.id)).toBe('accepted');
    centre.reachable = true;
    await until(async () => (await stateOf(a, first.id)) === 'placed');
    expect([...(await centre.ledger.range('order/'))]).toHaveLength(1);
  });

  test('goes on with what was under way when it was stopped', async () => {
    const before = await open(ada);
    centre.reachable = false;
    const { id } = await place(before, aBid);
    await before.room.stop();
    centre.reachable = true;
    const after = await open(ada);
    await until(async () => (await stateOf(after, id)) === 'placed');
    await callJson(after.peer, { method: 'DELETE', path: `/marketplace/v1/order/${id}` });
    await until(async () => (await stateOf(after, id)) === 'withdrawn');
    const [[, record] = []] = await centre.ledger.range('order/');
    expect(record).toMatchObject({ state: 'withdrawn' });
  });

  test('says why the ledger refused an order', async () => {
    const a = await open(ada);
    const { id } = await place(a, { ...aBid, price: { p: 5000, q: 0 } });
    await until(async () => (await stateOf(a, id)) === 'refused');
    expect(await get(a, `order/${id}`)).toMatchObject({ refusal: expect.stringContaining('1000') });
  });

  test('lets neighbours look, not trade, and refuses what is no order', async () => {
    const a = await open(ada);
    const foreign = { 'x-antirio-peer': ben.edgeId };
    const order = (json: unknown, headers = {}) =>
      a.peer.call({ method: 'POST', path: '/marketplace/v1/order', json, headers });
    expect((await order({ order: aBid }, foreign)).status).toBe(403);
    expect((await order({ order: { ...aBid, price: { p: 1.5, q: 0 } } })).status).toBe(400);
    expect((await order({ order: { ...aBid, expiresAt: 1 } })).status).toBe(400);
    expect((await order({ order: aBid, colour: 'red' })).status).toBe(400);
    expect((await a.peer.call({ path: '/marketplace/v1/order', headers: foreign })).status).toBe(200);
    expect((await a.peer.call({ path: `/marketplace/v1/order/${crypto.randomUUID()}` })).status).toBe(404);
  });
});

test('the centre lists all orders and matches, and the market in figures', async () => {
  const [a, b, c] = [await open(ada), await open(ben), await open(central, 'central')];
  const offered = await place(b, anAsk);
  await until(async () => (await stateOf(b, offered.id)) === 'placed');
  await place(a, aBid);
  await place(a, { ...aBid, price: { p: 60, q: 0 } });
  await until(async () => {
    const { orders } = (await get(c, 'order')) as { orders: unknown[] };
    return orders.length === 3;
  });
  expect(((await get(c, 'match')) as Matches).matches).toHaveLength(1);
  expect(await get(c, 'statistics')).toMatchObject({
    orders: { ask: { open: 1 }, bid: { open: 1, reserved: 1 } },
    matches: { reserved: 1 },
    cells: { u0: { asks: 1, bids: 1 } },
    lowestAsk: 80,
    highestBid: 60,
  });
  const { next } = (await get(c, 'order?limit=1')) as { next: string };
  expect(((await get(c, `order?limit=2&after=${next}`)) as { orders: unknown[] }).orders).toHaveLength(2);
});
