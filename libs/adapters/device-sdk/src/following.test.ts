import { describe, expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { AntirioError } from '@antirio/kernel';
import { commandValue } from './index.ts';
import {
  entity as device,
  profile,
  provision,
  room,
  SERVICE,
  testDriver,
  until,
  withSurroundings,
} from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

describe('what others change in core-metadata', () => {
  test('is followed by its system events', async () => {
    const driver = testDriver();
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    const { sdk } = service;
    await around.metadata.put('device', device('r2'));
    await until(() => sdk.device('r2') !== undefined);
    await around.metadata.put('device', device('r2', { adminState: 'LOCKED' }));
    await until(() => sdk.device('r2')?.adminState === 'LOCKED');
    expect((await around.call(service, { path: '/device/name/r2/Temperature' })).status).toBe(423);
    // it moves to another service
    await around.metadata.put('device', device('r2', { serviceName: 'other' }));
    await around.metadata.remove('device', 'r1');
    await until(() => sdk.devices().length === 0 || sdk.device('r1') === undefined);
    expect(driver.calls).toEqual(expect.arrayContaining(['added r2', 'updated r2', 'removed r1']));
  });

  test('is a profile: with what is new in it, and its devices’ driver told', async () => {
    const driver = testDriver();
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    const resources = [{ name: 'New', properties: { valueType: 'String', readWrite: 'R' } }];
    await around.metadata.put('deviceprofile', {
      ...profile,
      deviceResources: resources,
      deviceCommands: [],
    });
    await until(() => driver.calls.includes('updated r1'));
    driver.values['New'] = 'here';
    const answer = await around.call(service, { path: '/device/name/r1/New' });
    expect(answer.json()).toMatchObject({ event: { readings: [{ value: 'here' }] } });
  });

  test('is the service, which may be locked', async () => {
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const known = around.metadata.entities.deviceservice.get(SERVICE);
    await around.metadata.put('deviceservice', { ...known, name: SERVICE, adminState: 'LOCKED' });
    await until(async () => (await around.call(service, { path: '/device/name/r1/Climate' })).status === 423);
    expect((await around.command('r1', 'Climate', 'get')).payload).toBe('service locked');
  });

  test('is found when no message told of it', async () => {
    const driver = testDriver();
    const service = await around.start(driver, { refreshIntervalMs: 100 }, { provision });
    await service.registered();
    around.metadata.tells = false;
    await around.metadata.put('device', device('silent'));
    await around.metadata.remove('device', 'r1');
    await until(() => service.sdk.device('silent') !== undefined && service.sdk.device('r1') === undefined);
    await until(() => driver.calls.includes('added silent') && driver.calls.includes('removed r1'));
  });

  test('is done anew where core-metadata has lost the service', async () => {
    const service = await around.start(testDriver(), { refreshIntervalMs: 100 }, { provision });
    await service.registered();
    for (const all of Object.values(around.metadata.entities)) all.clear();
    await until(
      () => around.metadata.entities.device.has('r1') && around.metadata.entities.deviceservice.has(SERVICE),
    );
  });
});

describe('device validation', () => {
  test('is the driver’s word', async () => {
    const validate = (given: { protocols: Record<string, unknown> }): void => {
      if (!('room' in given.protocols)) throw new AntirioError('invalidInput', 'is in no room');
    };
    const wrong = room('r2', { protocols: { other: {} } });
    const service = await around.start(
      testDriver({ validate }),
      {},
      { provision: { ...provision, devices: [room('r1'), wrong] } },
    );
    await service.registered();
    expect([...around.metadata.entities.device.keys()]).toEqual(['r1']);
    await expect(service.sdk.addDevice(wrong)).rejects.toThrow('is in no room');
  });
});

describe('what a driver may ask for', () => {
  test('adds, changes and removes devices', async () => {
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const { sdk } = service;
    await sdk.addDevice(room('r2'));
    await until(() => sdk.device('r2') !== undefined);
    await sdk.updateDevice({ name: 'r2', labels: ['new'] });
    await until(() => sdk.device('r2')?.labels?.includes('new') === true);
    await sdk.addAutoEvent('r2', { sourceName: 'Temperature', interval: '20ms' });
    await until(() => around.events.length > 1);
    await sdk.removeAutoEvent('r2', 'Temperature');
    await until(() => sdk.device('r2')?.autoEvents?.length === 0);
    await sdk.removeDevice('r2');
    await until(() => sdk.device('r2') === undefined);
    await expect(sdk.updateDevice({ name: 'r2' })).rejects.toThrow('not found');
    await expect(sdk.addDevice(room('r1'))).rejects.toThrow('is there');
  });

  test('sends values by itself, one event for each call', async () => {
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const { sdk } = service;
    const temperature = commandValue('Temperature', 'Float64', 1.5, { tags: { from: 'test' } });
    await sdk.send({ deviceName: 'r1', values: [temperature] });
    await sdk.send({
      deviceName: 'r1',
      sourceName: 'Climate',
      values: [temperature, commandValue('Setpoint', 'Int16', 3)],
    });
    expect(around.events.map(({ topic }) => topic.split('/').at(-1))).toEqual(['Temperature', 'Climate']);
    expect(around.events[0]?.envelope.payload).toMatchObject({ event: { tags: { from: 'test' } } });
    expect(sdk.lastConnected('r1')).toBeGreaterThan(0);
    await expect(sdk.send({ deviceName: 'none', values: [temperature] })).rejects.toThrow('not found');
    await expect(sdk.send({ deviceName: 'r1', values: [] })).rejects.toThrow('no values');
    await expect(sdk.send({ deviceName: 'r1', values: [temperature, temperature] })).rejects.toThrow(
      'source',
    );
    const unknown = commandValue('Pressure', 'Float64', 1);
    await expect(sdk.send({ deviceName: 'r1', values: [unknown] })).rejects.toThrow('Pressure');
  });

  test('waits where too many values are on their way, and is refused where too many wait', async () => {
    const sent: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    const eventSink = async ({ sourceName }: { sourceName: string }): Promise<void> => {
      sent.push(sourceName);
      await gate.promise;
    };
    const service = await around.start(
      testDriver(),
      { device: { asyncBufferSize: 2 } },
      { provision, eventSink },
    );
    await service.registered();
    const values = [commandValue('Temperature', 'Float64', 1)];
    const sending = Array.from({ length: 2 + 2 * 64 + 3 }, (_, index) =>
      service.sdk.send({ deviceName: 'r1', sourceName: `${index}`, values }).then(
        () => 'sent',
        (error: unknown) => (error as AntirioError).code,
      ),
    );
    await until(() => sent.length === 2);
    gate.resolve(undefined);
    const outcomes = await Promise.all(sending);
    expect(outcomes.filter((one) => one === 'busy')).toHaveLength(3);
    expect(sent).toEqual(Array.from({ length: 130 }, (_, index) => `${index}`));
    const metrics = await around.call(service, { path: '/metrics' });
    const text = Buffer.from(metrics.body).toString();
    expect(text).toContain('device_async_refused_total 3');
    expect(text).toContain('device_async_waited_total 128');
  });

  test('has secrets, settings and counters', async () => {
    const service = await around.start(testDriver(), { driver: { Baud: '9600' } }, { provision });
    await service.registered();
    const secretData = [{ key: 'user', value: 'me' }];
    const json = { apiVersion: 'v3', secretName: 'login', secretData };
    expect((await around.call(service, { method: 'POST', path: '/secret', json })).status).toBe(201);
    expect(service.sdk.secret('login')).toEqual({ user: 'me' });
    expect(service.sdk.config).toEqual({ Baud: '9600' });
    const count = service.sdk.countAs('FramesSeen');
    count();
    count(2);
    const metrics = await around.call(service, { path: '/metrics' });
    expect(Buffer.from(metrics.body).toString()).toContain('device_frames_seen_total 3');
  });
});
