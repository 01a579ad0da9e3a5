import { afterEach, describe, expect, test } from '@jest/globals';
import { createHttpRim, httpPeer, silentLog, systemClock, type HttpPeer } from '@antirio/host';
import { checkNetworkServer } from './network-server.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function deviceLora(answer: unknown): Promise<HttpPeer> {
  const common = { version: '0', config: () => ({}), health: () => ({}), log: silentLog, clock: systemClock };
  const rim = createHttpRim({ serviceKey: 'device-lora', ...common });
  if (answer !== undefined) rim.route('get', '/api/v3/lora/chirpstack', { summary: 'told' }, () => answer);
  const peer = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  endings.push(async () => {
    peer.close();
    await rim.close();
  });
  return peer;
}

const devices = [{ name: 'pier-3', devEui: '0102030405b74b92' }];
const wanted = [{ devEui: '0102030405B74B92' }];

describe('a contract that acts', () => {
  test('is refused for devices of a ChirpStack with its own way to gateways, with what to do', async () => {
    const peer = await deviceLora({ devices, mayAct: false, why: 'it has its own way' });
    await expect(checkNetworkServer(wanted, peer)).rejects.toMatchObject({
      code: 'forbidden',
      message: 'a contract lets a neighbour act for pier-3, which it may not: it has its own way',
    });
    await checkNetworkServer([{ devEui: '00000000000000ff' }], peer);
    await checkNetworkServer([], peer);
  });

  test('is none the worse for one behind our bridge, or for none at all', async () => {
    await checkNetworkServer(wanted, await deviceLora({ devices, mayAct: true }));
    await checkNetworkServer(wanted, await deviceLora(undefined));
    await checkNetworkServer(wanted, undefined);
  });

  test('waits where nobody can tell', async () => {
    const gone = httpPeer({ url: 'http://127.0.0.1:1' });
    endings.push(() => gone.close());
    await expect(checkNetworkServer(wanted, gone)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
