import { describe, expect, test } from '@jest/globals';
import { edgexEnvironment, edgexVariablesNotTaken } from './environment.ts';

describe('the environment under the names of EdgeX', () => {
  test('sets options by their paths', () => {
    expect(
      edgexEnvironment(
        {
          SERVICE_PORT: '5000',
          SERVICE_SERVERBINDADDR: '127.0.0.2',
          SERVICE_REQUESTTIMEOUT: '1.5s',
          SERVICE_CORSCONFIGURATION_ENABLECORS: 'true',
          WRITABLE_LOGLEVEL: 'DEBUG',
          WRITABLE_PERSISTDATA: 'false',
          WRITABLE_TELEMETRY_METRICS_EVENTSPERSISTED: 'true',
          MAXEVENTSIZE: '25000',
          SERVICE_HOST: '',
          PATH: '/bin',
        },
        {
          texts: { WRITABLE_PERSISTDATA: 'writable.PersistData' },
          kilobytes: { MAXEVENTSIZE: 'maxEventBytes' },
          metrics: ['EventsPersisted'],
        },
      ),
    ).toEqual({
      port: 5000,
      bind: '127.0.0.2',
      'service.requestTimeoutMs': 1500,
      'service.cors.enabled': true,
      'writable.LogLevel': 'DEBUG',
      'writable.PersistData': 'false',
      'writable.Telemetry.Metrics.EventsPersisted': true,
      maxEventBytes: 25_600_000,
    });
  });

  test('says where the others are', () => {
    const given = {
      MESSAGEBUS_PROTOCOL: 'tcp',
      MESSAGEBUS_HOST: 'broker',
      CLIENTS_CORE_METADATA_PORT: '1',
      EDGEX_CONFIG_PROVIDER: 'keeper.http://keeper:59890',
    };
    expect(edgexEnvironment(given, { hasMetadata: true })).toEqual({
      broker: 'mqtt://broker:1883',
      coreMetadata: 'http://127.0.0.1:1',
      coreKeeper: 'http://keeper:59890',
    });
    expect(edgexEnvironment({ EDGEX_CONFIG_PROVIDER: 'none' })).toEqual({ coreKeeper: 'none' });
  });

  test('says whether the service registers', () => {
    expect(edgexEnvironment({ EDGEX_USE_REGISTRY: 'false' })).toEqual({ 'service.register': false });
  });

  test('names what is EdgeX’s and not taken', () => {
    const given = {
      EDGEX_USE_REGISTRY: 'true',
      EDGEX_SECURITY_SECRET_STORE: 'false',
      EDGEX_PROFILE: '',
      EDGEX_CONFIG_DIR: '/res',
      HOME: '/',
    };
    expect(edgexVariablesNotTaken(given)).toEqual(['EDGEX_CONFIG_DIR', 'EDGEX_SECURITY_SECRET_STORE']);
    expect(edgexVariablesNotTaken({})).toEqual([]);
  });

  test.each([
    ['SERVICE_PORT', 'many'],
    ['EDGEX_USE_REGISTRY', 'no'],
    ['SERVICE_REQUESTTIMEOUT', 'soon'],
    ['SERVICE_CORSCONFIGURATION_ENABLECORS', 'yes'],
    ['EDGEX_CONFIG_PROVIDER', 'consul.http://localhost:8500'],
    ['MESSAGEBUS_PORT', 'x'],
  ])('names the variable that is wrong: %s', (name, value) => {
    expect(() => edgexEnvironment({ [name]: value })).toThrow(name);
  });
});
