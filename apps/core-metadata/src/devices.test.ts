import { describe, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { errorEnvelope, makeEnvelope, parseEnvelope, responseTopic } from '@antirio/edgex-contracts';
import {
  apiVersion,
  deviceRequest,
  Fixture,
  names,
  profileRequest,
  properties,
  serviceRequest,
  statuses,
  type Items,
  type Json,
} from './fixture.ts';

const at = new Fixture();

describe('devices', () => {
  test('are found by name, id, profile, service and label', async () => {
    await at.seed();
    const { device } = await at.body('/device/name/d');
    const { id } = device as { id: string };
    expect(device).toMatchObject({
      name: 'd',
      protocols: { lorawan: { DevEUI: '00aa' } },
      created: expect.any(Number),
    });
    expect((await at.body(`/device/id/${id}`))['device']).toEqual(device);
    expect((await at.get('/device/check/name/d')).status).toBe(200);
    expect((await at.get('/device/check/name/none')).status).toBe(404);
    expect(names(await at.body('/device/profile/name/p'), 'devices')).toEqual(['d']);
    expect(names(await at.body('/device/service/name/svc'), 'devices')).toEqual(['d']);
    expect(names(await at.body('/device/all?labels=x'), 'devices')).toEqual([]);
    expect((await at.get('/device/all?offset=2')).status).toBe(416);
    expect((await at.get('/device/all?offset=-1')).status).toBe(400);
  });

  test('make a tree, whose inner devices are not deleted', async () => {
    await at.seed();
    await at.send('POST', '/device?bypassValidation=true', [deviceRequest('e', { parent: 'd' })]);
    await at.send('POST', '/device?bypassValidation=true', [deviceRequest('f', { parent: 'e' })]);
    expect(names(await at.body('/device/all?descendantsOf=d'), 'devices')).toEqual(['e', 'f']);
    expect(names(await at.body('/device/all?descendantsOf=d&maxLevels=1'), 'devices')).toEqual(['e']);
    expect(await at.remove('/device/name/d')).toBe(409);
    const loop = [{ apiVersion, device: { name: 'd', parent: 'd' } }];
    expect(statuses(await at.send('PATCH', '/device?bypassValidation=true', loop))).toEqual([400]);
    const circle = [{ apiVersion, device: { name: 'd', parent: 'f' } }];
    expect(statuses(await at.send('PATCH', '/device?bypassValidation=true', circle))).toEqual([400]);
    expect(await at.body('/device/all?descendantsOf=f')).toMatchObject({ totalCount: 0, devices: [] });
    expect(await at.body('/device/all?descendantsOf=d&offset=1&limit=5')).toMatchObject({
      totalCount: 2,
      devices: [{ name: 'f' }],
    });
    for (const query of ['maxLevels=-1', 'maxLevels=x', 'limit=1025', 'offset=x'])
      expect((await at.get(`/device/all?descendantsOf=d&${query}`)).status).toBe(400);
    expect(await at.remove('/device/name/f')).toBe(200);
    expect(await at.remove('/device/name/e')).toBe(200);
    expect(await at.remove('/device/name/d')).toBe(200);
  });

  test('refer only to what there is', async () => {
    await at.seed();
    const requests = [
      deviceRequest('a', { serviceName: 'none' }),
      deviceRequest('b', { profileName: 'none' }),
      deviceRequest('c', { autoEvents: [{ interval: '1s', sourceName: 'none' }] }),
      deviceRequest('d'),
      deviceRequest('e', { autoEvents: [{ interval: '1s', sourceName: 'temp.*' }] }),
      deviceRequest('f', { autoEvents: [{ interval: '1s', sourceName: 'both' }], profileName: 'p' }),
      deviceRequest('g', { profileName: undefined }),
    ];
    const items = await at.send('POST', '/device?bypassValidation=true', requests);
    expect(statuses(items)).toEqual([400, 400, 400, 409, 201, 201, 201]);
    const slow = deviceRequest('g', {
      profileName: 'long',
      autoEvents: [{ interval: '1s', sourceName: '(a+)+b' }],
    });
    await at.send('POST', '/deviceprofile', [
      profileRequest('long', { deviceResources: [{ name: 'a'.repeat(60), properties }], deviceCommands: [] }),
    ]);
    expect(statuses(await at.send('POST', '/device', [slow]))).toEqual([400]);
    const many = Array.from({ length: 2000 }, (_, n) => ({ interval: '1s', sourceName: `(a+)+b${n}` }));
    expect(
      await at.send('POST', '/device', [deviceRequest('g', { profileName: 'long', autoEvents: many })]),
    ).toMatchObject([{ statusCode: 400, message: expect.stringContaining('failed to CompilePOSIX') }]);
    for (const [sourceName, text] of [
      ['none.*', "auto event source 'none.*' cannot be found in the device profile 'p'"],
      ['(', 'failed to CompilePOSIX the auto event source name: ('],
    ])
      expect(
        await at.send('POST', '/device', [
          deviceRequest('i', { autoEvents: [{ interval: '1s', sourceName }] }),
        ]),
      ).toMatchObject([{ statusCode: 400, message: text }]);
    const bad = deviceRequest('h', { autoEvents: [{ interval: 'often', sourceName: 'both' }] });
    expect((await at.peer.call({ method: 'POST', path: '/device', json: [bad] })).status).toBe(400);
  });

  test('change in what an update names, and with force as a whole', async () => {
    await at.seed();
    const change = { name: 'd', operatingState: 'DOWN', labels: ['z'] };
    expect(
      statuses(await at.send('PATCH', '/device?bypassValidation=true', [{ apiVersion, device: change }])),
    ).toEqual([200]);
    expect((await at.body('/device/name/d'))['device']).toMatchObject({
      operatingState: 'DOWN',
      labels: ['z'],
      adminState: 'UNLOCKED',
    });
    expect(statuses(await at.send('POST', '/device?force=true', [deviceRequest('d')]))).toEqual([201]);
    expect((await at.body('/device/name/d'))['device']).toMatchObject({ operatingState: 'UP' });
    const { id } = (await at.body('/device/name/d'))['device'] as { id: string };
    const byId = [{ apiVersion, device: { id: id.toUpperCase(), description: 'by its id' } }];
    expect(statuses(await at.send('PATCH', '/device?bypassValidation=true', byId))).toEqual([200]);
    expect((await at.body('/device/name/d'))['device']).toMatchObject({ id, description: 'by its id' });
    expect((await at.body('/device/name/d'))['device']).not.toHaveProperty('labels');
  });

  test('400 at once are normal traffic', async () => {
    await at.seed();
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, n) =>
        at.send('POST', '/device?bypassValidation=true', [deviceRequest(`device-${n}`)]),
      ),
    );
    expect(answers.every((items) => items?.[0]?.statusCode === 201)).toBe(true);
    expect((await at.body('/device/all?limit=1'))['totalCount']).toBe(401);
  });
});

describe('validation by the device service', () => {
  const answerWith = (make: (requestID: string, payload: Json) => string): Promise<unknown> =>
    at.bus.subscribe('edgex/svc/validate/device', async (_topic, bytes) => {
      const { requestID, payload } = parseEnvelope(bytes);
      await at.bus.publish(responseTopic('svc', requestID), make(requestID, payload as Json));
    });

  test('a device is taken when its service answers so', async () => {
    await at.seed();
    const seen: unknown[] = [];
    await answerWith((requestID, payload) => {
      seen.push((payload['device'] as Json)['name']);
      return makeEnvelope('', { correlationID: 'c', requestID, contentType: 'text/plain' });
    });
    expect(statuses(await at.send('POST', '/device', [deviceRequest('e')]))).toEqual([201]);
    expect(
      statuses(await at.send('PATCH', '/device', [{ apiVersion, device: { name: 'e', labels: ['l'] } }])),
    ).toEqual([200]);
    expect(seen).toEqual(['e', 'e']);
  });

  test('a burst of devices is asked about in turn, and none of it is refused', async () => {
    await at.seed();
    let open = 0;
    let most = 0;
    await at.bus.subscribe('edgex/svc/validate/device', async (_topic, bytes) => {
      open += 1;
      most = Math.max(most, open);
      await delay(1);
      open -= 1;
      const { requestID } = parseEnvelope(bytes);
      const answer = makeEnvelope('', { correlationID: 'c', requestID, contentType: 'text/plain' });
      await at.bus.publish(responseTopic('svc', requestID), answer);
    });
    const requests = Array.from({ length: 40 }, (_, n) =>
      Array.from({ length: 32 }, (_one, m) => deviceRequest(`burst-${n}-${m}`)),
    );
    const answers = await Promise.all(
      requests.map((json) => at.peer.call({ method: 'POST', path: '/device', json, timeoutMs: 15_000 })),
    );
    const told = new Set(answers.flatMap((answer) => statuses(answer.json() as Items) as number[]));
    expect([...told]).toEqual([201]);
    expect(most).toBeLessThanOrEqual(256);
    expect((await at.body('/device/all?limit=1'))['totalCount']).toBe(1 + 40 * 32);
  });

  test('changes of one request come one after the other, however long each is looked at', async () => {
    await at.seed();
    await at.bus.subscribe('edgex/svc/validate/device', async (_topic, bytes) => {
      const { requestID, payload } = parseEnvelope(bytes);
      const { labels } = (payload as Json)['device'] as { labels: string[] };
      await delay(labels[0] === 'first' ? 60 : 0);
      const answer = makeEnvelope('', { correlationID: 'c', requestID, contentType: 'text/plain' });
      await at.bus.publish(responseTopic('svc', requestID), answer);
    });
    const change = (label: string): Json => ({ apiVersion, device: { name: 'd', labels: [label] } });
    const items = await at.send('PATCH', '/device', [change('first'), change('second')]);
    expect(statuses(items)).toEqual([200, 200]);
    expect((await at.body('/device/name/d'))['device']).toMatchObject({ labels: ['second'] });
    const twice = [deviceRequest('e', { labels: ['first'] }), deviceRequest('e', { labels: ['second'] })];
    expect(await at.send('POST', '/device', twice)).toMatchObject([
      { statusCode: 201 },
      { statusCode: 409, message: 'device name e already exists' },
    ]);
  });

  test('and not when it refuses it, unless the validation is bypassed', async () => {
    await at.seed();
    await answerWith((requestID) => errorEnvelope('no DevEUI', { correlationID: 'c', requestID }));
    const [item] = (await at.send('POST', '/device', [deviceRequest('e')])) ?? [];
    expect(item).toMatchObject({ statusCode: 500, message: expect.stringContaining('no DevEUI') });
    expect((await at.get('/device/name/e')).status).toBe(404);
    expect(statuses(await at.send('POST', '/device?bypassValidation=true', [deviceRequest('e')]))).toEqual([
      201,
    ]);
  });

  test('a service that does not answer is not waited for again and again', async () => {
    await at.seed();
    let asked = 0;
    await at.bus.subscribe('edgex/svc/validate/device', () => void (asked += 1));
    for (const name of ['e', 'f', 'g'])
      expect(statuses(await at.send('POST', '/device', [deviceRequest(name)]))).toEqual([201]);
    expect(asked).toBe(1);
    await at.send('PATCH', '/deviceservice', [serviceRequest()]);
    await at.send('POST', '/device', [deviceRequest('h')]);
    expect(asked).toBe(2);
  });

  test('or its silence is a refusal, as in EdgeX', async () => {
    await at.seed();
    await at.stop();
    await at.start({ deviceValidation: { timeoutMs: 50, whenSilent: 'refuse' } });
    expect(statuses(await at.send('POST', '/device', [deviceRequest('e')]))).toEqual([503]);
  });
});
