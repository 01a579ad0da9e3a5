import { afterEach, expect, test } from '@jest/globals';
import { createLog, type HttpAnswer, type HttpCall, type HttpPeer } from '@antirio/host';
import { openOwnRing, type OwnRing } from './own-ring.ts';

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

/** A bridge with room for so many bytes. */
function bridgeWith(room: number): { readonly peer: HttpPeer; readonly budget: () => number | undefined } {
  let ring: Record<string, unknown> | undefined;
  const call = ({ method, json }: HttpCall): HttpAnswer => {
    if (method !== 'PUT') return ring === undefined ? answer(404, {}) : answer(200, ring);
    const wanted = json as Record<string, unknown>;
    if (Number(wanted['budgetBytes']) > room) return answer(507, { message: 'does not fit' });
    ring = wanted;
    return answer(200, ring);
  };
  return {
    peer: { call: (one) => Promise.resolve(call(one)), close: () => undefined },
    budget: () => (ring === undefined ? undefined : Number(ring['budgetBytes'])),
  };
}

function ringOf(bridge: HttpPeer, devices: number): OwnRing {
  const devAddrs = Array.from({ length: devices }, (_, n) => n.toString(16).padStart(8, '0'));
  const wanted = { devices, devAddrs, devEuis: [] };
  const log = createLog('test', 'silent');
  const ring = openOwnRing({
    bridge,
    ring: 'own',
    prefix: '',
    log,
    wanted: () => wanted,
    wasGiven: () => false,
  });
  opened.push(ring);
  return ring;
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
