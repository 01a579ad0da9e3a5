import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError } from '@antirio/kernel';
import { addEventRequest, deviceProfile, parseEnvelope, valueTypes } from '@antirio/edgex-contracts';
import { commandValue, type CommandValue } from './command-value.ts';
import { eventMessage } from './event-message.ts';
import { eventOf, nextOrigin, type EventContext } from './event.ts';

const resource = (name: string, valueType: string, properties: object = {}, tags?: object): object => ({
  name,
  properties: { valueType, readWrite: 'R', ...properties },
  ...(tags === undefined ? {} : { tags }),
});

const profile = deviceProfile.parse({
  name: 'room',
  deviceResources: [
    resource('Temperature', 'Int16', { scale: 0.1, units: 'C' }, { sensor: 'north' }),
    resource('Raw', 'Float32', { scale: 1e30 }),
    resource('Mode', 'Uint8'),
    resource('Other', 'Uint8'),
    resource('Picture', 'Binary', { mediaType: 'image/png' }),
    resource('Bytes', 'Binary'),
    resource('Settings', 'Object'),
    resource('Alive', 'Bool', { assertion: 'true' }),
  ],
  deviceCommands: [
    {
      name: 'All',
      readWrite: 'R',
      tags: { command: 'all', shared: 'command' },
      resourceOperations: [{ deviceResource: 'Mode', mappings: { '1': 'heat', '2': 'cool' } }],
    },
    {
      name: 'Short',
      readWrite: 'R',
      resourceOperations: [{ deviceResource: 'Mode', mappings: { '1': 'H' } }],
    },
  ],
});

const ID = '2d0d6a9c-6d4c-4c4a-9a3e-9e3a3ee6c3ad';
const CONTEXT: EventContext = {
  profile,
  device: { name: 'room-1', tags: undefined },
  sourceName: 'All',
  id: ID,
  origin: 1_700_000_000_000_000_001n,
  dataTransform: true,
  readingUnits: true,
};

const OPTIONS = {
  serviceName: 'device/room',
  requestId: '8cbb17d1-7f1f-4d3f-8a34-63c2c8bd0d0a',
  correlationId: '0b2b11c0-4a80-4d3e-9a3b-8f6d0a8f9a11',
  maxEventSizeKB: 0,
};

function event(values: readonly CommandValue[], context: Partial<EventContext> = {}) {
  const outcome = eventOf(values, { ...CONTEXT, ...context });
  if (outcome.kind !== 'event') throw new Error(outcome.kind);
  return outcome.event;
}

const reading = (value: CommandValue, context: Partial<EventContext> = {}): unknown =>
  event([value], context).readings[0];

function refusal(values: readonly CommandValue[]): [string, string] {
  try {
    eventOf(values, CONTEXT);
  } catch (error) {
    if (error instanceof AntirioError) return [error.code, error.message];
    throw error;
  }
  return ['', ''];
}

describe('eventOf', () => {
  test('a reading is transformed, has its unit and the tags of its resource', () => {
    expect(reading(commandValue('Temperature', 'Int16', 210))).toEqual({
      kind: 'simple',
      origin: CONTEXT.origin,
      deviceName: 'room-1',
      resourceName: 'Temperature',
      profileName: 'room',
      valueType: 'Int16',
      units: 'C',
      tags: { sensor: 'north' },
      value: '21',
    });
  });

  test('units and transformation may be off', () => {
    const given = commandValue('Temperature', 'Int16', 210);
    expect(reading(given, { readingUnits: false, dataTransform: false })).toMatchObject({
      value: '210',
      units: undefined,
    });
  });

  test('what overflows or is no number is said as a text, with the origin that the driver gave', () => {
    const origin = 5n;
    expect(reading(commandValue('Raw', 'Float32', 1e20, { origin }))).toMatchObject({
      valueType: 'String',
      value: 'overflow',
      origin,
    });
    expect(reading(commandValue('Raw', 'Float32', NaN))).toMatchObject({ valueType: 'String', value: 'NaN' });
    expect(reading(commandValue('Raw', 'Float32', NaN), { dataTransform: false })).toMatchObject({
      valueType: 'Float32',
      value: 'NaN',
    });
    expect(reading(commandValue('Temperature', 'Int16', 215))).toMatchObject({ value: 'overflow' });
  });

  test('an assertion that does not hold is told, and there is no event', () => {
    expect(reading(commandValue('Alive', 'Bool', true))).toMatchObject({ value: 'true' });
    expect(eventOf([commandValue('Alive', 'Bool', false)], CONTEXT)).toEqual({
      kind: 'assertionFailed',
      resourceName: 'Alive',
      message: 'Assertion failed for DeviceResource Alive, with value false',
    });
    expect(eventOf([commandValue('Alive', 'Bool', null)], CONTEXT)).toMatchObject({
      message: 'Assertion failed for DeviceResource Alive, with value <nil>',
    });
  });

  test('mappings are those of the command that was read, else of the first that has the resource', () => {
    const mode = commandValue('Mode', 'Uint8', 1);
    expect(reading(mode, { sourceName: 'Short' })).toMatchObject({ valueType: 'String', value: 'H' });
    expect(reading(mode, { sourceName: 'Mode' })).toMatchObject({ valueType: 'String', value: 'heat' });
    expect(reading(commandValue('Mode', 'Uint8', 3))).toMatchObject({ valueType: 'Uint8', value: '3' });
    expect(reading(commandValue('Other', 'Uint8', 1))).toMatchObject({ valueType: 'Uint8', value: '1' });
  });

  test('bytes have a media type, objects are as they are, null is null', () => {
    const bytes = Uint8Array.of(1, 2);
    expect(reading(commandValue('Picture', 'Binary', bytes))).toMatchObject({
      kind: 'binary',
      binaryValue: bytes,
      mediaType: 'image/png',
    });
    expect(reading(commandValue('Bytes', 'Binary', bytes))).toMatchObject({
      mediaType: 'application/octet-stream',
    });
    expect(reading(commandValue('Settings', 'Object', { a: 1n }))).toMatchObject({
      kind: 'object',
      objectValue: { a: 1n },
    });
    expect(reading(commandValue('Temperature', 'Int16', null))).toMatchObject({
      kind: 'null',
      valueType: 'Int16',
    });
  });

  test('tags of the values, of the command and of the device come together, the later ones first', () => {
    const values = [
      commandValue('Mode', 'Uint8', 1, { tags: { fCnt: '7', shared: 'value' } }),
      commandValue('Other', 'Uint8', 1, { tags: { fCnt: '8' } }),
    ];
    expect(event(values).tags).toEqual({ fCnt: '8', shared: 'command', command: 'all' });
    expect(event(values, { device: { name: 'room-1', tags: { shared: 'device' } } }).tags).toMatchObject({
      shared: 'device',
    });
    expect(event([commandValue('Mode', 'Uint8', 1)], { sourceName: 'Mode' }).tags).toBeUndefined();
  });

  test('no values are no event', () => {
    expect(eventOf([], CONTEXT)).toEqual({ kind: 'none' });
  });

  test('values that are none of the profile or of their type are refused', () => {
    expect(refusal([commandValue('Unknown', 'Uint8', 1)])).toEqual([
      'notFound',
      'failed to find DeviceResource Unknown in Device room-1 for CommandValue (DeviceResource: Unknown, Uint8: 1)',
    ]);
    expect(refusal([{ resourceName: 'Mode', valueType: 'Uint8', value: 256 }])).toEqual([
      'failed',
      expect.stringContaining(
        'failed to transform CommandValue (DeviceResource: Mode, Uint8: 256) to Reading',
      ),
    ]);
    const foreign = { resourceName: 'Mode', valueType: 'Uint9', value: 'x' } as unknown as CommandValue;
    expect(refusal([foreign])[0]).toBe('failed');
  });

  test('an object that JSON cannot say is refused', () => {
    const circle: Record<string, unknown> = {};
    Object.assign(circle, { one: circle, other: circle });
    expect(refusal([commandValue('Settings', 'Object', circle)])[0]).toBe('failed');
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    expect(refusal([commandValue('Settings', 'Object', deep)])[0]).toBe('failed');
  });

  test('whatever a driver gives, it makes an event that core-data takes, or is refused', () => {
    const value = fc.record({
      resourceName: fc.constantFrom('Temperature', 'Raw', 'Mode', 'Picture', 'Settings', 'Alive', 'Unknown'),
      valueType: fc.constantFrom(...valueTypes),
      value: fc.oneof(
        fc.anything({ withBigInt: true }),
        fc.integer(),
        fc.double(),
        fc.string(),
        fc.uint8Array(),
      ),
    });
    let taken = 0;
    fc.assert(
      fc.property(fc.array(value, { maxLength: 3 }), (drawn) => {
        const values = drawn as CommandValue[];
        const [code] = refusal(values);
        expect(['', 'failed', 'notFound']).toContain(code);
        fc.pre(code === '');
        const outcome = eventOf(values, CONTEXT);
        if (outcome.kind !== 'event') return;
        // EdgeX has a text for an empty array, which its core-data refuses
        fc.pre(outcome.event.readings.every((one) => one.kind !== 'simple' || one.value !== '[]'));
        taken += 1;
        const { message } = eventMessage(outcome.event, OPTIONS);
        expect(addEventRequest.safeParse(parseEnvelope(message).payload).error).toBeUndefined();
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(20);
  });

  test('every event has an origin of its own', () => {
    expect(nextOrigin(5n, 9n)).toBe(9n);
    expect(nextOrigin(9n, 9n)).toBe(10n);
    expect(nextOrigin(10n, 3n)).toBe(11n);
  });
});

describe('eventMessage', () => {
  test('an event goes as JSON on its topic, and core-data reads back the same one', () => {
    const given = event([commandValue('Temperature', 'Int16', 210), commandValue('Mode', 'Uint8', null)]);
    const { topic, message } = eventMessage(given, OPTIONS);
    expect(topic).toBe('edgex/events/device/device%2Froom/room/room-1/All');
    const envelope = parseEnvelope(message);
    expect(envelope).toMatchObject({ contentType: 'application/json', correlationID: OPTIONS.correlationId });
    expect(addEventRequest.parse(envelope.payload)).toEqual({
      apiVersion: 'v3',
      requestId: OPTIONS.requestId,
      event: given,
    });
  });

  test('one with bytes goes as CBOR, in which they are bytes', () => {
    const given = event([commandValue('Picture', 'Binary', Uint8Array.of(0, 255))]);
    const envelope = parseEnvelope(eventMessage(given, OPTIONS).message);
    expect(envelope.contentType).toBe('application/cbor');
    expect(envelope.payload).toMatchObject({ event: { readings: [{ binaryValue: Uint8Array.of(0, 255) }] } });
    expect(addEventRequest.parse(envelope.payload).event).toEqual(given);
  });

  test('what CBOR cannot say is told as such', () => {
    const values = [
      commandValue('Picture', 'Binary', Uint8Array.of(1)),
      commandValue('Settings', 'Object', { run: () => undefined }),
    ];
    expect(() => eventMessage(event(values), OPTIONS)).toThrow(
      expect.objectContaining({
        code: 'failed',
        message: expect.stringMatching(/^failed to encode AddEventRequest -> /),
      }),
    );
  });

  test('the whole message counts for the limit, and 0 is none', () => {
    const large = event([commandValue('Settings', 'Object', { text: 'x'.repeat(1000) })]);
    expect(() => eventMessage(large, { ...OPTIONS, maxEventSizeKB: 1 })).toThrow(
      expect.objectContaining({ code: 'tooLarge', message: 'message size exceed limit(1 KB)' }),
    );
    expect(eventMessage(large, OPTIONS).message.length).toBeGreaterThan(1024);
    expect(eventMessage(large, { ...OPTIONS, maxEventSizeKB: 2 }).message.length).toBeLessThanOrEqual(2048);
  });
});
