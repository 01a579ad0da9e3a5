import { connect } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { HttpCall } from '@antirio/host';
import {
  apiVersion,
  deviceRequest,
  Fixture,
  profileRequest,
  serviceRequest,
  statuses,
  watcherRequest,
  type Items,
  type Json,
} from './fixture.ts';

const at = new Fixture();

const call = (method: HttpCall['method'], path: string, text: string | Uint8Array): Promise<HttpAnswerLike> =>
  at.peer.call({
    method,
    path,
    body: Buffer.from(text),
    headers: { 'content-type': 'application/json' },
  });
interface HttpAnswerLike {
  readonly status: number;
  json(): unknown;
}

const MANY: readonly (readonly [method: 'POST' | 'PUT' | 'PATCH', path: string])[] = [
  ['POST', '/device'],
  ['PATCH', '/device'],
  ['POST', '/deviceservice'],
  ['PATCH', '/deviceservice'],
  ['POST', '/deviceprofile'],
  ['PUT', '/deviceprofile'],
  ['PATCH', '/deviceprofile/basicinfo'],
  ['POST', '/deviceprofile/resource'],
  ['PATCH', '/deviceprofile/resource'],
  ['POST', '/deviceprofile/deviceCommand'],
  ['PATCH', '/deviceprofile/deviceCommand'],
  ['POST', '/provisionwatcher'],
  ['PATCH', '/provisionwatcher'],
];

/** `[[[...]]]`, or a map of maps. */
const deep = (levels: number, open = '[', close = ']'): string => open.repeat(levels) + close.repeat(levels);
const deviceText = (location: string): string =>
  JSON.stringify([deviceRequest('deep', { location: 0 })]).replace('"location":0', `"location":${location}`);

describe('bodies', () => {
  test.each(MANY)('%s %s refuses what is no list of its requests', async (method, path) => {
    const texts = ['', '{', '{}', '5', '"x"', 'true', '[null]', '[{}]', '[[]]', '[5]', 'NaN', '[1e999]'];
    for (const text of [...texts, Buffer.from([0x5b, 0xff, 0x5d]), deep(100_000), '[{"apiVersion":"v3"}]']) {
      const answer = await call(method, path, text);
      expect([String(text).slice(0, 20), answer.status]).toEqual([String(text).slice(0, 20), 400]);
      expect(answer.json()).toMatchObject({ apiVersion, statusCode: 400, message: expect.any(String) });
    }
    for (const text of ['null', '[]']) {
      const answer = await call(method, path, text);
      expect([answer.status, answer.json()]).toEqual([207, null]);
    }
  });

  test('that are nested too deeply are refused, also where anything is allowed', async () => {
    await at.seed();
    for (const location of [deep(5000), deep(5000, '{"a":', '}').replace('}', '1}')])
      expect((await call('POST', '/device', deviceText(location))).status).toBe(400);
    expect((await call('POST', '/device', deviceText(deep(100)))).status).toBe(207);
  });

  test('over the limit are refused with 413', async () => {
    await at.stop();
    await at.start({ maxBodyBytes: 4096 });
    const answer = await call(
      'POST',
      '/device',
      JSON.stringify([deviceRequest('d', { description: 'x'.repeat(5000) })]),
    );
    expect(answer.status).toBe(413);
    expect(answer.json()).toMatchObject({ apiVersion, statusCode: 413 });
  });

  test('that break off leave the room answering', async () => {
    const socket = connect(at.room.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(
      'POST /api/v3/device HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[{',
    );
    socket.destroy();
    expect((await at.get('/ping')).status).toBe(200);
  });
});

describe('whatever comes', () => {
  const requests: Readonly<Record<string, unknown>> = {
    '/device': deviceRequest('x'),
    '/deviceservice': serviceRequest('x'),
    '/deviceprofile': profileRequest('x'),
    '/provisionwatcher': watcherRequest('x'),
  };
  const nasty = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<unknown>(
      '',
      ' ',
      '\u0000',
      '\ud800',
      '../..',
      '%',
      '/#+$',
      'é'.repeat(400),
      -0,
      1e308,
      2 ** 53,
      {},
      [],
      null,
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  /** One field somewhere in the value, replaced or taken away. */
  const paths = (value: unknown, path: string[] = []): string[][] =>
    typeof value !== 'object' || value === null
      ? [path]
      : [path, ...Object.entries(value).flatMap(([key, below]) => paths(below, [...path, key]))];
  const replaced = (value: unknown, [key, ...rest]: string[], by: unknown): unknown => {
    if (key === undefined) return by;
    const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as Json) };
    (copy as Json)[key] = replaced((copy as Json)[key], rest, by);
    return copy;
  };

  test('in a field, the answer is not 500, and what is taken can be read again', async () => {
    await at.seed();
    const pathOf = fc.constantFrom(...Object.keys(requests));
    const change = pathOf.chain((path) =>
      fc.tuple(fc.constant(path), fc.constantFrom(...paths(requests[path])), nasty),
    );
    await fc.assert(
      fc.asyncProperty(
        change,
        fc.constantFrom('POST' as const, 'PATCH' as const),
        async ([path, field, by], verb) => {
          const method = verb === 'PATCH' && path === '/deviceprofile' ? 'PUT' : verb;
          const json = [replaced(requests[path], field, by)];
          const answer = await at.peer.call({ method, path: `${path}?bypassValidation=true`, json });
          expect([207, 400]).toContain(answer.status);
          for (const { statusCode } of (answer.status === 207 ? (answer.json() as Items) : null) ?? [])
            expect(statusCode).toBeLessThan(500);
          const list = await at.get(`${path}/all?limit=1`);
          expect(list.status).toBe(200);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('in a query or a path, the answer is not 500', async () => {
    await at.seed();
    const value = fc.oneof(
      fc.constantFrom(
        '-1',
        '-2',
        '0',
        '1',
        'x',
        '99999999999999999999',
        '1.5',
        '',
        ' 1',
        '0x1',
        '%',
        '/',
        'd',
        'p',
        'svc',
      ),
      fc.string({ unit: 'binary', maxLength: 10 }),
    );
    const paths = [
      '/device/all',
      '/deviceprofile/all',
      '/deviceservice/all',
      '/provisionwatcher/all',
      '/deviceprofile/basicinfo/all',
      '/device/name/:',
      '/device/id/:',
      '/device/check/name/:',
      '/device/profile/name/:',
      '/device/service/name/:',
      '/deviceprofile/name/:',
      '/deviceprofile/manufacturer/:',
      '/deviceprofile/model/:',
      '/deviceprofile/manufacturer/:/model/:',
      '/deviceresource/profile/:/resource/:',
      '/deviceservice/name/:',
      '/provisionwatcher/name/:',
      '/provisionwatcher/service/name/:',
      '/provisionwatcher/profile/name/:',
    ];
    const key = fc.constantFrom('offset', 'limit', 'labels', 'descendantsOf', 'maxLevels');
    const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        value,
        fc.array(fc.tuple(key, value), { maxLength: 3 }),
        async (path, name, query) => {
          const search = query.map(([k, v]) => `${k}=${encoded(v)}`).join('&');
          const answer = await at.get(`${path.replaceAll(':', encoded(name))}?${search}`);
          expect([200, 400, 404, 416]).toContain(answer.status);
          expect(answer.json()).toMatchObject({ apiVersion, statusCode: answer.status });
        },
      ),
      { numRuns: 100 },
    );
  });
});

test.each([
  ['PUT', '/device', 'POST, PATCH'],
  ['DELETE', '/device/all', 'GET'],
  ['POST', '/deviceprofile/name/p', 'DELETE, GET'],
] as const)(
  'a method that a path has not is refused with those that it has: %s %s',
  async (method, path, allow) => {
    const answer = await at.peer.call({ method, path });
    expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
    expect(answer.json()).toMatchObject({ apiVersion, statusCode: 405 });
  },
);

test.each(['%zz', '%', '%ff'])('a path that is not percent-encoded is refused: %s', async (name) => {
  expect((await at.get(`/device/name/${name}`)).status).toBe(400);
});

test('names with reserved characters are kept, found and deleted', async () => {
  const strange = ['a/b', 'a.b', '100%', 'a b', '#+$', 'ü', '?x=1&y', ':;=~', '..', '日本', '\u{1F600}'];
  await at.send('POST', '/deviceservice', [serviceRequest()]);
  expect(
    statuses(
      await at.send(
        'POST',
        '/deviceprofile',
        strange.map((name) => profileRequest(name)),
      ),
    ),
  ).toEqual(strange.map(() => 201));
  const devices = strange.map((name) => deviceRequest(name, { profileName: name }));
  expect(statuses(await at.send('POST', '/device?bypassValidation=true', devices))).toEqual(
    strange.map(() => 201),
  );
  for (const name of strange) {
    const path = encodeURIComponent(name).replaceAll('.', '%2E');
    expect((await at.body(`/device/name/${path}`))['device']).toMatchObject({ name });
    expect((await at.body(`/device/profile/name/${path}`))['totalCount']).toBe(1);
    expect(await at.remove(`/device/name/${path}`)).toBe(200);
    expect(await at.remove(`/deviceprofile/name/${path}`)).toBe(200);
  }
});
