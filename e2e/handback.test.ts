import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { httpPeer, partsOf } from '@antirio/host';
import { toHex } from '@antirio/kernel';
import {
  CONTRACT,
  openHandbackSetting,
  type Backlog,
  type HandbackEdge,
  type HandbackSetting,
} from '../bench/handback-setting.ts';
import { makeFleet } from '../bench/lora-motes.ts';

const FRAMES = 40_000;
const ROOMS = ['edge2edge', 'gateway-bridge'];
const WITHIN_MS = 60_000;

let setting: HandbackSetting;
let backlog: Backlog;
let a: HandbackEdge;
let b: HandbackEdge;
beforeAll(async () => {
  setting = await openHandbackSetting();
  backlog = await setting.prepare(makeFleet(50), FRAMES, AbortSignal.timeout(WITHIN_MS));
  [a, b] = await Promise.all([setting.start('a', ROOMS, backlog), setting.start('b', ROOMS, backlog)]);
  await setting.introduce(a, b);
}, 2 * WITHIN_MS);
afterAll(() => setting.close(), WITHIN_MS);

const api = (edge: HandbackEdge, path: string): string => `${edge.url('gatewayBridge')}/api/v3${path}`;

async function put(edge: HandbackEdge, path: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(api(edge, path), { method: 'PUT', headers, body: JSON.stringify(body) });
  expect([path, response.status]).toEqual([path, 200]);
}

async function pulled(): Promise<number> {
  const response = await fetch(api(a, '/ring/own/source'));
  return ((await response.json()) as { pulledThrough: number }).pulledThrough;
}

async function reached(through: number): Promise<void> {
  const until = Date.now() + WITHIN_MS;
  while ((await pulled()) < through) {
    if (Date.now() > until) throw new RangeError(`${await pulled()} of ${through} came in time`);
    await sleep(5);
  }
}

async function kill(edge: HandbackEdge): Promise<void> {
  edge.process.signal('SIGKILL');
  await edge.process.ended;
}

/** All PHYPayloads of a stream, in order. */
async function payloads(edge: HandbackEdge, path: string): Promise<string[]> {
  const peer = httpPeer({ url: edge.url('gatewayBridge') });
  const found: string[] = [];
  try {
    const stream = await peer.open?.(`/api/v3${path}`, { idleMs: 10_000 });
    if (stream === undefined) throw new TypeError('no streams');
    for await (const part of partsOf(stream.body))
      if (part.kind === 'items') found.push(...part.items.map(({ bytes }) => toHex(bytes)));
  } finally {
    peer.close();
  }
  return found;
}

test(
  'a handback goes on after kill -9 of either side in the middle of it; nothing is lost or doubled, and both state the same',
  async () => {
    const { fleet, budgetBytes } = backlog;
    const devAddrs = fleet.devices.map(({ devAddr }) => devAddr);
    await put(a, '/ring/own', { devAddrs, budgetBytes: 2 * budgetBytes, deliver: false });
    await put(a, '/ring/own/source', { edgeId: b.edgeId, ringId: CONTRACT });
    await reached(FRAMES / 10);
    await kill(a);
    a = await setting.start('a', ROOMS, backlog);
    const afterKill = await pulled();
    expect(afterKill).toBeGreaterThanOrEqual(FRAMES / 10);
    await reached(Math.min(afterKill + FRAMES / 10, FRAMES));
    await kill(b);
    b = await setting.start('b', ROOMS, backlog);
    await reached(FRAMES);
    const source = await payloads(b, `/ring/${CONTRACT}/stream?form=payload`);
    const own = await payloads(a, '/ring/own/stream?form=payload');
    expect(new Set(own).size).toBe(FRAMES);
    expect(own).toHaveLength(FRAMES);
    // what B still holds is what its statement would be over; A's is over its own copies of that
    const copies = await payloads(
      a,
      `/ring/own/copies?edgeId=${b.edgeId}&ringId=${CONTRACT}&after=0&through=${FRAMES}`,
    );
    expect(copies.toSorted()).toEqual(source.toSorted());
    expect(new Set(source).isSubsetOf(new Set(own))).toBe(true);
  },
  3 * WITHIN_MS,
);
