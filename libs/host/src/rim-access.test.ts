import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { selfSigned } from '@antirio/testing';
import {
  addToken,
  clientTls,
  createHttpRim,
  httpPeer,
  isOwnHost,
  openTokens,
  serverTls,
  silentLog,
  systemClock,
  type Credentials,
  type HttpPeer,
  type HttpRim,
  type RimAccess,
} from './index.ts';

let dir: string;
let monotonic = 0;
let path: (name: string) => string;
const clock = { now: () => systemClock.now(), monotonic: () => monotonic };
const rims: HttpRim[] = [];
const peers: HttpPeer[] = [];
const tokens: Record<string, string> = {};

const pair = (name: string): void => {
  const { cert, key } = selfSigned(['localhost', '127.0.0.1']);
  writeFileSync(path(`${name}.pem`), cert);
  writeFileSync(path(`${name}.key`), key);
};

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'antirio-rim-'));
  path = (name) => join(dir, name);
  for (const scope of [
    'core-data:read',
    'core-data:write',
    'core-metadata:write',
    'operator',
    'relay',
    'edge2edge:write',
  ])
    tokens[scope] = addToken(path('tokens.json'), { name: '', scopes: [scope] }, clock.now()).token;
  const door = { name: '', scopes: ['core-data:read', 'edge2edge:read'] };
  tokens['edge2edge and core-data'] = addToken(path('tokens.json'), door, clock.now()).token;
  const both = { name: '', scopes: ['core-data:write', 'relay'] };
  tokens['edge2edge'] = addToken(path('tokens.json'), both, clock.now()).token;
});
beforeEach(() => {
  pair('server');
});
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  await Promise.all(rims.splice(0).map((rim) => rim.close()));
});
afterAll(() => rmSync(dir, { recursive: true }));

const accessWith = (own: Partial<RimAccess>): RimAccess => ({
  tokens: openTokens(path('tokens.json'), clock, silentLog),
  requireTokens: false,
  clientCertificates: false,
  isOwnHost,
  credentialsFor: () => undefined,
  placeOf: (url) => ({ url, credentials: undefined }),
  ...own,
});

const tlsAccess = (own: Partial<RimAccess> = {}, clientCaFile?: string): RimAccess => {
  const files = { certFile: path('server.pem'), keyFile: path('server.key'), clientCaFile };
  return accessWith({
    tls: serverTls(files, clock, silentLog),
    clientCertificates: clientCaFile !== undefined,
    ...own,
  });
};

async function listen(access: RimAccess, serviceKey = 'core-data'): Promise<number> {
  const rim = createHttpRim({
    serviceKey,
    version: '1',
    config: () => ({}),
    health: () => ({ store: { ok: true, detail: 'at /somewhere' } }),
    log: silentLog,
    clock: systemClock,
    parseBody: (bytes) =>
      bytes.length === 0 ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as unknown),
    access,
  });
  rim.route('get', '/api/v3/event', { summary: 'all' }, () => ({ events: [] }));
  rim.route('post', '/api/v3/event/:id', { summary: 'one' }, () => ({ by: 'express' }));
  rim.route('post', '/api/v3/secret', { summary: 'a secret' }, () => ({}));
  rim.hotRoute({
    ...{ below: '/api/v3/event/', levels: 1, status: 200, timeoutMs: 1000 },
    handle: () => Promise.resolve({ by: 'hot' }),
  });
  rims.push(rim);
  return rim.listen(0, '127.0.0.1');
}

function to(url: string, credentials?: Credentials): HttpPeer {
  const peer = httpPeer({ url, credentials });
  peers.push(peer);
  return peer;
}

const trusting = (name = 'server'): Credentials['tls'] =>
  clientTls({ caFile: path(`${name}.pem`) }, clock, silentLog);

describe('where tokens are asked for', () => {
  let port: number;
  beforeEach(async () => {
    port = await listen(accessWith({ requireTokens: true }));
  });
  const as = (who: string | undefined): HttpPeer =>
    to(`http://127.0.0.1:${port}`, { token: who === undefined ? undefined : () => tokens[who] ?? who });
  const statusOf = async (who: string | undefined, method: 'GET' | 'POST', url: string, headers = {}) => {
    const call = { method, path: url, headers, ...(method === 'POST' && { json: {} }) };
    return (await as(who).call(call)).status;
  };

  test('a request does what its token is for, past express or not', async () => {
    const [all, one, secret] = ['/api/v3/event', '/api/v3/event/1', '/api/v3/secret'];
    const tried = [
      [undefined, 401, 401, 401],
      ['antirio_000000000000_wrong', 401, 401, 401],
      ['core-data:read', 200, 403, 403],
      ['core-data:write', 200, 200, 403],
      ['core-metadata:write', 403, 403, 403],
      ['relay', 403, 403, 403],
      ['operator', 200, 200, 200],
    ] as const;
    for (const [who, read, write, force] of tried)
      expect([
        who,
        await statusOf(who, 'GET', all),
        await statusOf(who, 'POST', one),
        await statusOf(who, 'POST', secret),
      ]).toEqual([who, read, write, force]);
  });

  test('a refusal is an error body of EdgeX, and is counted', async () => {
    const { status, headers, json } = await as(undefined).call({ path: '/api/v3/event' });
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(json()).toMatchObject({ apiVersion: 'v3', statusCode: 401, message: expect.any(String) });
    const { body } = await as('operator').call({ path: '/api/v3/metrics' });
    expect(Buffer.from(body).toString()).toContain('antirio_http_refused_total{status="401"} 1');
  });

  test('whether a service is there and well is everybody’s to know, how is not', async () => {
    expect(await statusOf(undefined, 'GET', '/api/v3/ping')).toBe(200);
    const ready = async (who?: string) => (await as(who).call({ path: '/api/v3/ready' })).json();
    expect(await ready()).toMatchObject({ ready: true, checks: {} });
    expect(JSON.stringify(await ready())).not.toContain('somewhere');
    expect(await ready('core-data:read')).toMatchObject({ checks: { store: { detail: 'at /somewhere' } } });
    for (const url of ['/api/v3/ping/', '/api/v3/config', '/api/v3/metrics', '/api/v3/openapi.json', '/x'])
      expect([url, await statusOf(undefined, 'GET', url)]).toEqual([url, 401]);
    expect(await statusOf(undefined, 'POST', '/api/v3/ping')).toBe(401);
  });

  test('only a relay speaks for other edges', async () => {
    const headers = { 'x-antirio-peer': 'somebody' };
    expect(await statusOf('core-data:write', 'GET', '/api/v3/event', headers)).toBe(403);
    expect(await statusOf('operator', 'GET', '/api/v3/event', headers)).toBe(403);
    expect(await statusOf('edge2edge', 'GET', '/api/v3/event', headers)).toBe(200);
  });

  test('the door of edge2edge opens no room that the token is not for', async () => {
    port = await listen(accessWith({ requireTokens: true }), 'edge2edge');
    const door = '/edge2edge/peer/an-edge';
    const events = `${door}/core-data/api/v3/event/all`;
    // 404: past the check, and there is no such room in this test
    for (const [who, url, status] of [
      ['edge2edge:write', events, 403],
      ['core-data:read', events, 403],
      ['edge2edge and core-data', events, 404],
      ['edge2edge and core-data', `${door}/arbitrator/arbitrator/v1/volume`, 403],
      ['operator', `${door}/arbitrator/arbitrator/v1/volume`, 404],
    ] as const)
      expect([who, url, await statusOf(who, 'GET', url)]).toEqual([who, url, status]);
    expect(await statusOf('edge2edge:write', 'POST', `${door}/core-data/api/v3/secret`)).toBe(403);
  });

  test('calls that share connections show their tokens too', async () => {
    const call = { path: '/api/v3/event', repeatable: true };
    const answers = await Promise.all(
      ['core-data:read', undefined, 'relay'].map(async (who) => (await as(who).call(call)).status),
    );
    expect(answers).toEqual([200, 401, 403]);
  });

  test('a long body of a stranger is not waited for', async () => {
    const socket = connectPlain(port, '127.0.0.1');
    socket.write('POST /api/v3/event/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{');
    let heard = '';
    for await (const chunk of socket) heard += String(chunk);
    expect(heard).toMatch(/^HTTP\/1.1 401 /);
  });
});

describe('beyond this host', () => {
  const elsewhere = { isOwnHost: () => false };

  test('TLS and a token are wanted; plain HTTP has no answer', async () => {
    const port = await listen(tlsAccess(elsewhere));
    const https = `https://localhost:${port}`;
    const token = (): string => tokens['core-data:read'] ?? '';
    const call = { path: '/api/v3/event' };
    expect((await to(https, { token, tls: trusting() }).call(call)).status).toBe(200);
    expect((await to(https, { tls: trusting() }).call(call)).status).toBe(401);
    await expect(to(https, { token }).call(call)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(to(`http://127.0.0.1:${port}`, { token }).call(call)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  test('a stream of a GET has both as well', async () => {
    const port = await listen(tlsAccess(elsewhere));
    const token = (): string => tokens['core-data:read'] ?? '';
    const peer = to(`https://localhost:${port}`, { token, tls: trusting() });
    const stream = await peer.open?.('/api/v3/event', { idleMs: 5000 });
    expect(stream?.status).toBe(200);
    stream?.close();
  });

  test('a new certificate counts for the connections after, and a damaged one does not', async () => {
    const port = await listen(tlsAccess(elsewhere));
    const served = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
          socket.destroy();
        });
        socket.on('error', reject);
      });
    const first = await served();
    monotonic += 1001;
    writeFileSync(path('server.pem'), 'no certificate');
    expect(await served()).toBe(first);
    pair('server');
    monotonic += 1001;
    expect(await served()).not.toBe(first);
  });

  test('where certificates of callers are wanted, a token alone does not do', async () => {
    pair('client');
    const port = await listen(tlsAccess(elsewhere, path('client.pem')));
    const token = (): string => tokens['core-data:read'] ?? '';
    const files = { caFile: path('server.pem'), certFile: path('client.pem'), keyFile: path('client.key') };
    const call = { path: '/api/v3/event' };
    const url = `https://localhost:${port}`;
    expect((await to(url, { token, tls: clientTls(files, clock, silentLog) }).call(call)).status).toBe(200);
    await expect(to(url, { token, tls: trusting() }).call(call)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

test('this host speaks TLS or plain HTTP with the same port, and needs no token', async () => {
  const port = await listen(tlsAccess());
  const call = { path: '/api/v3/event' };
  expect((await to(`http://127.0.0.1:${port}`).call(call)).status).toBe(200);
  expect((await to(`http://127.0.0.1:${port}`).call({ ...call, repeatable: true })).status).toBe(200);
  expect((await to(`https://localhost:${port}`, { tls: trusting() }).call(call)).status).toBe(200);
  const body = { path: '/api/v3/event/1', method: 'POST', json: { x: 'y'.repeat(200_000) } } as const;
  expect((await to(`http://127.0.0.1:${port}`).call(body)).json()).toEqual({ by: 'hot' });
});

test('a rim closes although somebody has said nothing yet', async () => {
  const port = await listen(tlsAccess());
  const socket = connectPlain(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const gone = new Promise((resolve) => socket.once('close', resolve));
  await rims[0]?.close();
  await gone;
});

test('certificate and key must belong together, and be there', () => {
  pair('other');
  const of = (certFile: string, keyFile: string) => () =>
    serverTls({ certFile: path(certFile), keyFile: path(keyFile) }, clock, silentLog);
  expect(of('server.pem', 'other.key')).toThrow('is not the key of');
  expect(of('none.pem', 'server.key')).toThrow('cannot read');
  expect(of('server.key', 'server.key')).toThrow('are no certificate and its key');
});

test('this host is its loopback, and the address that it called', () => {
  const of = (remoteAddress: string | undefined, localAddress = '192.0.2.1') =>
    isOwnHost({ remoteAddress, localAddress });
  expect(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '192.0.2.1'].map((a) => of(a))).toEqual(
    Array(5).fill(true),
  );
  expect(['192.0.2.2', '::ffff:192.0.2.2', '128.0.0.1', '127.evil', undefined].map((a) => of(a))).toEqual(
    Array(5).fill(false),
  );
});
