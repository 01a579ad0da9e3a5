import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { configFileOf, fileOptions } from './edgex-file.ts';

let folder: string;
let warned: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-edgex-file-'));
  warned = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const own = {
  integers: { 'Device/AsyncBufferSize': 'device.asyncBufferSize' },
  texts: { 'Device/ProfilesDir': 'device.profilesDir' },
  lists: { 'Device/Labels': 'device.labels' },
  sections: { Driver: 'driver', SimpleCustom: 'custom.SimpleCustom' },
  notInCommon: ['Device/ProfilesDir'],
  hasMetadata: true,
  isDeviceService: true,
};
const COMMON = `
all-services:
  Writable:
    LogLevel: WARN
    Telemetry: { Interval: 30s }
  Service: { RequestTimeout: 5s, Port: 1 }
  MessageBus: { Protocol: tcp, Host: broker.plant, Port: 1883, Type: mqtt }
app-services:
  Service: { Port: 3 }
device-services:
  Clients:
    core-metadata: { Protocol: http, Host: core.plant, Port: 59881 }
  Device: { ProfilesDir: ./res/profiles, AsyncBufferSize: 16 }
`;
const MINE = `
Writable:
  LogLevel: DEBUG
  InsecureSecrets:
    plc: { SecretName: plc, SecretData: { password: 007 } }
Service: { Port: 59999, StartupMsg: started, SecurityOptions: { Mode: none } }
MessageBus:
  Port: 1884
  Optional: { ClientId: device-simple }
Device:
  AsyncBufferSize: 1
  Labels: [first floor, lab]
  MaxCmdValueLen: 256
Driver: { Baud: 9600, Parity: }
SimpleCustom:
  Writable: { DiscoverSleepDurationSecs: 3 }
`;

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const read = (file: string | undefined, commonFile?: string) =>
  fileOptions({ file, commonFile }, own, (keys) => void warned.push(...keys));

test('EdgeX’s own files are read: what is common, then the service’s', async () => {
  const options = await read(write('configuration.yaml', MINE), write('common.yml', COMMON));
  expect(options).toMatchObject({
    port: 59_999,
    service: { requestTimeoutMs: 5000, startupMsg: 'started' },
    broker: 'mqtt://broker.plant:1884',
    coreMetadata: 'http://core.plant:59881',
    device: { asyncBufferSize: 1, labels: ['first floor', 'lab'] },
    driver: { Baud: '9600' },
    custom: { SimpleCustom: { Writable: { DiscoverSleepDurationSecs: '3' } } },
    writable: { LogLevel: 'DEBUG', Telemetry: { Interval: '30s' } },
  });
  expect(options['device']).not.toHaveProperty('profilesDir');
  expect(warned).toEqual(['Service/SecurityOptions/Mode', 'Device/MaxCmdValueLen']);
});

test('ours are JSON, and go with what is common', async () => {
  const file = write('mine.json', '{"port": 2, "broker": "mqtt://mine:1"}');
  expect(await read(file)).toEqual({ port: 2, broker: 'mqtt://mine:1' });
  expect(await read(file, write('common.yaml', COMMON))).toMatchObject({
    port: 2,
    broker: 'mqtt://mine:1',
    coreMetadata: 'http://core.plant:59881',
  });
  expect(await read(undefined)).toEqual({});
});

test.each([
  ['Service: { Port: many }', 'Service/Port=many'],
  ['MessageBus: { Type: nats-core }', 'MessageBus/Type=nats-core'],
  ['- a list', 'one mapping'],
  ['a: [', 'cannot read'],
])('what is wrong is refused: %s', async (text, why) => {
  const path = write('wrong.yaml', text);
  await expect(read(path)).rejects.toMatchObject({
    code: 'badConfig',
    message: expect.stringContaining(why),
  });
  await expect(read(path)).rejects.toThrow(path);
});

test.each([
  [undefined, {}, undefined],
  [undefined, { EDGEX_CONFIG_FILE: '/etc/mine.json', EDGEX_PROFILE: '' }, '/etc/mine.json'],
  ['given.json', { EDGEX_CONFIG_DIR: '/res' }, 'given.json'],
  [undefined, { EDGEX_CONFIG_DIR: '/res' }, '/res/configuration.yaml'],
  [undefined, { EDGEX_PROFILE: 'docker' }, 'res/docker/configuration.yaml'],
  [undefined, { EDGEX_CONFIG_DIR: '/r', EDGEX_PROFILE: 'p', EDGEX_CONFIG_FILE: 'c.yml' }, '/r/p/c.yml'],
])('the file is found as EdgeX finds it: %j %j', (argument, env, expected) => {
  expect(configFileOf(argument, env)).toBe(expected);
});
