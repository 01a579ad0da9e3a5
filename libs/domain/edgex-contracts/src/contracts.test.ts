import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { toBase64, utf8 } from '@antirio/kernel';
import {
  addDeviceRequest,
  addEventRequest,
  addEventRequestToJson,
  coreEventTopic,
  deviceProfile,
  deviceProfileRequest,
  errorEnvelope,
  event,
  eventToJson,
  isValueOf,
  levelNames,
  makeEnvelope,
  normalizeValueType,
  parseDuration,
  parseEnvelope,
  parseJson,
  refusalText,
  stringifyJson,
  toCbor,
  topicLevel,
  updateDeviceRequest,
} from './index.ts';

const id = '040bd523-ec33-440d-9d72-e5813a465f37';
const reading = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  origin: 1602168089665565301n,
  deviceName: 'd',
  resourceName: 'r',
  profileName: 'p',
  valueType: 'Int16',
  value: '-7',
  ...fields,
});
const eventOf = (readings: unknown[], fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  apiVersion: 'v3',
  id,
  deviceName: 'd',
  profileName: 'p',
  sourceName: 's',
  origin: 1602168089665565301n,
  readings,
  ...fields,
});

describe('lossless JSON', () => {
  test('every int64 keeps its digits through parse and stringify', () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (origin) => {
        const text = `{"origin":${origin},"tags":{"deep":[${origin}]}}`;
        expect(stringifyJson(parseJson(text))).toBe(text);
      }),
    );
  });
  test('any other JSON value is what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const safe = JSON.stringify(parseJson(text), (_k, v: unknown) =>
          typeof v === 'bigint' ? Number(v) : v,
        );
        expect(safe).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });
  test('digits within strings stay strings', () => {
    expect(parseJson('{"a":"1602168089665565301","b":1602168089665565301.5}')).toEqual({
      a: '1602168089665565301',
      b: Number('1602168089665565301.5'),
    });
  });
});

describe('value types', () => {
  test('are found whatever their case', () => {
    expect(normalizeValueType('uint8ARRAY')).toBe('Uint8Array');
    expect(normalizeValueType('int9')).toBeUndefined();
  });
  test.each([
    ['Int8', '-128', true],
    ['Int8', '128', false],
    ['Uint64', '18446744073709551615', true],
    ['Uint64', '18446744073709551616', false],
    ['Uint8', '+1', false],
    ['Int16', '+1', true],
    ['Float32', '3.95e+01', true],
    ['Float32', '1e39', false],
    ['Float64', '1e309', false],
    ['Float64', 'NaN', true],
    ['Float64', '0x1p-2', true],
    ['Float64', '1_0', false],
    ['Bool', 'True', true],
    ['Bool', 'yes', false],
    ['BoolArray', '[true, false]', true],
    ['Int16Array', '[1, x]', false],
    ['Int16Array', '', false],
    ['String', '', true],
  ] as const)('%s %s: %s', (type, text, fits) => {
    expect(isValueOf(type, text)).toBe(fits);
  });
});

describe('events', () => {
  test('an event comes back as it was, with all kinds of readings', () => {
    const given = eventOf(
      [
        reading(),
        reading({ valueType: 'Binary', value: undefined, binaryValue: 'AQI=', mediaType: 'image/png' }),
        reading({ valueType: 'Object', value: undefined, objectValue: { a: [1, 2n ** 60n] } }),
        reading({ valueType: 'String', value: null }),
      ],
      { tags: { devEUI: '0011223344556677', fCnt: 12 } },
    );
    const once = event.parse(given);
    expect(once.readings.map((r) => r.kind)).toEqual(['simple', 'binary', 'object', 'null']);
    expect(event.parse(parseJson(stringifyJson(eventToJson(once))))).toEqual(once);
  });
  test.each([
    ['no readings', eventOf([])],
    ['an id that is no UUID', eventOf([reading()], { id: 'x' })],
    ['origin zero', eventOf([reading()], { origin: 0 })],
    ['an origin over int64', eventOf([reading()], { origin: 2n ** 63n })],
    ['a value out of range', eventOf([reading({ value: '40000' })])],
    ['a number where text is wanted', eventOf([reading({ value: 7 })])],
    ['an unknown value type', eventOf([reading({ valueType: 'Int7' })])],
    ['binary without a media type', eventOf([reading({ valueType: 'Binary', binaryValue: 'AQI=' })])],
    ['a blank device name', eventOf([reading()], { deviceName: ' ' })],
  ])('%s is refused', (_what, value) => {
    expect(event.safeParse(value).success).toBe(false);
  });
  test('a JSON array of bytes is a binary value, as Go takes it', () => {
    const got = event.parse(
      eventOf([reading({ valueType: 'binary', binaryValue: [12, 34], mediaType: 'image' })]),
    );
    expect(got.readings[0]).toMatchObject({ kind: 'binary', binaryValue: Uint8Array.of(12, 34) });
  });
});

describe('envelopes', () => {
  const request = { apiVersion: 'v3', event: event.parse(eventOf([reading()])) };
  const json = addEventRequestToJson(request);
  const fields = { correlationID: 'c', requestID: 'r' };

  test('carry JSON, base64 of JSON, CBOR, and may be CBOR as a whole', () => {
    const asText = makeEnvelope(json, fields);
    const asBase64 = makeEnvelope(utf8(stringifyJson(json)), fields);
    const asCbor = makeEnvelope(toCbor(json), { ...fields, contentType: 'application/cbor' });
    const whole = toCbor({
      ...fields,
      errorCode: 0,
      payload: utf8(stringifyJson(json)),
      contentType: 'application/json',
    });
    for (const bytes of [utf8(asText), utf8(asBase64), utf8(asCbor), whole]) {
      const got = parseEnvelope(bytes);
      expect(got).toMatchObject({ correlationID: 'c', requestID: 'r', errorCode: 0 });
      expect(addEventRequest.parse(got.payload).event).toEqual(request.event);
    }
  });
  test('may carry nothing', () => {
    for (const payload of ['', null, undefined])
      expect(parseEnvelope(utf8(makeEnvelope(payload, fields))).payload ?? undefined).toBeUndefined();
  });
  test('carry an error as text', () => {
    expect(parseEnvelope(utf8(errorEnvelope('no such device', fields)))).toMatchObject({
      errorCode: 1,
      payload: 'no such device',
    });
  });
  test.each(['', '[]', '{', 'nonsense', '{"payload":"!"}', '{"errorCode":"x"}', toBase64(utf8('x'))])(
    'garbage is refused: %s',
    (text) => {
      expect(() => parseEnvelope(utf8(text))).toThrow();
    },
  );
});

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
