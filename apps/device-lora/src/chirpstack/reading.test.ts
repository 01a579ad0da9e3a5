import { describe, expect, test } from '@jest/globals';
import { deviceProfile } from '@antirio/edgex-contracts';
import { parseDevAddr, sessionOfNetworkServer } from '@antirio/lorawan';
import { utf8 } from '@antirio/kernel';
import { deviceLoraOptions, isSentToAtOnce, readFromRings, type DeviceOptions } from '../options.ts';
import { readChirpStackEvent, type UpEvent } from './event.ts';
import { uplink } from './messages.fixture.ts';
import { digestOf, eventOfUp, idOf, type KnownUp } from './reading.ts';

const given = { devEui: '0102030405b74b92', name: 'mote', devAddr: '01072428', network: 'chirpStack' };
const configured = (change: object): unknown => ({
  ...{ dataDir: '/d', chirpStack: { mqtt: {} } },
  devices: [{ ...given, ...change }],
});
function deviceOf(change: object = {}): DeviceOptions {
  const [device] = deviceLoraOptions.parse(configured(change)).devices;
  if (device === undefined) throw new TypeError('none');
  return device;
}
const devAddr = parseDevAddr('01072428');
function known(device: DeviceOptions, change: Record<string, unknown> = {}): KnownUp {
  const up = readChirpStackEvent('up', utf8(JSON.stringify(uplink(change)))) as UpEvent;
  const session = sessionOfNetworkServer(device.devEui, devAddr);
  return { device, up, devAddr, session, receivedAt: up.at ?? 0 };
}
const resource = (name: string, valueType: string, attributes = {}) => ({
  ...{ name, attributes, properties: { valueType, readWrite: 'R' } },
});

describe('what ChirpStack’s own codec made', () => {
  const profile = deviceProfile.parse({
    name: 'p',
    deviceResources: [
      resource('temperature', 'Float64'),
      resource('moist', 'Uint8', { field: 'humidity' }),
      resource('open', 'Bool'),
      resource('text', 'String'),
      resource('place', 'Object'),
    ],
  });
  const readings = (object: object | undefined) => {
    const device = deviceOf({ codec: 'chirpStack' });
    const { readings: made, undecodable } = eventOfUp('s', profile, known(device, { object }));
    return [
      undecodable,
      ...made.map((one) => `${one.resourceName}=${one.kind === 'simple' ? one.value : one.kind}`),
    ];
  };

  test('becomes the resources of those names', () => {
    const object = { temperature: 25.5, humidity: 60, open: true, text: 'x', place: { floor: 2 } };
    const expected = ['temperature=2.55e+01', 'moist=60', 'open=true', 'text=x', 'place=object'];
    expect(readings(object)).toEqual([false, ...expected]);
  });

  test('and what fits none of them is kept as the payload beside them', () => {
    expect(readings({ temperature: 25, colour: 'red' })).toEqual([
      true,
      'temperature=2.5e+01',
      'payload=binary',
    ]);
    expect(readings({ temperature: 'warm', humidity: 300 })).toEqual([true, 'payload=binary']);
    expect(readings(undefined)).toEqual([true, 'payload=binary']);
  });
});

describe('which reading it is', () => {
  test('is said by the counter; of a device that resets it, by ChirpStack’s id of the transmission too', () => {
    const again = { deduplicationId: 'bb21b66d-edc6-45f2-8906-7f97bcc907f2' };
    expect(idOf(known(deviceOf()))).toBe(idOf(known(deviceOf(), again)));
    const resetting = deviceOf({ mayReset: true });
    expect(idOf(known(resetting))).not.toBe(idOf(known(resetting, again)));
    expect(idOf(known(resetting))).toBe(idOf(known(resetting, { rxInfo: [] })));
    // which our own reader could not know
    expect([readFromRings(deviceOf()), readFromRings(resetting)]).toEqual([true, false]);
  });

  test('others under one counter are told apart by port and payload', () => {
    const digest = (change: Record<string, unknown>): string => digestOf(known(deviceOf(), change).up);
    expect(digest({ rxInfo: [] })).toBe(digest({}));
    expect(new Set([digest({}), digest({ data: 'CcQ9' }), digest({ fPort: 3 })]).size).toBe(3);
  });
});

test('a device of class C that we read from our rings, but is ChirpStack’s, is sent to by that alone', () => {
  const theirs = deviceOf({ class: 'C' });
  expect([readFromRings(theirs), isSentToAtOnce(theirs)]).toEqual([true, false]);
  expect(isSentToAtOnce(deviceOf({ class: 'C', network: 'own' }))).toBe(true);
  expect(isSentToAtOnce(deviceOf({ network: 'own' }))).toBe(false);
});

test.each([
  ['a device of ChirpStack’s, and no ChirpStack', { chirpStack: undefined }, /nothing is said of that/],
  [
    'its codec for a device of our own',
    { devices: [{ ...given, network: 'own', codec: 'chirpStack' }] },
    /only devices of/,
  ],
  ['neither MQTT nor HTTP', { chirpStack: { http: false } }, /or both/],
  ['a service at another edge', { prefix: 'contract/x/' }, /of an edge itself/],
  ['a password in the URL', { chirpStack: { mqtt: { url: 'mqtt://u:p@h' } } }, /no user name or password/],
])('%s is refused at the start', (_what, change, why) => {
  const parsed = deviceLoraOptions.safeParse({ ...(configured({}) as object), ...change });
  expect(parsed.error?.message).toMatch(why);
});
