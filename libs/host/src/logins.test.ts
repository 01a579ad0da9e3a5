import { expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createHttpRim, hasLogin, httpPeer, silentLog, systemClock, withoutLogins } from './index.ts';

test('a URL is shown without who asks', () => {
  expect(withoutLogins('http://user:pass%40word@host:1/a?b=c@d')).toBe('http://***@host:1/a?b=c@d');
  expect(withoutLogins('no broker at mqtts://me@host, nor at mqtt://a:p@ss@[::1]:1883')).toBe(
    'no broker at mqtts://***@host, nor at mqtt://***@[::1]:1883',
  );
  expect(withoutLogins('http://host/path@x and me@example.org')).toBe(
    'http://host/path@x and me@example.org',
  );
  expect([hasLogin('http://u@h'), hasLogin('http://:p@h'), hasLogin('http://h/@'), hasLogin('h')]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test('neither the configuration of a service nor the failure of a call tells a password', async () => {
  const config = {
    north: { url: 'http://user:hunter2@host' },
    bus: [{ password: 'hunter2', port: 1 }],
    rpcUrl: 'https://h/v2/hunter2',
  };
  const rim = createHttpRim({
    ...{ serviceKey: 'x', version: '1', log: silentLog, clock: systemClock },
    config: () => config,
    health: () => ({}),
  });
  const port = await rim.listen(0, '127.0.0.1');
  const peer = httpPeer({ url: `http://127.0.0.1:${port}` });
  const { body } = await peer.call({ path: '/api/v3/config' });
  expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({
    config: {
      north: { url: 'http://***@host' },
      bus: [{ password: '***', port: 1 }],
      rpcUrl: 'https://h/***',
    },
  });
  peer.close();
  await rim.close();

  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const gone = (server.address() as AddressInfo).port;
  server.close();
  const lost = httpPeer({ url: `http://user:hunter2@127.0.0.1:${gone}` });
  for (const repeatable of [true, false]) {
    const failure: unknown = await lost.call({ path: '/', repeatable }).catch((error: unknown) => error);
    expect(String(failure)).toContain(`http://***@127.0.0.1:${gone}`);
    expect(JSON.stringify(failure) + String(failure)).not.toContain('hunter2');
  }
  lost.close();
});
