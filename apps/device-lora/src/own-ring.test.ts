import { afterEach, expect, test } from '@jest/globals';
import { createLog, sleep, type HttpAnswer, type HttpCall, type HttpPeer } from '@antirio/host';
import { createAsked } from './asked.ts';
import { openStore } from './database.ts';
import { openOwnRing, type Asked, type OwnRing, type Wanted } from './own-ring.ts';

const SESSION = '00112233445566ff';
const opened: OwnRing[] = [];

afterEach(async () => {
  for (const ring of opened.splice(0)) await ring.stop();
});

const answer = (status: number, body: object): HttpAnswer => ({
  status,
  headers: {},
  body: Buffer.from(JSON.stringify(body)),
  json: () => body,
});

interface FakeBridge {
  readonly peer: HttpPeer;
  readonly budget: () => number | undefined;
  readonly ring: () => Record<string, unknown> | undefined;
  readonly marks: Record<string, unknown>[];
  /** Of each ring that there was. */
  readonly acknowledged: readonly number[];
  remove(): void;
}

/** A bridge with room for so many bytes. */
function bridgeWith(room: number): FakeBridge {
  let ring: Record<string, unknown> | undefined;
  const acknowledged: number[] = [];
  const life = (): string => `life-${acknowledged.length}`;
  const acknowledge = ({
    through,
    incarnation = life(),
  }: {
    through: number;
    incarnation?: string;
  }): HttpAnswer => {
    if (ring === undefined) return answer(404, {});
    if (incarnation !== life()) return answer(409, { message: 'another ring' });
    acknowledged[acknowledged.length - 1] = through;
    return answer(200, {});
  };
  const marks: FakeBridge['marks'] = [];
  const call = ({ method, json, path }: HttpCall): HttpAnswer => {
    if (path.endsWith('/marks')) {
      marks.push((json as { marks: Record<string, unknown> }).marks);
      return answer(200, {});
    }
    if (method === 'POST') return acknowledge(json as { through: number; incarnation?: string });
    if (method !== 'PUT') return ring === undefined ? answer(404, {}) : answer(200, ring);
    const wanted = json as Record<string, unknown>;
    if (Number(wanted['budgetBytes']) > room) return answer(507, { message: 'does not fit' });
    if (ring === undefined) acknowledged.push(0);
    ring = wanted;
    return answer(200, ring);
  };
  return {
    peer: { call: (one) => Promise.resolve(call(one)), close: () => undefined },
    budget: () => (ring === undefined ? undefined : Number(ring['budgetBytes'])),
    ring: () => ring,
    marks,
    acknowledged,
    remove() {
      ring = undefined;
    },
  };
}

const createDisk = (): Asked => createAsked(openStore(':memory:'));

function ringOf(
  bridge: HttpPeer,
  devices: number,
  more: Partial<Wanted> = {},
  asked = createDisk(),
): OwnRing {
  const devAddrs = Array.from({ length: devices }, (_, n) => n.toString(16).padStart(8, '0'));
  const wanted = { devices, devAddrs, devEuis: [], sharing: [], ...more };
  const log = createLog('test', 'silent');
  const ring = openOwnRing({
    bridge,
    ring: 'own',
    prefix: '',
    log,
    wanted: () => wanted,
    asked,
    wasGiven: () => false,
    intervalMs: 10,
  });
  opened.push(ring);
  return ring;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition() && tries < 500; tries++) await sleep(10);
  expect(condition()).toBe(true);
}

const HOUR_OF_ONE = 1_080_000;
const MOST = 2 ** 28;

test.each([
  [1, HOUR_OF_ONE],
  [100, 100 * HOUR_OF_ONE],
  [10_000, MOST],
])(
  '%d devices get an hour of frames each, all together not more than a quarter of a gibibyte',
  async (devices, budget) => {
    const bridge = bridgeWith(2 ** 30);
    await ringOf(bridge.peer, devices).ensure();
    expect(bridge.budget()).toBe(budget);
  },
);

test('where the bridge has less room the ring takes what there is', async () => {
  const bridge = bridgeWith(50_000_000);
  await ringOf(bridge.peer, 10_000).ensure();
  expect(bridge.budget()).toBe(MOST / 8);
});

test('without any room it is said', async () => {
  await expect(ringOf(bridgeWith(1000).peer, 1).ensure()).rejects.toMatchObject({ code: 'storageFull' });
});

test('a ring that was removed is made again, and nothing of it is acknowledged before it is stored', async () => {
  const bridge = bridgeWith(2 ** 30);
  const ring = ringOf(bridge.peer, 1);
  ring.acknowledge({ incarnation: 'life-1', seq: 1000 });
  await until(() => bridge.acknowledged[0] === 1000);
  bridge.remove();
  await until(() => bridge.acknowledged.length === 2);
  ring.acknowledge({ incarnation: 'life-1', seq: 1001 });
  await sleep(200);
  expect(bridge.acknowledged).toEqual([1000, 0]);
  ring.acknowledge({ incarnation: 'life-2', seq: 3 });
  await until(() => bridge.acknowledged[1] === 3);
});

test('what is not wanted any more leaves the filter once; what others put there stays', async () => {
  const bridge = bridgeWith(2 ** 30);
  const disk = createDisk();
  const filter = () => [bridge.ring()?.['devAddrs'], bridge.ring()?.['devEuis']];
  await ringOf(bridge.peer, 2, { devEuis: ['e1'] }, disk).ensure();
  Object.assign(bridge.ring() ?? {}, {
    devAddrs: ['00000000', '00000001', 'ffffffff'],
    devEuis: ['e1', 'e9'],
  });
  await opened.pop()?.stop();
  await ringOf(bridge.peer, 1, {}, disk).ensure();
  expect(filter()).toEqual([['ffffffff', '00000000'], ['e9']]);
  Object.assign(bridge.ring() ?? {}, { devAddrs: ['ffffffff', '00000000', '00000001'] });
  await opened[0]?.ensure();
  expect(filter()[0]).toContain('00000001');
});

test('addresses of one device share, whatever stands in the ring from before', async () => {
  const bridge = bridgeWith(2 ** 30);
  const disk = createDisk();
  await ringOf(bridge.peer, 3, { devices: 3 }, disk).ensure();
  await opened.pop()?.stop();
  const sharing = [['00000000', '00000001']];
  await ringOf(bridge.peer, 3, { devices: 2, sharing }, disk).ensure();
  expect(bridge.ring()).toMatchObject({ sharing });
});

test('the bridge is told the newest true counters, of addresses that one device has', async () => {
  const bridge = bridgeWith(2 ** 30);
  const ring = ringOf(bridge.peer, 2);
  ring.mark('00000000', { devEui: 'a', session: SESSION, fcnt: 65_536 + 7 });
  ring.mark('00000000', { devEui: 'b', session: SESSION, fcnt: 9 });
  await until(() => bridge.marks.length === 1);
  ring.mark('00000001', { devEui: 'c', session: SESSION, fcnt: 5 });
  await until(() => bridge.marks.length === 2);
  expect(bridge.marks).toEqual([
    { '00000000': { session: SESSION, fcnt: 65_543 } },
    { '00000001': { session: SESSION, fcnt: 5 } },
  ]);
});

test('counters of addresses that are not wanted any more are let go of', async () => {
  const bridge = bridgeWith(2 ** 30);
  const devAddrs = ['00000000', '00000001'];
  const ring = ringOf(bridge.peer, 2, { devAddrs });
  await ring.ensure();
  ring.mark('00000000', { devEui: 'a', session: SESSION, fcnt: 7 });
  await until(() => bridge.marks.length === 1);
  devAddrs.shift();
  await ring.ensure();
  // it is another device's now
  devAddrs.push('00000000');
  await ring.ensure();
  ring.mark('00000000', { devEui: 'b', session: SESSION, fcnt: 9 });
  await until(() => bridge.marks.length === 2);
  expect(bridge.marks).toEqual([
    { '00000000': { session: SESSION, fcnt: 7 } },
    { '00000000': { session: SESSION, fcnt: 9 } },
  ]);
});
