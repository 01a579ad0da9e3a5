import { describe, expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import type { DiscoveredDevice } from './index.ts';
import {
  profile,
  provision,
  room,
  SERVICE,
  testDriver,
  until,
  withSurroundings,
} from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

const never = (): Promise<never> => new Promise(() => undefined);

test('the driver is stopped though events cannot be sent and callbacks hang', async () => {
  let sending = 0;
  const driver = testDriver({
    added: ({ name }) => {
      driver.calls.push(`adding ${name}`);
      return name.startsWith('hung') ? never() : undefined;
    },
  });
  const autoEvents = [{ interval: '5ms', sourceName: 'Temperature' }];
  const hung = Array.from({ length: 100 }, (_, index) => room(`hung${index}`));
  const devices = [...Array.from({ length: 40 }, (_, index) => room(`r${index}`, { autoEvents })), ...hung];
  const eventSink = (): Promise<never> => {
    sending += 1;
    return never();
  };
  const service = await around.start(
    driver,
    { device: { driverTimeoutMs: 3_600_000, asyncBufferSize: 16 } },
    { eventSink, provision: { profiles: [profile], devices } },
  );
  await until(() => sending === 16 && driver.calls.filter((call) => call.startsWith('adding h')).length > 20);
  await service.stop();
  expect(driver.calls.at(-1)).toBe('stop');
});

test('a device that hangs does not keep commands of others by the bus from being answered', async () => {
  let asked = 0;
  const { read } = testDriver();
  const driver = testDriver({
    read: (device, requests, signal) => {
      if (device.name === 'r2') return read(device, requests, signal);
      asked += 1;
      return never();
    },
  });
  const devices = [room('r1'), room('r2')];
  const service = await around.start(driver, { maxBusCommands: 4 }, { provision: { ...provision, devices } });
  await service.registered();
  const hanging = Array.from({ length: 8 }, () =>
    around.command('r1', 'Setpoint', 'get').catch(() => undefined),
  );
  await until(() => asked === 1);
  expect(await around.command('r2', 'Setpoint', 'get')).toMatchObject({ errorCode: 0 });
  await service.stop();
  const answers = (await Promise.all(hanging)).map((answer) => String(answer?.payload));
  expect(answers.filter((one) => one.includes('under way already'))).toHaveLength(7);
  expect(asked).toBe(1);
});

describe('looking for devices', () => {
  const watcher = {
    name: 'rooms',
    adminState: 'UNLOCKED' as const,
    identifiers: { floor: '^[12]$' },
    discoveredDevice: { profileName: 'Room', adminState: 'UNLOCKED' as const },
  };
  const searching = { profiles: [profile], provisionWatchers: [watcher] };
  const found = (name: string, floor: unknown): DiscoveredDevice => ({
    name,
    protocols: { room: { floor } },
  });

  test('does not begin before the driver has started', async () => {
    const searches: string[] = [];
    const driver = testDriver({
      start: () => void searches.push('start'),
      discover: async () => {
        searches.push('discover');
        return [];
      },
    });
    around.metadata.isDown = true;
    const service = await around.start(driver, { device: { discovery: { enabled: true } } }, {});
    const begin = async () => (await around.call(service, { method: 'POST', path: '/discovery' })).status;
    expect(await begin()).toBe(503);
    around.metadata.isDown = false;
    await service.registered();
    expect(await begin()).toBe(202);
    await until(() => searches.length === 2);
    expect(searches).toEqual(['start', 'discover']);
  });

  test('adds those that are right, though others are wrong; and none while the service is LOCKED', async () => {
    let searches = 0;
    const discover = async (): Promise<DiscoveredDevice[]> => {
      searches += 1;
      return [
        { name: 'wrong', protocols: undefined } as unknown as DiscoveredDevice,
        found('large', 1n),
        found('high', 3),
        found('right', '2'),
      ];
    };
    const options = { device: { discovery: { enabled: true, interval: '20ms' } } };
    const service = await around.start(testDriver({ discover }), options, { provision: searching });
    await service.registered();
    const { device, deviceservice } = around.metadata.entities;
    await until(() => device.has('right'));
    expect([...device.keys()]).toEqual(['large', 'right']);
    await around.metadata.put('deviceservice', {
      ...deviceservice.get(SERVICE),
      name: SERVICE,
      adminState: 'LOCKED',
    });
    await until(
      async () => (await around.call(service, { path: '/device/name/right/Setpoint' })).status === 423,
    );
    const before = searches;
    await service.sdk.discovered([found('later', 1)]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(device.has('later')).toBe(false);
    // one may have begun before
    expect(searches).toBeLessThanOrEqual(before + 1);
    await service.sdk.removeProvisionWatcher('rooms');
    expect(service.sdk.provisionWatchers()).toEqual([]);
  });
});
