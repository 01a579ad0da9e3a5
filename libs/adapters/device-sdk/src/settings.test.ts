import { writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { baseResponse, baseResponseSchema } from '@antirio/edgex-contracts';
import { commandValue } from './index.ts';
import { provision, testDriver, until, withSurroundings } from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

test('an event over maxEventSize is refused, and one below it is sent', async () => {
  const service = await around.start(testDriver(), { maxEventSize: 2 }, { provision });
  await service.registered();
  const send = async (bytes: number): Promise<void> =>
    service.sdk.send({
      deviceName: 'r1',
      values: [commandValue('Picture', 'Binary', new Uint8Array(bytes))],
    });
  await expect(send(5000)).rejects.toMatchObject({ code: 'tooLarge' });
  await send(100);
  await until(() => around.events.length === 1);
  const metrics = await around.call(service, { path: '/metrics' });
  expect(Buffer.from(metrics.body).toString()).toContain('device_events_dropped_total 1');
});

test.each([
  [{}, 'Celsius'],
  [{ Reading: { ReadingUnits: false } }, undefined],
])('readings have units unless ReadingUnits says otherwise: %j', async (writable, units) => {
  const service = await around.start(testDriver(), { writable }, { provision });
  await service.registered();
  const answer = await around.call(service, { path: '/device/name/r1/Temperature' });
  const { event } = answer.json() as { event: { readings: { units?: string }[] } };
  expect(event.readings.map((reading) => reading.units)).toEqual([units]);
});

test('a service has routes of its own', async () => {
  const service = await around.start(testDriver(), {}, { provision });
  await service.registered();
  await service.stop();
  service.addRoutes((rim) =>
    rim.route('get', '/api/v3/mine', { summary: 'is mine', answer: baseResponseSchema }, () =>
      baseResponse(200, { message: 'mine' }),
    ),
  );
  await service.start();
  expect((await around.call(service, { path: '/mine' })).json()).toMatchObject({ message: 'mine' });
});

test('a driver tells how far its searches are', async () => {
  const service = await around.start(testDriver(), {}, { provision });
  await service.registered();
  service.sdk.discoveryProgress(40, 3, 'half of the bus');
  service.sdk.profileScanProgress('scan-1', 70, 'nearly');
  const details = (): unknown[] =>
    around.told.map(({ envelope }) => (envelope.payload as { details: unknown }).details);
  await until(() => around.told.length === 2);
  expect(details()).toEqual([
    { requestId: '', progress: 40, discoveredDeviceCount: 3, message: 'half of the bus' },
    { requestId: 'scan-1', progress: 70, message: 'nearly' },
  ]);
});

test('watchers come of JSON files and of the driver; a file that is wrong is told of at /ready', async () => {
  const provisionWatchersDir = join(around.dataDir, 'watchers');
  mkdirSync(provisionWatchersDir);
  const watcher = (name: string) => ({
    name,
    adminState: 'UNLOCKED' as const,
    identifiers: { floor: '1' },
    discoveredDevice: { profileName: 'Room', adminState: 'UNLOCKED' as const },
  });
  writeFileSync(join(provisionWatchersDir, 'a.json'), JSON.stringify(watcher('ofFile')));
  writeFileSync(join(provisionWatchersDir, 'b.json'), '{');
  const service = await around.start(testDriver(), { device: { provisionWatchersDir } }, { provision });
  await service.registered();
  const names = (): string[] => service.sdk.provisionWatchers().map(({ name }) => name);
  expect(names()).toEqual(['ofFile']);
  await service.sdk.addProvisionWatcher(watcher('ofDriver'));
  await until(() => names().includes('ofDriver'));
  await service.sdk.removeProvisionWatcher('ofFile');
  expect(names()).toEqual(['ofDriver']);
  const ready = await around.call(service, { path: '/ready' });
  expect(ready.status).toBe(503);
  expect(Buffer.from(ready.body).toString()).toContain('b.json');
});
