import { describe, expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { AntirioError } from '@antirio/kernel';
import { commandValue, type CommandValue, type Driver } from './index.ts';
import { profile, provision, room, testDriver, until, withSurroundings } from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

const temperature = (value: unknown): CommandValue =>
  ({ resourceName: 'Temperature', valueType: 'Float64', value }) as CommandValue;
const never = (): Promise<never> => new Promise(() => undefined);

describe('a driver that', () => {
  test.each<[string, Driver['read'], string]>([
    ['throws', () => Promise.reject(new TypeError('wire cut')), 'wire cut'],
    [
      'throws before it has made a promise',
      () => {
        throw new TypeError('wire cut');
      },
      'wire cut',
    ],
    [
      'throws what is no error',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- it is what drivers may do
        throw 'gone';
      },
      'gone',
    ],
    ['hangs', never, 'did not answer in 100 ms'],
    ['gives no list', () => Promise.resolve({} as readonly CommandValue[]), 'no list of values'],
    ['gives no values', () => Promise.resolve([]), 'gave no reading'],
    ['gives a value of a wrong type', () => Promise.resolve([temperature('warm')]), 'Temperature'],
    ['gives nothing as a value', () => Promise.resolve([undefined as unknown as CommandValue]), ''],
    [
      'gives what the profile has not',
      () => Promise.resolve([commandValue('Pressure', 'Float64', 1)]),
      'Pressure',
    ],
    [
      'gives too many values',
      () => Promise.resolve(Array.from({ length: 129 }, () => temperature(1))),
      '129 values',
    ],
  ])('%s fails that request alone', async (_what, read, why) => {
    const driver = testDriver({ read });
    const service = await around.start(driver, { device: { driverTimeoutMs: 100 } }, { provision });
    await service.registered();
    const answer = await around.call(service, { path: '/device/name/r1/Temperature' });
    expect(answer.json()).toMatchObject({ statusCode: 500, message: expect.stringContaining(why) });
    driver.read = testDriver().read;
    expect((await around.call(service, { path: '/device/name/r1/Temperature' })).status).toBe(200);
  });

  test('says that the request is wrong is believed', async () => {
    const write = (): never => {
      throw new AntirioError('invalidInput', 'too warm for this room');
    };
    const service = await around.start(testDriver({ write }), { device: { allowedFails: 1 } }, { provision });
    await service.registered();
    const call = { method: 'PUT' as const, path: '/device/name/r1/Setpoint', json: { Setpoint: 99 } };
    expect((await around.call(service, call)).json()).toMatchObject({ statusCode: 400 });
    expect(service.sdk.device('r1')?.operatingState).toBe('UP');
  });

  test('hangs and does not heed its signal gets no further requests for that device', async () => {
    const signals: AbortSignal[] = [];
    const read: Driver['read'] = (_device, _requests, signal) => {
      signals.push(signal);
      return never();
    };
    const options = { device: { driverTimeoutMs: 30, maxRequestsPerDevice: 2 } };
    const service = await around.start(testDriver({ read }), options, { provision });
    await service.registered();
    for (const expected of ['30 ms', '30 ms', '2 requests for r1 are not over'])
      expect((await around.call(service, { path: '/device/name/r1/Temperature' })).json()).toMatchObject({
        message: expect.stringContaining(expected),
      });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  test('hangs in all requests that a device may have is told what becomes of the device, and it may come anew', async () => {
    const driver = testDriver({ read: never });
    const options = { device: { driverTimeoutMs: 60, maxRequestsPerDevice: 2, allowedFails: 2 } };
    const service = await around.start(driver, options, { provision });
    await service.registered();
    const ask = async () => around.call(service, { path: '/device/name/r1/Temperature' });
    await Promise.all([ask(), ask()]);
    await until(() => around.metadata.entities.device.get('r1')?.['operatingState'] === 'DOWN');
    await service.sdk.updateDevice({ name: 'r1', operatingState: 'UP', labels: ['looked at'] });
    await until(() => service.sdk.device('r1')?.operatingState === 'UP');
    expect((await ask()).json()).toMatchObject({
      statusCode: 503,
      message: expect.stringContaining('2 requests for r1 are not over'),
    });
    await service.sdk.removeDevice('r1');
    await until(() => driver.calls.includes('removed r1'));
    driver.read = testDriver().read;
    await service.sdk.addDevice(room('r1'));
    await until(async () => (await ask()).status === 200);
  });

  test('hangs for good makes its device DOWN, though it gets fewer requests than may fail', async () => {
    const options = { device: { driverTimeoutMs: 20, maxRequestsPerDevice: 2, allowedFails: 4 } };
    const service = await around.start(testDriver({ read: never }), options, { provision });
    await service.registered();
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++)
      statuses.push((await around.call(service, { path: '/device/name/r1/Temperature' })).status);
    expect(statuses).toEqual([500, 500, 503, 503]);
    await until(() => around.metadata.entities.device.get('r1')?.['operatingState'] === 'DOWN');
  });

  test('has all that it can do under way is not the device’s failure', async () => {
    const gate = Promise.withResolvers<undefined>();
    const read: Driver['read'] = async () => {
      await gate.promise;
      return [temperature(1)];
    };
    const options = { device: { maxRequestsPerDevice: 1, allowedFails: 1 } };
    const service = await around.start(testDriver({ read }), options, { provision });
    await service.registered();
    const ask = async () => around.call(service, { path: '/device/name/r1/Temperature' });
    const first = ask();
    await until(async () =>
      Buffer.from((await around.call(service, { path: '/metrics' })).body).includes('device_reads_total 1'),
    );
    expect((await ask()).status).toBe(503);
    gate.resolve(undefined);
    expect((await first).status).toBe(200);
    expect(around.metadata.entities.device.get('r1')?.['operatingState']).toBe('UP');
    expect((await ask()).status).toBe(200);
  });

  test('gives all resources of a pattern, however many', async () => {
    const service = await around.start(
      testDriver(),
      { device: { maxCmdOps: 1, allowedFails: 1 } },
      { provision },
    );
    await service.registered();
    const answer = await around.call(service, { path: '/device/name/r1/(Temp|Set).*' });
    expect(answer.json()).toMatchObject({ statusCode: 200 });
    expect((await around.call(service, { path: '/device/name/r1/Climate' })).status).toBe(500);
    expect((await around.call(service, { path: '/device/name/r1/Setpoint' })).status).toBe(200);
  });

  test('hangs in its callbacks keeps no other device waiting for good', async () => {
    const driver = testDriver({ added: ({ name }) => (name === 'r1' ? never() : undefined) });
    const devices = [room('r1'), room('r2')];
    const service = await around.start(
      driver,
      { device: { driverTimeoutMs: 50 } },
      { provision: { ...provision, devices } },
    );
    await service.registered();
    expect((await around.call(service, { path: '/device/name/r2/Temperature' })).status).toBe(200);
    expect((await around.call(service, { path: '/device/name/r1/Temperature' })).status).toBe(200);
  });

  test.each<[string, NonNullable<Driver['stop']>]>([
    ['hangs', () => never()],
    ['throws', () => Promise.reject(new TypeError('stuck'))],
  ])('%s at its end does not keep the service from it', async (_what, stop) => {
    const forced: boolean[] = [];
    const driver = testDriver({
      stop(force) {
        forced.push(force);
        return stop(force);
      },
    });
    const service = await around.start(driver, { device: { driverTimeoutMs: 50 } }, { provision });
    await service.registered();
    await service.stop();
    expect(forced[0]).toBe(false);
  });

  test('hangs does not keep the service from its end', async () => {
    const service = await around.start(testDriver({ read: never }), {}, { provision });
    await service.registered();
    const asked = around.call(service, { path: '/device/name/r1/Temperature' }).catch(() => undefined);
    await until(async () =>
      Buffer.from((await around.call(service, { path: '/metrics' })).body).includes('device_reads_total 1'),
    );
    await service.stop();
    await asked;
  });
});

describe('a device that fails', () => {
  const failing = (fails: () => boolean) =>
    testDriver({
      read: async (_device, requests) => {
        if (fails()) throw new TypeError('no answer');
        return requests.map(({ resourceName, valueType }) => commandValue(resourceName, valueType, 1));
      },
    });
  const state = (): unknown => around.metadata.entities.device.get('r1')?.['operatingState'];

  test('is DOWN after the failures allowed, tried again, and UP when it answers', async () => {
    let fails = true;
    const device = { allowedFails: 3, deviceDownTimeout: 1 };
    const service = await around.start(
      failing(() => fails),
      { device },
      { provision },
    );
    await service.registered();
    const ask = async (): Promise<number> =>
      (await around.call(service, { path: '/device/name/r1/Temperature' })).status;
    expect([await ask(), await ask()]).toEqual([500, 500]);
    expect(state()).toBe('UP');
    expect(await ask()).toBe(500);
    await until(() => state() === 'DOWN');
    fails = false;
    await until(() => state() === 'UP');
    expect(await ask()).toBe(200);
  });

  test('stays DOWN where nobody looks for its return, and answers 423', async () => {
    const service = await around.start(
      failing(() => true),
      { device: { allowedFails: 1 } },
      { provision },
    );
    await service.registered();
    const ask = async (): Promise<number> =>
      (await around.call(service, { path: '/device/name/r1/Temperature' })).status;
    expect(await ask()).toBe(500);
    await until(async () => (await ask()) === 423);
    expect(state()).toBe('DOWN');
    // a request that is wrong is no failure of the device
    expect((await around.call(service, { path: '/device/name/r1/none' })).status).toBe(423);
  });

  test('is told of when core-metadata is back', async () => {
    const service = await around.start(
      failing(() => true),
      { device: { allowedFails: 1 } },
      { provision },
    );
    await service.registered();
    around.metadata.isDown = true;
    await around.call(service, { path: '/device/name/r1/Temperature' });
    around.metadata.isDown = false;
    await until(() => state() === 'DOWN');
  });

  test('is DOWN where its profile’s assertion does not hold', async () => {
    const [first] = profile.deviceResources ?? [];
    const asserting = {
      ...profile,
      name: 'Asserting',
      deviceCommands: [],
      deviceResources: [{ ...first, properties: { valueType: 'String', readWrite: 'R', assertion: 'OK' } }],
    } as typeof profile;
    const driver = testDriver();
    driver.values['Temperature'] = 'broken';
    const devices = [room('r1', { profileName: 'Asserting' })];
    const service = await around.start(driver, {}, { provision: { profiles: [asserting], devices } });
    await service.registered();
    const answer = await around.call(service, { path: '/device/name/r1/Temperature' });
    expect(answer.json()).toMatchObject({
      statusCode: 500,
      message: expect.stringContaining('Assertion failed'),
    });
    await until(() => state() === 'DOWN');
  });
});
