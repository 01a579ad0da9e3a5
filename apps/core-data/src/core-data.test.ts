import { describe, expect, test } from '@jest/globals';
import { silentLog, type Bus, type Log } from '@antirio/host';
import { AntirioError, utf8 } from '@antirio/kernel';
import { makeEnvelope, parseEnvelope, stringifyJson, toCbor } from '@antirio/edgex-contracts';
import { CoreDataScene, json, readingOf, requestOf, until } from './core-data.fixture.ts';

const scene = new CoreDataScene();
const { get, post, start, stop } = scene;

const withNul = (fields: Record<string, unknown>): ReturnType<typeof requestOf> =>
  requestOf('d', { readings: [{ ...readingOf('d', 'r', '7'), ...fields }] });
const binary = { valueType: 'Binary', value: undefined, binaryValue: 'AQI=', mediaType: 'a\u0000' };
const HAVE_NUL: readonly [string, ReturnType<typeof requestOf>][] = [
  ['device', requestOf('d\u0000')],
  ['source', requestOf('d', { sourceName: 's\u0000' })],
  ['profile', requestOf('d', { profileName: '\u0000p' })],
  ['resource', withNul({ resourceName: 'r\u0000' })],
  ['resource of a reading with tags', withNul({ resourceName: 'r\u0000', tags: { t: 1 } })],
  ['unit', withNul({ units: '\u0000' })],
  ['media type', withNul(binary)],
];
/** Where an event is sent to, by its own names. */
const addressOf = ({ event }: ReturnType<typeof requestOf>, level: (name: string) => string): string =>
  ['profileName', 'deviceName', 'sourceName'].map((key) => level(String(event[key]))).join('/');

describe('storing events by HTTP', () => {
  test.each(HAVE_NUL)('a NUL in the name of a %s is refused with 400', async (_what, request) => {
    const answer = await post(request, `svc/${addressOf(request, encodeURIComponent)}`);
    expect(answer.status).toBe(400);
    expect(String(json(answer)['message'])).toContain('should not contain a NUL character');
    expect(json(await get('/event/count'))['count']).toBe(0);
  });

  test('a NUL in a value, in tags or in an object comes back as it was', async () => {
    const readings = [
      { ...readingOf('d', 'r', '\u0000a\u0000b\u0000'), valueType: 'String', tags: { 'k\u0000': '\u0000' } },
      { ...readingOf('d', 'o', undefined), valueType: 'Object', objectValue: { '\u0000': ['\u0000'] } },
    ];
    const single = withNul({ value: 'a\u0000', valueType: 'String' });
    for (const request of [requestOf('d', { readings, tags: { t: '\u0000' } }), single]) {
      expect((await post(request, 'svc/p/d/s')).status).toBe(201);
      expect(json(await get(`/event/id/${request.event.id}`))['event']).toEqual(request.event);
    }
  });

  test('an event comes back by its id with every digit of its origin and its tags', async () => {
    const request = requestOf('d', { tags: { devEUI: '00aa', fCnt: 7, deep: { big: 2n ** 60n } } });
    const stored = await scene.peer.call({
      method: 'POST',
      path: '/event/svc/p/d/s',
      body: utf8(stringifyJson(request)),
      headers: { 'x-correlation-id': 'abc' },
    });
    expect(stored.status).toBe(201);
    expect(stored.headers['x-correlation-id']).toBe('abc');
    expect(stored.json()).toEqual({
      apiVersion: 'v3',
      requestId: request['requestId'],
      statusCode: 201,
      id: request.event.id,
    });
    const got = await get(`/event/id/${request.event.id}`);
    expect(json(got)).toEqual({ apiVersion: 'v3', statusCode: 200, event: request.event });
  });

  test('all kinds of readings come back', async () => {
    const base = readingOf('d', 'r', undefined);
    const readings = [
      { ...base, valueType: 'Binary', binaryValue: 'AQI=', mediaType: 'image/png', value: undefined },
      { ...base, valueType: 'Object', objectValue: { a: [1, 2n ** 62n] }, value: undefined, units: 'C' },
      { ...base, valueType: 'String', value: null },
      { ...base, valueType: 'Float32Array', value: '[1.5, 2e+01]', tags: { x: 1 } },
    ];
    const request = requestOf('d', { readings });
    expect((await post(request, 'svc/p/d/s')).status).toBe(201);
    const event = json(await get(`/event/id/${request.event.id}`))['event'] as {
      readings: Record<string, unknown>[];
    };
    expect(event.readings).toEqual([
      { ...base, valueType: 'Binary', binaryValue: 'AQI=', mediaType: 'image/png', value: undefined },
      { ...base, valueType: 'Object', objectValue: { a: [1, 2n ** 62n] }, value: undefined, units: 'C' },
      { ...base, valueType: 'String', value: null, binaryValue: null, objectValue: null },
      { ...base, valueType: 'Float32Array', value: '[1.5, 2e+01]', tags: { x: 1 } },
    ]);
  });

  test('an id that is stored already answers 409, also while the first is under way and after a restart', async () => {
    const request = requestOf('d');
    const answers = await Promise.all([1, 2, 3].map(() => post(request, 'svc/p/d/s')));
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409, 409]);
    await stop();
    await start();
    const again = await post(request, 'svc/p/d/s');
    expect(again.json()).toMatchObject({
      apiVersion: 'v3',
      statusCode: 409,
      requestId: request['requestId'],
    });
    expect(json(await get('/event/count'))['count']).toBe(1);
  });

  test('400 first posts of unknown devices and resources at once are normal traffic', async () => {
    const requests = Array.from({ length: 400 }, (_, i) =>
      requestOf(`device-${i}`, { readings: [readingOf(`device-${i}`, `resource-${i}`, '1')] }),
    );
    const answers = await Promise.all(requests.map((request, i) => post(request, `svc/p/device-${i}/s`)));
    expect(answers.every((answer) => answer.status === 201)).toBe(true);
    expect(json(await get('/reading/count'))['count']).toBe(400);
    expect(json(await get('/reading/resourceName/resource-399?limit=-1'))['totalCount']).toBe(1);
  });

  test('CBOR is taken where the header says so', async () => {
    const request = requestOf('d');
    const body = toCbor(request);
    const headers = { 'content-type': 'application/cbor' };
    expect((await scene.peer.call({ method: 'POST', path: '/event/svc/p/d/s', body, headers })).status).toBe(
      201,
    );
    expect(json(await get(`/event/id/${request.event.id}`))['event']).toEqual(request.event);
  });

  test('CBOR nested too deep is refused alone: what came with it is stored, and bytes in objects are base64', async () => {
    const objects = (value: unknown): Uint8Array => {
      const reading = { ...readingOf('d', 'r', undefined), valueType: 'Object', objectValue: value };
      return toCbor(requestOf('d', { readings: [reading] }));
    };
    const text = (levels: number): Uint8Array => {
      const hole = '\u0000'.repeat(levels);
      const bytes = Buffer.from(objects(hole));
      const at = bytes.indexOf(hole) - (levels < 256 ? 2 : 3);
      const nested = Buffer.concat([Buffer.alloc(levels, 0x81), Buffer.of(0)]);
      return Buffer.concat([bytes.subarray(0, at), nested, bytes.subarray(bytes.indexOf(hole) + levels)]);
    };
    const bodies = [objects(1), text(5000), objects(Uint8Array.of(1, 2)), text(900), text(3000), objects(2)];
    const answers = await Promise.all(
      bodies.map((body) =>
        scene.peer.call({
          method: 'POST',
          path: '/event/svc/p/d/s',
          body,
          headers: { 'content-type': 'application/cbor' },
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 400, 201, 201, 400, 201]);
    const { readings } = json(await get('/reading/device/name/d')) as {
      readings: { objectValue: unknown }[];
    };
    expect(readings.map(({ objectValue }) => objectValue)).toEqual(expect.arrayContaining([1, 2, 'AQI=']));
  });

  test('names that need escaping work', async () => {
    const request = requestOf('a/b+c#%');
    expect((await post(request, `svc/p/${encodeURIComponent('a/b+c#%')}/s`)).status).toBe(201);
    expect(json(await get(`/event/count/device/name/${encodeURIComponent('a/b+c#%')}`))['count']).toBe(1);
  });

  test.each([
    ['another device than the path', 'svc/p/other/s', requestOf('d')],
    ['another profile than the path', 'svc/q/d/s', requestOf('d')],
    ['no readings', 'svc/p/d/s', requestOf('d', { readings: [] })],
    ['an id that is no UUID', 'svc/p/d/s', requestOf('d', { id: 'x' })],
    ['a value out of range', 'svc/p/d/s', requestOf('d', { readings: [readingOf('d', 'r', '70000')] })],
    ['no event', 'svc/p/d/s', { apiVersion: 'v3' }],
    ['a body that is a list', 'svc/p/d/s', [] as unknown as Record<string, unknown>],
  ])('%s is refused with 400', async (_what, path, request) => {
    const answer = await post(request, path);
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ apiVersion: 'v3', statusCode: 400 });
    expect(json(await get('/event/count'))['count']).toBe(0);
  });

  test.each([['{'], ['{"event":'], ['\u0000'], ['"text"'], ['null'], ['1e999'], ['['.repeat(50_000)]])(
    'a body that is no request is refused with 400: %#',
    async (text) => {
      expect(
        (await scene.peer.call({ method: 'POST', path: '/event/svc/p/d/s', body: utf8(text) })).status,
      ).toBe(400);
    },
  );

  test('no body at all is refused with 400, a body over the limit with 413', async () => {
    expect((await scene.peer.call({ method: 'POST', path: '/event/svc/p/d/s' })).status).toBe(400);
    await stop();
    await start({ maxEventBytes: 2048 });
    const request = requestOf('d', { tags: { much: 'x'.repeat(4000) } });
    expect((await post(request, 'svc/p/d/s')).status).toBe(413);
  });

  test('what is over the bound of the queue is refused with 503, counted, and seen in health and metrics', async () => {
    await stop();
    await start({ maxPendingEvents: 4 });
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => post(requestOf('d'), 'svc/p/d/s').then((answer) => answer.status)),
    );
    const refused = answers.filter((status) => status === 503).length;
    const stored = answers.filter((status) => status === 201).length;
    expect(stored + refused).toBe(40);
    expect(refused).toBeGreaterThan(0);
    expect(json(await get('/event/count'))['count']).toBe(stored);
    expect((await scene.room.health())['store']).toMatchObject({
      ok: true,
      detail: `${refused} refused because too much waited`,
    });
    expect(new TextDecoder().decode((await get('/metrics')).body)).toContain(`CommitsRefused ${refused}`);
  });
});

describe('the bus', () => {
  test('an event stored by HTTP is published as it came in', async () => {
    const seen: { topic: string; payload: unknown }[] = [];
    await scene.bus.subscribe('edgex/events/core/#', (topic, payload) => {
      seen.push({ topic, payload: parseEnvelope(payload) });
    });
    const request = requestOf('d');
    await post(request, 'svc/p/d/s');
    await until(async () => seen.length > 0);
    expect(seen).toEqual([
      {
        topic: 'edgex/events/core/svc/p/d/s',
        payload: expect.objectContaining({ payload: request, errorCode: 0 }),
      },
    ]);
  });

  test.each([
    ['JSON', (request: unknown) => makeEnvelope(request, { correlationID: 'c' })],
    ['base64', (request: unknown) => makeEnvelope(utf8(stringifyJson(request)), { correlationID: 'c' })],
    [
      'CBOR',
      (request: unknown) =>
        makeEnvelope(toCbor(request), { correlationID: 'c', contentType: 'application/cbor' }),
    ],
  ])('an event published as %s is on the disk when publish with QoS 1 resolves', async (_form, envelope) => {
    const request = requestOf('d');
    await scene.bus.publish('edgex/events/device/svc/p/d/s', envelope(request), { qos: 1 });
    expect(json(await get(`/event/id/${request.event.id}`))['event']).toEqual(request.event);
  });

  test('what is no event, or not that of its topic, is counted and stops nothing', async () => {
    const topic = 'edgex/events/device/svc/p/d/s';
    const envelope = (request: unknown): string => makeEnvelope(request, { correlationID: 'c' });
    for (const bad of ['', '{', 'x'.repeat(100), envelope({}), envelope(requestOf('other'))])
      await scene.bus.publish(topic, bad, { qos: 1 });
    const request = requestOf('d');
    await scene.bus.publish(topic, envelope(request), { qos: 1 });
    await scene.bus.publish(topic, envelope(request), { qos: 1 });
    expect(json(await get('/event/count'))['count']).toBe(1);
    const metrics = new TextDecoder().decode((await get('/metrics')).body);
    expect(metrics).toContain('MessagesRefused 5');
    expect(metrics).toContain('EventsDuplicate 1');
  });

  test('a NUL in a name is refused and counted', async () => {
    for (const [, request] of HAVE_NUL) {
      const topic = `edgex/events/device/svc/${addressOf(request, encodeURIComponent)}`;
      await scene.bus.publish(topic, makeEnvelope(request, { correlationID: 'c' }), { qos: 1 });
    }
    expect(json(await get('/event/count'))['count']).toBe(0);
    const metrics = new TextDecoder().decode((await get('/metrics')).body);
    expect(metrics).toContain(`MessagesRefused ${HAVE_NUL.length}`);
  });

  test('with eventPurge, a device that metadata deletes loses its events', async () => {
    await stop();
    await start({ eventPurge: true });
    await post(requestOf('d'), 'svc/p/d/s');
    await post(requestOf('e'), 'svc/p/e/s');
    const change = { type: 'device', action: 'delete', owner: 'svc', details: { name: 'd' } };
    await scene.bus.publish(
      'edgex/system-events/core-metadata/device/delete/svc/p',
      makeEnvelope(change, { correlationID: 'c' }),
      {
        qos: 1,
      },
    );
    await until(async () => json(await get('/event/count'))['count'] === 1);
    expect(json(await get('/reading/device/name/d'))['readings']).toEqual([]);
  });
});

test('PersistData and EventPurge are followed while it runs', async () => {
  const count = async (): Promise<unknown> => json(await get('/event/count'))['count'];
  const seen: string[] = [];
  await scene.bus.subscribe('edgex/events/core/#', (topic) => void seen.push(topic));
  scene.room.applyWritable({ PersistData: 'false', LogLevel: 'INFO' });
  const request = requestOf('d');
  expect((await post(request, 'svc/p/d/s')).status).toBe(201);
  await scene.bus.publish(
    'edgex/events/device/svc/p/d/s',
    makeEnvelope(requestOf('d'), { correlationID: 'c' }),
    {
      qos: 1,
    },
  );
  await until(async () => seen.length > 0);
  expect([await count(), seen]).toEqual([0, ['edgex/events/core/svc/p/d/s']]);

  scene.room.applyWritable({ EventPurge: true });
  expect((await post(request, 'svc/p/d/s')).status).toBe(201);
  expect(await count()).toBe(1);
  const change = { type: 'device', action: 'delete', owner: 'svc', details: { name: 'd' } };
  const topic = 'edgex/system-events/core-metadata/device/delete/svc/p';
  await scene.bus.publish(topic, makeEnvelope(change, { correlationID: 'c' }), { qos: 1 });
  await until(async () => (await count()) === 0);

  expect(() => scene.room.applyWritable({ PersistData: 'perhaps' })).toThrow('PersistData');
});

test('health tells the truth about the store and the bus', async () => {
  expect((await get('/ready')).status).toBe(200);
  await scene.bus.close();
  expect((await get('/ready')).status).toBe(503);
  scene.openBus();
});

test('it is not ready while the broker refuses its subscription, says why once, and ends without it', async () => {
  await stop();
  const taken = Promise.withResolvers<never>();
  let tries = 0;
  const said: string[] = [];
  const refusing: Bus = {
    ...scene.bus,
    subscribe: () =>
      ++tries > 2 ? taken.promise : Promise.reject(new AntirioError('forbidden', 'by its ACL')),
  };
  const error = (...given: unknown[]): void => void said.push(String(given[1]));
  const log = Object.assign(Object.create(silentLog) as Log, { error });
  await start({}, { bus: refusing, log });
  const ready = await get('/ready');
  expect([ready.status, JSON.stringify(json(ready))]).toEqual([503, expect.stringContaining('by its ACL')]);
  expect(said).toEqual(['not subscribed yet', 'not subscribed yet']);
  await scene.room.stop();
  await start();
  expect((await get('/ready')).status).toBe(200);
});
