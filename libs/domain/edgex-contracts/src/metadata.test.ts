import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import {
  addDeviceRequest,
  addProvisionWatcherRequest,
  coreEventTopic,
  deviceProfile,
  deviceProfileRequest,
  levelNames,
  parseDuration,
  refusalText,
  topicLevel,
  updateDeviceRequest,
} from './index.ts';

describe('device profiles', () => {
  const properties = { valueType: 'float32', readWrite: 'R' };
  const numbers = (fields: object): Record<string, unknown> => ({
    name: 'p',
    deviceResources: [{ name: 'r', properties: { ...properties, ...fields } }],
  });
  test('numbers are those of Go: float64, uint64 and int64', () => {
    const got = deviceProfile.parse(
      numbers({ minimum: -(2n ** 63n), mask: 2n ** 64n - 1n, shift: -3, scale: 0.1 }),
    );
    expect(got.deviceResources?.[0]?.properties).toMatchObject({
      valueType: 'Float32',
      minimum: -(2 ** 63),
      mask: 2n ** 64n - 1n,
      shift: -3,
      scale: 0.1,
    });
  });
  test.each([
    ['text', { minimum: '5' }],
    ['a negative mask', { mask: -1 }],
    ['half a bit', { shift: 0.5 }],
    ['a mask over 64 bits', { mask: 2n ** 64n }],
    ['a number as default', { defaultValue: 5 }],
    ['binary that is written', { valueType: 'Binary', readWrite: 'RW' }],
  ])('%s is refused', (_what, fields) => {
    expect(deviceProfile.safeParse(numbers(fields)).success).toBe(false);
  });
  test.each([
    [
      'twice the same resource',
      [
        { name: 'r', properties },
        { name: 'r', properties },
      ],
      [],
    ],
    ['a command of an unknown resource', [{ name: 'r', properties }], ['R', 'x']],
    ['a command that writes what can only be read', [{ name: 'r', properties }], ['RW', 'r']],
  ])('%s is refused', (_what, deviceResources, [readWrite, resource]) => {
    const deviceCommands =
      readWrite === undefined
        ? []
        : [{ name: 'c', readWrite, resourceOperations: [{ deviceResource: resource }] }];
    expect(deviceProfile.safeParse({ name: 'p', deviceResources, deviceCommands }).success).toBe(false);
  });
});

test('durations are those of Go', () => {
  expect(parseDuration('300ms')).toBe(300e6);
  expect(parseDuration('2h45m')).toBe(9900e9);
  expect(parseDuration('1.5h')).toBe(5400e9);
  expect(parseDuration('-1s')).toBe(-1e9);
  for (const bad of ['', '5', 's', '1d', '1 s']) expect(parseDuration(bad)).toBeUndefined();
});

test('names that would break a topic are escaped and found again', () => {
  const at = { serviceName: 'a.b-c_d', profileName: 'p/q', deviceName: '100%#+', sourceName: 's' };
  const levels = coreEventTopic(at).split('/');
  expect(levels.slice(0, 4)).toEqual(['edgex', 'events', 'core', 'a.b-c_d']);
  expect(levels).toHaveLength(7);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
      expect(topicLevel(text)).not.toMatch(/[/+#]/);
      expect(levelNames(topicLevel(text), text)).toBe(true);
    }),
  );
});

describe('refusals name what is wrong as EdgeX does', () => {
  const device = {
    name: 'd',
    adminState: 'UNLOCKED',
    operatingState: 'UP',
    serviceName: 's',
    profileName: 'p',
    protocols: {},
  };
  const auto = { interval: '1s', sourceName: 'r' };
  const of = (root: string, schema: z.ZodType, body: unknown): string => {
    const parsed = schema.safeParse(body);
    return parsed.success ? '' : refusalText(root, parsed.error, body);
  };
  test.each([
    [{ name: undefined }, 'Device.Name field is required'],
    [{ name: '' }, 'Device.Name field is required'],
    [{ name: ' ' }, 'Device.Name field should not be empty string'],
    [{ name: 5 }, 'Device.Name field cannot be unmarshalled from number'],
    [{ name: 'n'.repeat(1025) }, 'Device.Name field should not exceed 1024'],
    [{ id: 'x' }, 'Device.Id field needs a uuid'],
    [{ adminState: undefined }, "Device.AdminState field should be one of 'LOCKED' 'UNLOCKED'"],
    [{ operatingState: 'GOOD' }, "Device.OperatingState field should be one of 'UP' 'DOWN' 'UNKNOWN'"],
    [{ protocols: null }, 'Device.Protocols field is required'],
    [{ protocols: { a: 5 } }, 'Device.Protocols[a] field cannot be unmarshalled from number'],
    [
      { autoEvents: [auto, { ...auto, interval: undefined }] },
      'Device.AutoEvents[1].Interval field is required',
    ],
    [{ autoEvents: [{ ...auto, sourceName: '' }] }, 'Device.AutoEvents[0].SourceName field is required'],
    [
      { autoEvents: [{ ...auto, interval: '1us' }] },
      'Device.AutoEvents[0].Interval field should follows the ISO 8601 Durations format, e.g.,100ms, 24h, or be greater than or equal to the minimum value 1ms',
    ],
    [
      { autoEvents: [{ ...auto, onChangeThreshold: -1 }] },
      "Device.AutoEvents[0].OnChangeThreshold field validation failed on the gte tag with value '0'",
    ],
  ])('%j: %s', (fields, text) => {
    const body = [{ apiVersion: 'v3', device: { ...device, ...fields } }];
    expect(of('AddDeviceRequest', z.array(addDeviceRequest), body)).toBe(`AddDeviceRequest.${text}`);
  });
  test.each([
    [
      updateDeviceRequest,
      { device: { labels: [] } },
      'R.Device.Id field is required if the Name is not present',
    ],
    [addDeviceRequest, { apiVersion: '', device }, 'R.BaseRequest.Versionable.ApiVersion field is required'],
    [addDeviceRequest, { requestId: '7', device }, 'R.BaseRequest.RequestId field needs a uuid'],
    [
      deviceProfileRequest,
      { profile: { name: 'p', deviceCommands: [{ name: 'c', readWrite: 'R', resourceOperations: [] }] } },
      'R.Profile.DeviceCommands[0].ResourceOperations field should greater than 0',
    ],
    [
      deviceProfileRequest,
      {
        profile: {
          name: 'p',
          deviceCommands: [{ name: 'c', readWrite: 'R', resourceOperations: [{ deviceResource: 'x' }] }],
        },
      },
      "device command's resource x doesn't match any device resource",
    ],
  ])('%#: by its own name in Go', (schema, body, text) => {
    expect(of('R', schema, { apiVersion: 'v3', ...body })).toBe(text);
  });
});

describe('provision watchers', () => {
  const watcher = {
    name: 'w',
    serviceName: 'svc',
    identifiers: { address: 'localhost' },
    adminState: 'UNLOCKED',
    discoveredDevice: { profileName: 'p', adminState: 'UNLOCKED' },
  };
  test.each(['provisionwatcher', 'provisionWatcher'])('are read from a request as %s', (field) => {
    const request = { apiVersion: 'v3', [field]: watcher };
    expect(addProvisionWatcherRequest.parse(request).provisionwatcher.name).toBe('w');
    const wrong = { apiVersion: 'v3', [field]: { ...watcher, adminState: 'OPEN' } };
    const { error } = addProvisionWatcherRequest.safeParse(wrong);
    if (error === undefined) throw new Error('it was taken');
    expect(refusalText('AddProvisionWatcherRequest', error, wrong)).toContain('ProvisionWatcher.AdminState');
  });
});
