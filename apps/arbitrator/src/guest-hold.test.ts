import { expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer } from '@antirio/host';
import { createGuestHold, endGuestHold } from './guest-hold.ts';

const ID = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const mote = { devEui: '00000000000000aa', devAddr: '0000000a' };
const setOf = (devices: (typeof mote)[]) => ({ contractId: ID, set: { setId: 's', service: 'x', devices } });

test('events of a service without sensors are held while the contract lives, and for some days after its end', async () => {
  let [monotonic, status] = [0, 200];
  const asked: unknown[] = [];
  const call = ({ method, path, json }: HttpCall) => {
    asked.push([method, path.replace(`/api/v3/hold/${ID}`, ''), json]);
    return Promise.resolve({ status, headers: {}, body: Buffer.from('{}'), json: () => ({}) });
  };
  const coreData: HttpPeer = { call, close: () => undefined };
  const ports = { peers: { coreData }, clock: { monotonic: () => monotonic } };
  await createGuestHold(setOf([mote]), ports).settle();
  await endGuestHold(setOf([mote]), ports.peers, 600);
  expect(asked).toEqual([]);
  const drone = setOf([]);
  const hold = createGuestHold(drone, ports);
  await hold.settle();
  await hold.settle();
  expect(asked.splice(0)).toEqual([['PUT', '', { devicePrefix: `${ID}.` }]]);
  monotonic += 600_000;
  await hold.settle();
  expect(asked.splice(0)).toHaveLength(1);
  status = 503;
  await expect(endGuestHold(drone, ports.peers, 600)).rejects.toThrow();
  // it has come home meanwhile
  status = 404;
  await endGuestHold(drone, ports.peers, 600);
  const end = ['POST', '/end', { forS: 600 }];
  expect(asked).toEqual([end, end]);
});
