import { describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { readConfig, type EdgeConfig } from './config.ts';
import { warnOfEdgexEnvironment, withEdgexEnvironment } from './edgex-env.ts';
import { roomNamed, type RunnableRoom } from './loaders.ts';

const rooms = (...names: readonly string[]): RunnableRoom[] => names.flatMap((name) => roomNamed(name) ?? []);
const given: EdgeConfig = readConfig({ dataDir: '/nowhere' }, {});
const env = {
  SERVICE_PORT: '5000',
  WRITABLE_LOGLEVEL: 'DEBUG',
  WRITABLE_PERSISTDATA: 'false',
  MESSAGEBUS_HOST: 'broker',
  CLIENTS_CORE_METADATA_HOST: 'metadata',
  EDGEX_CONFIG_PROVIDER: 'keeper.http://keeper:59890',
};

describe('the environment under the names of EdgeX', () => {
  test('configures a service that is alone in its process', async () => {
    const { coreData, services } = await withEdgexEnvironment(given, rooms('core-data'), env);
    expect(coreData).toEqual({ port: 5000, writable: { LogLevel: 'DEBUG', PersistData: 'false' } });
    expect(services).toEqual({
      broker: { url: 'mqtt://broker:1883' },
      coreKeeper: { url: 'http://keeper:59890' },
      coreMetadata: { url: 'http://metadata:59881' },
    });
  });

  test('may say that there is no core-keeper', async () => {
    const { coreCommand, services } = await withEdgexEnvironment(given, rooms('core-command'), {
      EDGEX_CONFIG_PROVIDER: 'none',
    });
    expect([coreCommand, services]).toEqual([{ followKeeper: false }, {}]);
  });

  test.each([[['core-data', 'core-metadata']], [['gateway-bridge']], [[]]])(
    'means nothing to %j',
    async (names) => {
      expect(await withEdgexEnvironment(given, rooms(...names), env)).toBe(given);
    },
  );

  test.each([
    ['MESSAGEBUS_DISABLED', 'true'],
    ['MESSAGEBUS_AUTHMODE', 'usernamepassword'],
    ['MESSAGEBUS_BASETOPICPREFIX', 'mine'],
  ])('is refused where an edge has its own way: %s', async (name, value) => {
    await expect(withEdgexEnvironment(given, rooms('core-data'), { [name]: value })).rejects.toThrow(name);
  });

  test('is told of where it means nothing to an edge', async () => {
    const told: unknown[] = [];
    const log = Object.assign(silentLog.child({}), { warn: (fields: unknown) => void told.push(fields) });
    const env = { EDGEX_CONFIG_DIR: '/res', EDGEX_OTHER: '1', SERVICE_PORT: '1' };
    await warnOfEdgexEnvironment(log, given, rooms('core-data'), env);
    await warnOfEdgexEnvironment(log, given, rooms('core-data'), { SERVICE_PORT: '1' });
    expect(told).toEqual([
      {
        variables: {
          EDGEX_CONFIG_DIR: 'an edge has its own configuration file',
          EDGEX_OTHER: 'it has no meaning here',
        },
      },
    ]);
  });

  test('is refused where it is wrong', async () => {
    await expect(withEdgexEnvironment(given, rooms('core-data'), { SERVICE_PORT: 'x' })).rejects.toThrow(
      'SERVICE_PORT',
    );
  });
});
