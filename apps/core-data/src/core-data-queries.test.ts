import { describe, expect, test } from '@jest/globals';
import { CoreDataScene, ORIGIN, json, newId, readingOf, requestOf, until } from './core-data.fixture.ts';

const scene = new CoreDataScene();
const { get, post, start, stop } = scene;

describe('deleting', () => {
  test('an event by its id', async () => {
    const request = requestOf('d');
    await post(request, 'svc/p/d/s');
    expect((await scene.peer.call({ method: 'DELETE', path: `/event/id/${request.event.id}` })).status).toBe(
      200,
    );
    expect((await scene.peer.call({ method: 'DELETE', path: `/event/id/${request.event.id}` })).status).toBe(
      404,
    );
    expect(json(await get('/reading/count'))['count']).toBe(0);
    expect((await post(request, 'svc/p/d/s')).status).toBe(201);
  });

  test('a device’s events, those that are there, also when the room is stopped in between', async () => {
    await Promise.all(Array.from({ length: 900 }, () => post(requestOf('d'), 'svc/p/d/s')));
    await post(requestOf('e'), 'svc/p/e/s');
    expect((await scene.peer.call({ method: 'DELETE', path: '/event/device/name/d' })).status).toBe(202);
    await stop();
    await start();
    await post(requestOf('d'), 'svc/p/d/s');
    await until(async () => json(await get('/event/count'))['count'] === 2);
    expect(json(await get('/event/count/device/name/d'))['count']).toBe(1);
    expect(json(await get('/reading/all'))['totalCount']).toBe(2);
  });

  test('events older than an age', async () => {
    const now = BigInt(Date.now()) * 1_000_000n;
    await post(requestOf('d', { origin: now - 3_600_000_000_000n }), 'svc/p/d/s');
    await post(requestOf('d', { origin: now }), 'svc/p/d/s');
    expect((await scene.peer.call({ method: 'DELETE', path: '/event/age/60000000000' })).status).toBe(202);
    await until(async () => json(await get('/event/count'))['count'] === 1);
    expect((await scene.peer.call({ method: 'DELETE', path: '/event/age/x' })).status).toBe(400);
  });
});

describe('queries', () => {
  test('answers 400 for what cannot be read and 416 for an offset beyond the end', async () => {
    await post(requestOf('d'), 'svc/p/d/s');
    expect((await get('/event/all?offset=1')).status).toBe(200);
    expect((await get('/event/all?offset=2')).status).toBe(416);
    expect((await get('/reading/all?offset=2')).status).toBe(416);
    for (const bad of ['limit=x', 'limit=-2', 'limit=1025', 'offset=-2', 'offset=1.5'])
      expect((await get(`/event/all?${bad}`)).status).toBe(400);
    expect((await get('/event/start/5/end/4')).status).toBe(400);
    expect((await get('/event/id/x')).status).toBe(400);
    expect((await get(`/event/id/${newId()}`)).status).toBe(404);
  });

  test('limit=0 gives the total alone, offset=-1 the rows alone', async () => {
    await post(requestOf('d'), 'svc/p/d/s');
    expect(json(await get('/event/all?limit=0'))).toMatchObject({ totalCount: 1, events: [] });
    expect(json(await get('/reading/all?offset=-1'))).toMatchObject({
      totalCount: 0,
      readings: [{ value: '7' }],
    });
  });

  test('values of numeric types are numbers where that is asked for', async () => {
    const values = {
      Int64: '9007199254740993',
      Float32: '+3.95e+01',
      Float64: 'NaN',
      Int8Array: '[1, -2]',
      Bool: 'true',
    };
    const readings = Object.entries(values).map(([valueType, value]) => ({
      ...readingOf('d', 'r', value),
      valueType,
    }));
    await post(requestOf('d', { readings }), 'svc/p/d/s');
    const shown = json(await get('/reading/all?numeric=true'))['readings'] as { value: unknown }[];
    expect(shown.map(({ value }) => value).reverse()).toEqual([
      9007199254740993n,
      39.5,
      'NaN',
      [1, -2],
      'true',
    ]);
  });

  test('several resources of a device by a body, as EdgeX has it', async () => {
    const readings = ['a', 'b', 'c'].map((resource) => readingOf('d', resource, '1'));
    await post(requestOf('d', { readings }), 'svc/p/d/s');
    const answer = await scene.peer.call({
      path: `/reading/device/name/d/start/0/end/${ORIGIN}`,
      json: { resourceNames: ['a', 'c'] },
    });
    expect(json(answer)['totalCount']).toBe(2);
  });
});

test('first posts of unknown devices, queries and deletions all at once come to their ends', async () => {
  for (let n = 0; n < 50; n++) await post(requestOf('old'), 'svc/p/old/s');
  const posts = Array.from({ length: 200 }, (_, n) => {
    const device = `new-${n}`;
    const readings = [readingOf(device, `r-${n}`, '1'), readingOf(device, `s-${n}`, '2', ORIGIN + 1n)];
    return post(requestOf(device, { readings }), `svc/p/${device}/s`);
  });
  const asked = [
    '/event/all',
    '/event/device/name/old',
    `/reading/start/1/end/${ORIGIN}`,
    '/reading/all?aggregateFunc=SUM',
  ];
  const queries = Array.from({ length: 60 }, (_, n) => get(asked[n % asked.length] ?? ''));
  const deletion = scene.peer.call({ method: 'DELETE', path: '/event/device/name/old' });
  const statuses = (await Promise.all([...posts, ...queries, deletion])).map(({ status }) => status);
  expect(
    Object.fromEntries(
      Map.groupBy(statuses, String)
        .entries()
        .map(([s, all]) => [s, all.length]),
    ),
  ).toEqual({
    200: 60,
    201: 200,
    202: 1,
  });
  await until(async () => json(await get('/event/count'))['count'] === 200);
  expect(json(await get('/reading/count'))['count']).toBe(400);
});
