import { expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { AntirioError } from '@antirio/kernel';
import { profile, room, testDriver, until, withSurroundings } from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

test('a driver may add devices when it starts, and is told of none before that is over', async () => {
  const driver = testDriver({
    validate: ({ name }) => void driver.calls.push(`validate ${name}`),
    async start(sdk) {
      await sdk.addDevice(room('own'));
      // whoever asks for its devices has it
      await until(() => sdk.device('own') !== undefined);
      expect(around.metadata.entities.deviceprofile.has('Room')).toBe(true);
      driver.calls.push('started');
    },
  });
  const service = await around.start(
    driver,
    {},
    { provision: { profiles: [profile], devices: [room('r1')] } },
  );
  await service.registered();
  expect(driver.calls).toEqual([
    'validate own',
    'started',
    expect.any(String),
    expect.any(String),
    expect.any(String),
  ]);
  expect(driver.calls.toSorted()).toEqual([
    'added own',
    'added r1',
    'started',
    'validate own',
    'validate r1',
  ]);
});

test('what core-metadata refuses is told of at /ready, and tried again where that may help', async () => {
  let refuses = true;
  const validate = (): void => {
    if (refuses) throw new AntirioError('unavailable', 'the wire is not there yet');
  };
  const devices = [room('r1')];
  const service = await around.start(
    testDriver({ validate }),
    {},
    { provision: { profiles: [profile], devices } },
  );
  await service.registered();
  const ready = async () => around.call(service, { path: '/ready' });
  const answer = await ready();
  expect(answer.status).toBe(503);
  expect(Buffer.from(answer.body).toString()).toContain('refuses r1: the wire is not there yet');
  refuses = false;
  await until(async () => (await ready()).status === 200);
  expect(around.metadata.entities.device.has('r1')).toBe(true);
  expect((await around.call(service, { path: '/device/name/r1/Setpoint' })).status).toBe(200);
});
