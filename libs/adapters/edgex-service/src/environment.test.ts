import { describe, expect, test } from '@jest/globals';
import { environmentOf } from './configuration.ts';
import { edgexEnvironment, edgexVariablesNotTaken } from './environment.ts';

describe('the environment under the names of EdgeX', () => {
  test('sets options by their paths', () => {
    expect(
      edgexEnvironment(
        {
          SERVICE_PORT: '5000',
          SERVICE_SERVERBINDADDR: '127.0.0.2',
          SERVICE_REQUESTTIMEOUT: '1.5s',
          SERVICE_MAXREQUESTSIZE: '0',
          SERVICE_CORSCONFIGURATION_ENABLECORS: 'true',
          WRITABLE_LOGLEVEL: 'DEBUG',
          WRITABLE_PERSISTDATA: 'false',
          WRITABLE_TELEMETRY_METRICS_EVENTSPERSISTED: 'true',
          DEVICE_LABELS: 'ground floor, lab',
          MAXEVENTSIZE: '25000',
          SERVICE_HOST: '',
          PATH: '/bin',
        },
        {
          texts: { 'Writable/PersistData': 'writable.PersistData' },
          kilobytes: { MaxEventSize: 'maxEventBytes', 'Service/MaxRequestSize': 'maxBodyBytes' },
          lists: { 'Device/Labels': 'device.labels' },
          metrics: ['EventsPersisted'],
        },
      ),
    ).toEqual({
      port: 5000,
      bind: '127.0.0.2',
      service: { requestTimeoutMs: 1500, cors: { enabled: true } },
      writable: {
        LogLevel: 'DEBUG',
        PersistData: 'false',
        Telemetry: { Metrics: { EventsPersisted: true } },
      },
      device: { labels: ['ground floor', 'lab'] },
      maxEventBytes: 25_600_000,
    });
  });

  test('says where the others are, and how they are met', () => {
    const given = {
      MESSAGEBUS_PROTOCOL: 'tcp',
      MESSAGEBUS_HOST: 'broker',
      MESSAGEBUS_TYPE: 'mqtt',
      MESSAGEBUS_AUTHMODE: 'usernamepassword',
      MESSAGEBUS_SECRETNAME: 'bus',
      MESSAGEBUS_BASETOPICPREFIX: 'plant/edgex',
      CLIENTS_CORE_METADATA_PORT: '1',
      EDGEX_CONFIG_PROVIDER: 'keeper.http://keeper:59890',
    };
    expect(edgexEnvironment(given, { hasMetadata: true })).toEqual({
      broker: 'mqtt://broker:1883',
      messageBus: { authMode: 'usernamepassword', secretName: 'bus', baseTopicPrefix: 'plant/edgex' },
      coreMetadata: 'http://127.0.0.1:1',
      coreKeeper: 'http://keeper:59890',
    });
    expect(edgexEnvironment({ EDGEX_CONFIG_PROVIDER: 'none' })).toEqual({ coreKeeper: 'none' });
    expect(edgexEnvironment({ MESSAGEBUS_DISABLED: 'true' })).toEqual({ broker: 'none' });
  });

  test('says whether the service registers, and where, unless the configuration is there too', () => {
    expect(edgexEnvironment({ EDGEX_USE_REGISTRY: 'false', REGISTRY_HOST: 'r' })).toEqual({
      service: { register: false },
    });
    const registry = { EDGEX_USE_REGISTRY: 'true', REGISTRY_HOST: 'r', REGISTRY_TYPE: 'keeper' };
    expect(edgexEnvironment(registry)).toMatchObject({ coreKeeper: 'http://r:59890' });
    expect(edgexEnvironment({ ...registry, EDGEX_CONFIG_PROVIDER: 'keeper.http://k:1' })).toMatchObject({
      coreKeeper: 'http://k:1',
    });
  });

  test('changes those keys of a driver that it has, and secrets likewise', () => {
    const own = { sections: { Driver: 'driver' } };
    const configured = {
      driver: { 'Serial-Port': '/dev/ttyS0', Baud: '9600' },
      writable: {
        InsecureSecrets: { bus: { SecretName: 'bus', SecretData: { username: 'u', password: 'p' } } },
      },
    };
    const given = {
      DRIVER_SERIAL_PORT: '/dev/ttyUSB1',
      DRIVER_PARITY: 'even',
      WRITABLE_INSECURESECRETS_BUS_SECRETDATA_PASSWORD: 'other',
    };
    expect(edgexEnvironment(given, own, configured)).toEqual({
      driver: { 'Serial-Port': '/dev/ttyUSB1' },
      writable: { InsecureSecrets: { bus: { SecretData: { password: 'other' } } } },
    });
    expect(edgexVariablesNotTaken(given, own, configured)).toEqual({
      DRIVER_PARITY: 'no such key is configured',
    });
  });

  test('may say that the core is on another host', () => {
    expect(
      edgexEnvironment(
        {
          EDGEX_REMOTE_SERVICE_HOSTS: '10.0.0.7, 10.0.0.1,0.0.0.0',
          EDGEX_CONFIG_PROVIDER: 'keeper.http://k:59890',
        },
        { hasMetadata: true },
      ),
    ).toEqual({
      bind: '0.0.0.0',
      service: { host: '10.0.0.7' },
      broker: 'mqtt://10.0.0.1:1883',
      coreMetadata: 'http://10.0.0.1:59881',
      coreKeeper: 'http://10.0.0.1:59890',
    });
  });

  test('names what is EdgeX’s and not taken, and why', () => {
    const given = {
      EDGEX_USE_REGISTRY: 'true',
      EDGEX_SECURITY_SECRET_STORE: 'false',
      EDGEX_DISABLE_JWT_VALIDATION: 'false',
      EDGEX_WHATEVER: '1',
      CLIENTS_CORE_METADATA_USEMESSAGEBUS: 'false',
      SERVICE_ENABLENAMEFIELDESCAPE: 'true',
      EDGEX_PROFILE: '',
      CLIENTS_CORE_METADATA_HOST: 'm',
      CLIENTS_CORE_DATA_HOST: 'd',
      DEVICE_MAXCMDVALUELEN: '256',
      HOME: '/',
    };
    const own = { hasMetadata: true, without: { 'Device/MaxCmdValueLen': 'so it is' } };
    expect(edgexVariablesNotTaken(given, own)).toEqual({
      CLIENTS_CORE_DATA_HOST: 'the service does not ask that one',
      DEVICE_MAXCMDVALUELEN: 'so it is',
      EDGEX_DISABLE_JWT_VALIDATION: 'tokens are not asked for: who reaches the port may use it',
      EDGEX_WHATEVER: 'it has no meaning here',
      SERVICE_ENABLENAMEFIELDESCAPE: expect.stringContaining('need it off'),
    });
    expect(edgexVariablesNotTaken({})).toEqual({});
  });

  test.each([
    ['SERVICE_PORT', 'many'],
    ['EDGEX_USE_REGISTRY', 'no'],
    ['SERVICE_REQUESTTIMEOUT', 'soon'],
    ['SERVICE_CORSCONFIGURATION_ENABLECORS', 'yes'],
    ['EDGEX_CONFIG_PROVIDER', 'consul.http://localhost:8500'],
    ['EDGEX_REMOTE_SERVICE_HOSTS', 'one,two'],
    ['MESSAGEBUS_PORT', 'x'],
    ['MESSAGEBUS_TYPE', 'nats-core'],
    ['MESSAGEBUS_AUTHMODE', 'clientcert'],
    ['REGISTRY_TYPE', 'consul'],
  ])('names the variable that is wrong: %s', (name, value) => {
    expect(() => edgexEnvironment({ [name]: value })).toThrow(name);
  });
});

test('a section of EdgeX’s has what the environment says of the option that it is', () => {
  const environment = { driver: { Baud: '2', Line: { A: '1' } }, writable: { LogLevel: 'DEBUG' }, port: 5 };
  const says = environmentOf(
    { tree: {}, environment },
    { sections: { Driver: 'driver', Mine: 'custom.Mine' } },
  );
  expect(says('Driver')).toEqual(environment.driver);
  expect(says('Driver/Line')).toEqual({ A: '1' });
  expect(says('Writable')).toEqual({ LogLevel: 'DEBUG' });
  for (const section of ['Driver/Baud', 'Mine', 'port', 'driver']) expect(says(section)).toEqual({});
});
