import { describe, expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { AntirioError } from '@antirio/kernel';
import { commandValue, type Driver } from './index.ts';
import {
  entity as device,
  profile,
  provision,
  testDriver,
  type TestDriver,
  until,
  withSurroundings,
} from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

const stateOf = (name: string): unknown => around.metadata.entities.device.get(name)?.['operatingState'];

/** Whose `added` of a device waits until it is let go. */
function slowDriver(name: string, own: Partial<Driver> = {}): TestDriver & { letGo(): void } {
  const gate = Promise.withResolvers<undefined>();
  const driver = testDriver({
    async added(added) {
      driver.calls.push(`adding ${added.name}`);
      if (added.name === name) await gate.promise;
      driver.calls.push(`added ${added.name}`);
    },
    ...own,
  });
  return Object.assign(driver, { letGo: () => gate.resolve(undefined) });
}

describe('while the driver is being told of a device', () => {
  test('others are followed, and told of', async () => {
    const driver = slowDriver('slow');
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    await around.metadata.put('device', device('slow'));
    await until(() => driver.calls.includes('adding slow'));
    await around.metadata.put('device', device('r1', { adminState: 'LOCKED' }));
    await until(
      async () => (await around.call(service, { path: '/device/name/r1/Setpoint' })).status === 423,
    );
    await around.metadata.put('device', device('r2'));
    await until(() => driver.calls.includes('added r2'));
    expect(driver.calls).not.toContain('added slow');
    driver.letGo();
    await until(() => driver.calls.includes('added slow'));
  });

  test('it is asked for nothing, and told afterwards what became of the device', async () => {
    const read: string[] = [];
    const driver = slowDriver('slow', {
      read: async ({ name }) => {
        read.push(name);
        return [commandValue('Temperature', 'Float64', 1)];
      },
    });
    const service = await around.start(driver, { device: { allowedFails: 1 } }, { provision });
    await service.registered();
    const autoEvents = [{ interval: '5ms', sourceName: 'Temperature' }];
    await around.metadata.put('device', device('slow', { autoEvents }));
    await until(() => driver.calls.includes('adding slow'));
    const ask = async () => around.call(service, { path: '/device/name/slow/Temperature' });
    expect((await ask()).json()).toMatchObject({
      statusCode: 503,
      message: expect.stringContaining('does not know slow yet'),
    });
    await around.metadata.put('device', device('slow', { autoEvents, labels: ['new'] }));
    await until(() => service.sdk.device('slow')?.labels?.includes('new') === true);
    expect(read).toEqual([]);
    driver.letGo();
    await until(() => driver.calls.includes('updated slow') && read.includes('slow'));
    expect((await ask()).status).toBe(200);
    expect(stateOf('slow')).toBe('UP');
  });

  test('a device that goes and comes again is removed and added', async () => {
    const driver = slowDriver('slow');
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    await around.metadata.put('device', device('slow'));
    await until(() => driver.calls.includes('adding slow'));
    await around.metadata.remove('device', 'slow');
    await around.metadata.put('device', device('slow', { labels: ['second'] }));
    await until(() => service.sdk.device('slow')?.labels?.includes('second') === true);
    driver.letGo();
    await until(() => driver.calls.filter((call) => call === 'added slow').length === 2);
    expect(driver.calls.filter((call) => call.endsWith(' slow'))).toEqual([
      'adding slow',
      'added slow',
      'removed slow',
      'adding slow',
      'added slow',
    ]);
  });
});

describe('the operating state', () => {
  const failing = (own: Partial<Driver> = {}) => {
    const driver = Object.assign(slowDriver('slow', own), { fails: false });
    driver.read = async () => {
      if (driver.fails) throw new TypeError('no answer');
      return [commandValue('Temperature', 'Float64', 1)];
    };
    return driver;
  };

  test('is UP after a success that comes while others are told of', async () => {
    const driver = failing();
    const options = { device: { allowedFails: 1, deviceDownTimeout: 600 } };
    const service = await around.start(driver, options, { provision });
    await service.registered();
    const ask = async () => (await around.call(service, { path: '/device/name/r1/Temperature' })).status;
    await around.metadata.put('device', device('slow'));
    await until(() => driver.calls.includes('adding slow'));
    driver.fails = true;
    expect(await ask()).toBe(500);
    await until(() => stateOf('r1') === 'DOWN');
    driver.fails = false;
    expect(await ask()).toBe(200);
    await until(() => stateOf('r1') === 'UP');
    driver.letGo();
    await until(() => driver.calls.includes('added slow'));
    expect(service.sdk.device('r1')?.operatingState).toBe('UP');
  });

  test('is told one after the other, the last one wanted last', async () => {
    const driver = failing();
    const options = { device: { allowedFails: 1, deviceDownTimeout: 600 } };
    const service = await around.start(driver, options, { provision });
    await service.registered();
    const ask = async () => (await around.call(service, { path: '/device/name/r1/Temperature' })).status;
    const before = around.metadata.seen.length;
    for (const fails of [true, false, true, false, true, false]) {
      driver.fails = fails;
      expect(await ask()).toBe(fails ? 500 : 200);
    }
    const told = () =>
      around.metadata.seen
        .slice(before)
        .filter(({ method }) => method === 'PATCH')
        .map(({ body }) => (body as { device: { operatingState: string } }[])[0]?.device.operatingState);
    await until(() => told().at(-1) === 'UP' && service.sdk.device('r1')?.operatingState === 'UP');
    for (const [index, state] of told().entries()) expect(state).toBe(index % 2 === 0 ? 'DOWN' : 'UP');
    expect(stateOf('r1')).toBe('UP');
  });

  test('of a device that was DOWN before the service started is UP again when it answers', async () => {
    const driver = failing();
    await around.metadata.put('device', device('r1', { operatingState: 'DOWN' }));
    const service = await around.start(
      driver,
      { device: { deviceDownTimeout: 1 } },
      { provision: { profiles: [profile] } },
    );
    await service.registered();
    // others may have put it DOWN: it is not asked for what somebody wants of it
    expect((await around.call(service, { path: '/device/name/r1/Temperature' })).status).toBe(423);
    await until(() => stateOf('r1') === 'UP');
    expect(service.sdk.device('r1')?.operatingState).toBe('UP');
  });
});

describe('what is in core-metadata', () => {
  test('has every auto event that was added, one after the other or at once', async () => {
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const { sdk } = service;
    const sources = (): string[] => (sdk.device('r1')?.autoEvents ?? []).map(({ sourceName }) => sourceName);
    const add = async (sourceName: string): Promise<void> =>
      sdk.addAutoEvent('r1', { sourceName, interval: '1h' });
    await add('Temperature');
    expect(sources()).toEqual(['Temperature']);
    await Promise.all([add('Setpoint'), add('Climate'), sdk.removeAutoEvent('r1', 'Temperature')]);
    expect(sources()).toEqual(['Setpoint', 'Climate']);
    await expect(sdk.addAutoEvent('none', { sourceName: 'Climate', interval: '1h' })).rejects.toThrow(
      AntirioError,
    );
    expect(around.metadata.entities.device.get('r1')).toMatchObject({
      autoEvents: [{ sourceName: 'Setpoint' }, { sourceName: 'Climate' }],
    });
  });

  test('is the profile as it is when its first device comes', async () => {
    const service = await around.start(
      testDriver(),
      { refreshIntervalMs: 0 },
      { provision: { profiles: [profile] } },
    );
    await service.registered();
    const resources = [{ name: 'New', properties: { valueType: 'Bool', readWrite: 'W' } }];
    await around.metadata.put('deviceprofile', {
      ...profile,
      deviceResources: resources,
      deviceCommands: [],
    });
    await around.metadata.put('device', device('r1'));
    await until(async () => {
      const call = { method: 'PUT' as const, path: '/device/name/r1/New', json: { New: 'true' } };
      return (await around.call(service, call)).status === 200;
    });
  });
});
