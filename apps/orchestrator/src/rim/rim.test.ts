import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { parseCbor, toCbor } from '@antirio/edgex-contracts';
import { httpPeer, silentLog, type HttpCall, type HttpPeer } from '@antirio/host';
import { openStub, type StubRoom } from '../testing/stub-rooms.ts';
import { translateCall } from './allowed-calls.ts';
import { openForeignRim, type ForeignRim } from './foreign-rim.ts';
import { addNames, createNamespace, stripNames } from './names.ts';
import { eventShape } from './shapes.ts';

const ID = '7d1f0c52-aaaa-4bbb-8ccc-0123456789ab';
const namespace = createNamespace(ID);
const translate = (method: string, url: string) => translateCall(method, url, namespace, 'http://base');

describe('the calls of a foreign service', () => {
  test.each([
    ['GET', '/api/v3/ping', '/api/v3/ping'],
    [
      'GET',
      '/api/v3/device/service/name/svc?limit=-1&offset=0&labels=x',
      `/api/v3/device/service/name/${ID}.svc?limit=-1&offset=0`,
    ],
    ['GET', '/api/v3/device/name/a%2Fb', `/api/v3/device/name/${ID}.a%2Fb`],
    ['GET', '/api/v3/deviceprofile/name/p', `/api/v3/deviceprofile/name/${ID}.p`],
    ['POST', '/api/v3/event/s/p/d/source', `/api/v3/event/${ID}.s/${ID}.p/${ID}.d/source`],
    // A name that has the prefix of another contract is still below its own
    ['GET', '/api/v3/device/name/other.d', `/api/v3/device/name/${ID}.other.d`],
  ])('%s %s is allowed, in its own names', (method, url, path) => {
    expect(translate(method, url).path).toBe(path);
  });

  test.each([
    ['GET', '/api/v3/device/all'],
    ['GET', '/api/v3/event/all'],
    ['DELETE', '/api/v3/event/age/0'],
    ['DELETE', '/api/v3/deviceservice/name/svc'],
    ['GET', '/api/v3/config'],
    ['GET', '/orchestrator/health'],
    ['GET', '/api/v3/device/name/a/b'],
    ['PUT', '/api/v3/device/name/a'],
    ['GET', '/api/v3/../v3/config'],
    ['GET', 'http://127.0.0.1:59881/api/v3/ping'],
    ['CONNECT', '127.0.0.1:59881'],
  ])('%s %s is refused', (method, url) => {
    expect(() => translate(method, url)).toThrow('may not call');
  });

  test('names in a path are whole segments, and never dots', () => {
    expect(() => translate('GET', '/api/v3/device/name/%2e%2e')).toThrow('empty');
    expect(() => translate('GET', '/api/v3/device/name/')).toThrow('empty');
    expect(() => translate('GET', '/api/v3/device/name/%zz')).toThrow('percent-encoded');
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) => {
        fc.pre(name !== '.' && name !== '..' && name.isWellFormed());
        const { path } = translate('GET', `/api/v3/device/name/${encodeURIComponent(name)}`);
        const segments = path.split('/');
        expect(segments).toHaveLength(6);
        expect(decodeURIComponent(segments[5] ?? '')).toBe(`${ID}.${name}`);
      }),
    );
  });

  test('names in an event go and come back as they were', () => {
    const names = fc.string({ minLength: 1 });
    const reading = fc.record({ deviceName: names, profileName: names, value: fc.string() });
    const events = fc.record({
      deviceName: names,
      profileName: names,
      readings: fc.array(reading, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(events, (event) => {
        const added = addNames({ event }, eventShape, namespace);
        expect(stripNames(added, eventShape, namespace)).toEqual({ event });
      }),
    );
  });
});

describe('the sockets of a foreign service', () => {
  const dir = mkdtempSync(join(tmpdir(), 'rim-'));
  let broker: Server;
  let brokerSockets = 0;
  let data: StubRoom;
  let metadata: StubRoom;
  let rim: ForeignRim;
  let service: HttpPeer;
  const peers: HttpPeer[] = [];
  const outcomes: string[] = [];

  beforeAll(async () => {
    broker = createServer((socket) => {
      brokerSockets++;
      socket.on('error', () => undefined).on('close', () => brokerSockets--);
      socket.pipe(socket);
    }).listen(join(dir, 'broker.sock'));
    [data, metadata] = [await openStub(), await openStub()];
    peers.push(httpPeer({ url: data.url }), httpPeer({ url: metadata.url }));
    rim = await openForeignRim({
      contractId: ID,
      runDir: dir,
      brokerSocket: join(dir, 'broker.sock'),
      baseAddress: 'http://base',
      coreData: peers[0]!,
      coreMetadata: peers[1]!,
      log: silentLog,
      onCall: (outcome) => outcomes.push(outcome),
    });
    service = httpPeer({ socketPath: join(dir, 'http.sock') });
  });
  afterAll(async () => {
    service.close();
    await rim.close();
    for (const peer of peers) peer.close();
    await Promise.all([data.close(), metadata.close(), new Promise((done) => broker.close(done))]);
    rmSync(dir, { recursive: true });
  });
  beforeEach(() => {
    data.calls.length = 0;
    metadata.calls.length = 0;
    outcomes.length = 0;
    metadata.answer = () => ({ status: 207, json: [{ statusCode: 201 }] });
  });

  const call = (path: string, json?: unknown, method: HttpCall['method'] = 'POST') =>
    service.call({ method, path: `/api/v3/${path}`, ...(json === undefined ? {} : { json }) });

  test('a request is about what it names: ids and lookalike fields are dropped', async () => {
    const device = {
      id: 'f00d',
      ID: 'f00d',
      name: 'd',
      Name: 'victim',
      serviceName: 's',
      SERVICENAME: 'victim',
    };
    await call('device', [{ device, Device: { name: 'victim' } }], 'PATCH');
    expect(JSON.parse(metadata.calls[0]?.text ?? '')).toEqual([
      { device: { name: `${ID}.d`, serviceName: `${ID}.s` } },
    ]);
    expect((await call('device', [{ device: { id: 'f00d' } }], 'PATCH')).status).toBe(400);
    expect((await call('device', { device })).status).toBe(400);
    expect((await call('device', [{ Device: device }])).status).toBe(400);
    expect(metadata.calls).toHaveLength(1);
    expect(outcomes).toEqual(['passed', 'refused', 'refused', 'refused']);
  });

  test('nothing to add is passed on as nothing', async () => {
    metadata.answer = () => ({ status: 207, json: null });
    const answer = await call('device', null, 'PATCH');
    expect([metadata.calls[0]?.text, answer.status, answer.json()]).toEqual(['null', 207, null]);
  });

  test('answers hold its own names only', async () => {
    const devices = [
      { name: `${ID}.d`, serviceName: `${ID}.s`, profileName: `${ID}.p` },
      { name: 'put there by hand', serviceName: `${ID}.s` },
    ];
    metadata.answer = () => ({ json: { totalCount: 2, devices, message: `about ${ID}.d` } });
    const answer = await call('device/service/name/s', undefined, 'GET');
    expect(answer.json()).toEqual({
      totalCount: 1,
      devices: [{ name: 'd', serviceName: 's', profileName: 'p' }],
      message: 'about d',
    });
    metadata.answer = () => ({ status: 404, json: { statusCode: 404, message: `no device ${ID}.d` } });
    expect((await call('device/name/d', undefined, 'GET')).json()).toEqual({
      statusCode: 404,
      message: 'no device d',
    });
  });

  test('a CBOR event stays CBOR', async () => {
    const bytes: Uint8Array[] = [];
    data.answer = () => ({ status: 201, json: {} });
    const event = {
      deviceName: 'd',
      profileName: 'p',
      origin: 2n ** 60n,
      readings: [{ deviceName: 'd', binaryValue: Uint8Array.of(1, 2) }],
    };
    const raw = httpPeer({ socketPath: join(dir, 'http.sock') });
    peers[0]!.call = ((real) => (asked: HttpCall) => {
      bytes.push(asked.body ?? new Uint8Array());
      return real(asked);
    })(peers[0]!.call);
    const headers = { 'content-type': 'application/cbor' };
    await raw.call({ method: 'POST', path: '/api/v3/event/s/p/d/x', headers, body: toCbor({ event }) });
    raw.close();
    expect(parseCbor(bytes[0]!)).toMatchObject({
      event: {
        deviceName: `${ID}.d`,
        origin: 2n ** 60n,
        readings: [{ deviceName: `${ID}.d`, binaryValue: Uint8Array.of(1, 2) }],
      },
    });
  });

  test('garbage, too much, and what is not allowed are refused with an error of EdgeX', async () => {
    const body = Buffer.from('{not json');
    expect((await service.call({ method: 'POST', path: '/api/v3/device', body })).status).toBe(400);
    const large = await service
      .call({ method: 'POST', path: '/api/v3/device', body: Buffer.alloc((1 << 20) + 1, 32) })
      .then(
        ({ status }) => status,
        () => 413,
      );
    expect(large).toBe(413);
    expect((await call('config', undefined, 'GET')).json()).toMatchObject({
      apiVersion: 'v3',
      statusCode: 403,
    });
    expect([...data.calls, ...metadata.calls]).toEqual([]);
  });

  test('a core service that does not answer is told as such', async () => {
    metadata.answer = () => ({ status: 503, json: { message: 'starting' } });
    expect((await call('ping', undefined, 'GET')).status).toBe(503);
  });

  test('the way to the broker passes bytes both ways and can be cut', async () => {
    const socket = connect(join(dir, 'bus.sock'));
    const echoed = new Promise<string>((resolve) =>
      socket.once('data', (chunk) => resolve(chunk.toString())),
    );
    socket.write('hello');
    expect(await echoed).toBe('hello');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    rim.cutBus();
    await closed;
    const again = connect(join(dir, 'bus.sock'));
    const second = new Promise<string>((resolve) => again.once('data', (chunk) => resolve(chunk.toString())));
    again.write('again');
    expect(await second).toBe('again');
    again.destroy();
  });
});
