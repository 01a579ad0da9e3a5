import { expect, test } from '@jest/globals';
import type { HttpPeer } from '@antirio/host';
import { utf8 } from '@antirio/kernel';
import { counterFloors } from './counter-floors.ts';

const answering = (status: number, body: object): Record<string, HttpPeer> => ({
  gatewayBridge: {
    call: () => Promise.resolve({ status, headers: {}, body: utf8(JSON.stringify(body)), json: () => body }),
    close: () => undefined,
  },
});

test('floors are by session; a ring that is not there has none, and one that does not answer is asked again', async () => {
  const marks = { '01000001': { session: 'ab', fcnt: 2 ** 32 - 1, resets: 0 } };
  expect([...(await counterFloors(answering(200, { marks }), 'own'))]).toEqual([['ab', 2 ** 32 - 1]]);
  expect([...(await counterFloors(answering(404, {}), 'own'))]).toEqual([]);
  await expect(counterFloors(answering(503, {}), 'own')).rejects.toThrow();
});
