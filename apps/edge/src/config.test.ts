import { expect, test } from '@jest/globals';
import { readConfig } from './config.ts';

test('an address of a room or a neighbour has no password in it; that of the broker may', () => {
  const withService = (room: string, url: string) =>
    readConfig({ dataDir: '/nowhere' }, { [`ANTIRIO_SERVICES__${room}__URL`]: url }).services;
  expect(() => withService('CORE_DATA', 'http://user:hunter2@host')).toThrow(
    expect.objectContaining({
      code: 'badConfig',
      message: 'bad configuration: services.coreData.url: no user name or password in it',
    }),
  );
  const url = 'mqtt://user:hunter2@host';
  expect(withService('BROKER', url)).toMatchObject({ broker: { url } });
});
