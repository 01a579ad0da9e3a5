import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toBase64, utf8 } from '@antirio/kernel';
import { eventOf, id, reading } from './events.fixture.ts';
import {
  addEventRequest,
  addEventRequestToJson,
  errorEnvelope,
  event,
  eventToJson,
  isValueOf,
  makeEnvelope,
  normalizeValueType,
  parseCbor,
  parseDuration,
  parseEnvelope,
  parseJson,
  parseRoughJson,
  plainAddEventRequest,
  stringifyJson,
  toCbor,
} from './index.ts';

describe('lossless JSON', () => {
  test('every int64 keeps its digits through parse and stringify', () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (origin) => {
        const text = `{"origin":${origin},"tags":{"deep":[${origin}]}}`;
        expect(stringifyJson(parseJson(text))).toBe(text);
      }),
    );
  });
  test('bytes are base64, wherever they are, and what has a form of its own keeps it', () => {
    const at = new Date(0);
    const value = { a: [1n, { b: Uint8Array.of(1, 2), c: at }], d: Uint8Array.of(), e: [], f: undefined };
    expect(stringifyJson(value)).toBe(`{"a":[1,{"b":"AQI=","c":"${at.toISOString()}"}],"d":"","e":[]}`);
    expect([value.a[0], value.d.length]).toEqual([1n, 0]);
    expect(stringifyJson({ f: Infinity, g: [undefined], h: -0 })).toBe('{"f":null,"g":[null],"h":0}');
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
  test('integers that are one as floats keep their digits, whatever strings and floats stand beside them', () => {
    const number = fc.oneof(
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
      fc.bigInt(1602168089665565301n, 1602168089665565400n).map(String),
      fc.constantFrom('1602168089665565301.5', '1.6021680896655653e18', '-0', '1e15', '12', '-7.25', '1E+20'),
    );
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('"', '\\', '\\"', '":1602168089665565301,', '\\\\"1602168089665565302'),
    );
    // V8 itself (Node 24.21) may read a key that is one escaped character as a backslash: JSON.parse('{"\\"":1}').
    const key = text.filter((t) => t.length !== 1 || JSON.stringify(t).length === 3);
    const value = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        number,
        text.map((t) => JSON.stringify(t)),
        fc.array(tie('node'), { maxLength: 4 }).map((items) => `[${items.join(' , ')}]`),
        fc
          .array(fc.tuple(key, tie('node')), { maxLength: 4 })
          .map((pairs) => `{${pairs.map(([k, v]) => `${JSON.stringify(k)}: ${v}`).join(',')}}`),
      ),
    })).node;
    const withSource = JSON.parse as (
      json: string,
      reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
    ) => unknown;
    fc.assert(
      fc.property(value, (json) => {
        const exact = withSource(json, (_key, v, { source = '' }) =>
          typeof v === 'number' && !Number.isSafeInteger(v) && /^-?\d+$/.test(source) ? BigInt(source) : v,
        );
        expect(parseJson(json)).toEqual(exact);
      }),
      { numRuns: 1000 },
    );
  });
  test('numbers beyond all floats, and depths beyond all sense, are refused', () => {
    for (const text of ['[1e999]', '[-1E+400]', `[${'9'.repeat(400)}]`, '['.repeat(1001) + ']'.repeat(1001)])
      expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
    expect(parseJson('["1e999", 1e-999]')).toEqual(['1e999', 0]);
    expect(parseJson('['.repeat(1000) + ']'.repeat(1000))).toHaveLength(1);
    expect(() => parseJson('[[['.repeat(1_000_000))).toThrow(/deeper/);
  });
  test('digits within strings stay strings', () => {
    expect(parseJson('{"a":"1602168089665565301","b":1602168089665565301.5}')).toEqual({
      a: '1602168089665565301',
      b: Number('1602168089665565301.5'),
    });
  });
});

describe('plain events', () => {
  const some = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
  const anyOrigin = some<unknown>(
    1n,
    1602168089665565301n,
    5,
    0,
    0n,
    2n ** 63n,
    -(2n ** 63n),
    1.5,
    '1',
    null,
  );
  const anyName = some<unknown>('d', 'd', 'd', ' ', '', 'd\u0000', 'x'.repeat(1025), 7, undefined);
  const anyReading = fc.record(
    {
      origin: anyOrigin,
      deviceName: anyName,
      resourceName: anyName,
      profileName: anyName,
      valueType: some<unknown>(
        'Int16',
        'int16',
        'String',
        'Binary',
        'Object',
        'Bool',
        'Float32Array',
        'x',
        3,
      ),
      value: some<unknown>('7', '70000', 'true', '[1, 2]', null, 7, 'text'),
      units: some<unknown>('C', '', null, 3, 'C\u0000'),
      tags: some<unknown>(undefined, null, {}, { a: 1 }, 3),
      binaryValue: some<unknown>(undefined, null, 'AQI=', '?'),
      mediaType: some<unknown>(undefined, null, 'a/b', 3),
      objectValue: some<unknown>(undefined, null, { a: 1 }),
      id: fc.constant<unknown>(id),
    },
    { requiredKeys: [] },
  );
  const overlaid = (base: Record<string, unknown>, over: fc.Arbitrary<Record<string, unknown>>) =>
    fc.tuple(over, fc.nat({ max: 3 })).map(([fields, kept]) => ({
      ...base,
      ...Object.fromEntries(Object.entries(fields).slice(0, kept)),
    }));
  const ownProto: unknown = JSON.parse('{"__proto__":{"a":1},"b":2}');
  const anyEvent = overlaid(
    eventOf([reading()]),
    fc.record(
      {
        readings: fc.oneof(
          fc.array(overlaid(reading(), anyReading), { maxLength: 3 }),
          some<unknown[] | string>([], 'x', [null], [[]]),
        ),
        id: some<unknown>(id.toUpperCase(), 'x', 7, undefined),
        apiVersion: some<unknown>('v3', '', 3, undefined),
        origin: anyOrigin,
        deviceName: anyName,
        sourceName: anyName,
        tags: some<unknown>(undefined, null, { a: 1 }, [], 'x', { a: { b: [null, 'c'] } }, ownProto),
      },
      { requiredKeys: [] },
    ),
  );
  const anyRequest = fc.record({
    apiVersion: some<unknown>('v3', 'v3', 'v3', '', undefined, 3),
    requestId: some<unknown>(undefined, null, '', id, 'x', 3),
    event: fc.oneof(
      { weight: 20, arbitrary: anyEvent },
      { weight: 1, arbitrary: some<unknown>(null, [], 'x') },
    ),
  });

  test('are read as the schema reads them, or left to it', () => {
    let plain = 0;
    fc.assert(
      fc.property(anyRequest, (request) => {
        const read = plainAddEventRequest({ value: request, longs: new Map() });
        if (read === undefined) return;
        plain += 1;
        expect(addEventRequest.safeParse(request)).toEqual({ success: true, data: read });
      }),
      { numRuns: 3000 },
    );
    expect(plain).toBeGreaterThan(100);
  });
  test('are what devices send, but not what needs a closer look', () => {
    const request = { apiVersion: 'v3', requestId: id, event: eventOf([reading(), reading({ units: 'C' })]) };
    expect(plainAddEventRequest({ value: request, longs: new Map() })).toEqual(
      addEventRequest.parse(request),
    );
    for (const fields of [{ tags: { a: 1 } }, { valueType: 'Binary', binaryValue: 'AQI=', mediaType: 'a/b' }])
      expect(
        plainAddEventRequest({ value: { ...request, event: eventOf([reading(fields)]) }, longs: new Map() }),
      ).toBeUndefined();
    expect(plainAddEventRequest({ value: undefined, longs: new Map() })).toBeUndefined();
    expect(plainAddEventRequest(parseRoughJson(stringifyJson(request)))).toEqual(
      addEventRequest.parse(request),
    );
    const tags = { exact: 2n ** 62n + 1n, deep: [{ exact: -(2n ** 60n) - 1n }] };
    const tagged = { ...request, event: eventOf([reading()], { tags }) };
    expect(plainAddEventRequest(parseRoughJson(stringifyJson(tagged)))?.event.tags).toEqual(tags);
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
    ['Float64', '1_0', true],
    ['Float64', '0x_1p1_0', true],
    ['Float64', '1_', false],
    ['Float64', '1__0', false],
    ['Float64', '1_e1', false],
    ['Float64', '0x1_p0', false],
    ['Uint8', '1_0', false],
    ['Uint8', '007', true],
    ['Bool', 'True', true],
    ['Bool', 'yes', false],
    ['BoolArray', '[true, false]', true],
    ['Int16Array', '[1, x]', false],
    ['Int16Array', '', false],
    ['String', '', true],
  ] as const)('%s %s: %s', (type, text, fits) => {
    expect(isValueOf(type, text)).toBe(fits);
  });

  test.each([
    ['1', 'x'],
    ['1', '.x'],
    ['0x', 'x'],
    ['0x1', 'x'],
    ['-.1', 'x'],
    ['1e1', 'x'],
    ['1.', ''],
  ])('a text of a megabyte is answered at once: %s…%s', (head, tail) => {
    const text = head + '1'.repeat(1 << 20) + tail;
    for (const type of ['Float64', 'Float32', 'Int64', 'Float64Array'] as const) {
      expect(isValueOf(type, type.endsWith('Array') ? `[${text}]` : text)).toBe(
        head === '1.' && type.startsWith('Float'),
      );
    }
    for (const duration of [text, '1s'.repeat(1 << 19) + 'x'])
      expect(parseDuration(duration)).toBe(undefined);
  });
});

describe('CBOR', () => {
  const nested = (levels: number): Uint8Array =>
    Uint8Array.from({ length: levels + 1 }, (_, i) => (i < levels ? 0x81 : 0));

  test('is refused where it is nested so deep that it could not be written as JSON', () => {
    expect(stringifyJson(parseCbor(nested(1000)))).toHaveLength(2001);
    for (const levels of [1001, 3000, 1_000_000])
      expect(() => parseCbor(nested(levels))).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });

  test('bytes in it are base64 in JSON, as Go writes them', () => {
    const bytes = new Uint8Array(1 << 20).fill(1);
    const value = parseCbor(Buffer.from(toCbor({ a: [bytes.subarray(0, 2)], b: bytes })));
    expect(stringifyJson(value)).toBe(`{"a":["AQE="],"b":"${toBase64(bytes)}"}`);
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
