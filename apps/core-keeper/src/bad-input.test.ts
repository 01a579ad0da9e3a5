import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { httpPeer, silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { coreKeeperOptions, createCoreKeeper, type CoreKeeper } from './index.ts';

let dataDir: string;
let room: CoreKeeper;
let peer: HttpPeer;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-keeper-'));
  const options = coreKeeperOptions.parse({ dataDir, port: 0, maxBodyBytes: 300_000 });
  room = createCoreKeeper(options, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
  peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
});
afterAll(async () => {
  peer.close();
  await room.stop();
  rmSync(dataDir, { recursive: true });
});

const send = async (method: 'PUT' | 'POST', path: string, body: string | Uint8Array): Promise<number> => {
  const answer = await peer.call({ method, path, body: Buffer.from(body) });
  expect(answer.json()).toMatchObject({ apiVersion: 'v3', statusCode: answer.status });
  return answer.status;
};
const deep = (levels: number, open = '[', close = ']'): string => open.repeat(levels) + close.repeat(levels);

const NO_REQUESTS: readonly (string | Uint8Array)[] = [
  ...['', '{', '5', 'null', '"x"', '[]', '[null]', 'NaN', '{}', '{"apiVersion":"v3"}', deep(50_000)],
  Buffer.from([0x7b, 0xff, 0x7d]),
];

describe('bodies', () => {
  test.each([
    ['PUT', '/kvs/key/k'],
    ['POST', '/registry'],
    ['PUT', '/registry'],
    ['POST', '/secret'],
  ] as const)('%s %s refuses what is no request', async (method, path) => {
    for (const body of NO_REQUESTS) expect([body, await send(method, path, body)]).toEqual([body, 400]);
  });

  test('over the limit are refused with 413', async () => {
    expect(await send('PUT', '/kvs/key/k', JSON.stringify({ value: 'x'.repeat(400_000) }))).toBe(413);
  });

  test.each([
    ['a list in lists', deep(60_000)],
    ['an object in objects', `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`],
  ])('with %s without end are refused', async (_what, value) => {
    for (const query of ['', '?flatten=true'])
      expect(await send('PUT', `/kvs/key/k${query}`, `{"value":${value}}`)).toBe(400);
  });

  test('keep all digits of a number', async () => {
    expect(await send('PUT', '/kvs/key/n', '{"value":12345678901234567890}')).toBe(200);
    expect((await peer.call({ path: '/kvs/key/n?plaintext=true' })).json()).toMatchObject({
      response: [{ value: '12345678901234567890' }],
    });
  });

  test('may name what objects have anyway', async () => {
    const text = '{"value":{"__proto__":{"polluted":"1"},"constructor":"2","toString":"3"}}';
    expect(await send('PUT', '/kvs/key/p?flatten=true', text)).toBe(200);
    expect((await peer.call({ path: '/kvs/key/p?keyOnly=true' })).json()).toMatchObject({
      response: ['p/__proto__/polluted', 'p/constructor', 'p/toString'],
    });
    expect({}).not.toHaveProperty('polluted');
  });
});

describe('paths', () => {
  /** A request as it is, whatever a client would make of it. */
  const raw = (line: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(room.port, '127.0.0.1', () =>
        socket.write(`${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      );
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('end', () => resolve(text.slice(9, 12)));
      socket.on('error', reject);
    });

  test.each([
    ['GET /api/v3/kvs/key/%E0%A4%A', '400'],
    ['GET /api/v3/kvs/key/%00', '400'],
    ['GET /api/v3/kvs/key/..%2F..%2Fetc', '404'],
    ['DELETE /api/v3/kvs/key/%', '400'],
    ['GET /api/v3/registry/serviceId/%FF', '400'],
    ['GET /api/v3/registry/serviceId/%20', '400'],
    ['GET /api/v3/kvs/key/', '404'],
    ['POST /api/v3/kvs/key/k', '405'],
    [`GET /api/v3/kvs/key/${'a'.repeat(15_000)}`, '400'],
  ])('%.60s is answered %s', async (line, status) => {
    expect(await raw(line)).toBe(status);
  });
});

test('whatever is put, nothing is a server error, and what is stored comes back', async () => {
  const key = fc
    .stringMatching(/^[a-zA-Z0-9\-_~;=. ]{1,12}$/)
    .filter((text) => text !== '.' && text !== '..');
  await fc.assert(
    fc.asyncProperty(key, fc.jsonValue({ maxDepth: 4 }), fc.boolean(), async (name, value, flatten) => {
      const path = `/kvs/key/${encodeURIComponent(`f/${name}`)}`;
      const status = await send('PUT', `${path}?flatten=${flatten}`, JSON.stringify({ value }));
      expect([200, 400]).toContain(status);
      if (status === 400 || flatten) return;
      const answer = (await peer.call({ path: `${path}?plaintext=true` })).json();
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      expect(answer).toMatchObject({
        response: expect.arrayContaining([expect.objectContaining({ value: text })]),
      });
    }),
    { numRuns: 150 },
  );
});
