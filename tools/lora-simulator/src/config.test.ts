import { expect, test } from '@jest/globals';
import { parseConfig } from './config.ts';
import { deviceAt, devicesOf, isOtaa } from './devices.ts';
import { SimulatorError } from './errors.ts';

const gateway = { id: 'AABBCCDDEEFF0011', port: 1700 };

test('only gateways are required; the rest has defaults', () => {
  const config = parseConfig({ gateways: [gateway] });
  expect(config).toMatchObject({ seed: '1', motes: 20, periodMs: 2_000, fPort: 2, fcntUpStart: 0 });
  expect(config.attack).toEqual({
    retransmission: 0.05,
    replay: 0.05,
    bitflip: 0.05,
    foreign: 0.05,
    joinReplay: 0,
  });
  expect(config.gateways[0]).toMatchObject({ id: 'aabbccddeeff0011', host: '127.0.0.1', keepaliveMs: 2_000 });
});

test.each([
  ['an unknown key', { gateways: [gateway], motess: 3 }, 'motess'],
  ['more than one uplink a second', { gateways: [gateway], periodMs: 500 }, 'periodMs'],
  ['a ratio above one', { gateways: [gateway], attack: { replay: 1.5 } }, 'attack.replay'],
  ['a bad gateway EUI', { gateways: [{ ...gateway, id: 'xyz' }] }, 'gateways[0].id'],
  ['a DevNonce beyond 16 bits', { gateways: [gateway], devNonceStart: 65_536 }, 'devNonceStart'],
  [
    'a position for some gateways',
    {
      gateways: [
        { ...gateway, position: { x: 0, y: 0 } },
        { id: 'ff'.repeat(8), port: 1 },
      ],
    },
    'some have none',
  ],
  [
    'motes in places without gateways there',
    { gateways: [gateway], motePositions: [{ x: 1, y: 1 }] },
    'motePositions',
  ],
  [
    'metres and degrees',
    { gateways: [{ ...gateway, position: { x: 0, y: 0 } }], motePositions: [{ lat: 1, lon: 1 }] },
    'degrees',
  ],
  ['no gateway', { gateways: [] }, 'gateways'],
  ['one gateway twice', { gateways: [gateway, gateway] }, 'gateways'],
  ['no object', 'motes', 'expected object'],
])('%s is refused with its path', (_, input, path) => {
  const parse = (): unknown => parseConfig(input);
  expect(parse).toThrow(SimulatorError);
  expect(parse).toThrow(path);
});

test('ten thousand devices have their own DevEUI, DevAddr and keys, all from the seed', () => {
  const config = parseConfig({ gateways: [gateway], motes: 10_000, seed: 'many' });
  const devices = Array.from({ length: 10_000 }, (_, index) => deviceAt(config, index));
  for (const field of ['devEui', 'name', 'devAddr', 'nwkSKey', 'appSKey'] as const) {
    expect(new Set(devices.map((device) => device[field])).size).toBe(10_000);
  }
  expect(devices[17]).toMatchObject({
    devEui: expect.stringMatching(/^[0-9a-f]{16}$/),
    name: 'mote-0018',
    devAddr: expect.stringMatching(/^01[0-9a-f]{6}$/),
    nwkSKey: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(devicesOf(config)).toEqual(devices);
  expect(deviceAt({ ...config, seed: 'other' }, 0).nwkSKey).not.toBe(devices[0]?.nwkSKey);
});

test.each([
  [0.1, 10, 1],
  [0.25, 20, 5],
  [1 / 3, 10, 3],
  [1, 7, 7],
])('a part of %p of %i motes joins over the air: %i, spread evenly', (otaa, motes, joining) => {
  const config = parseConfig({ gateways: [gateway], motes, otaa });
  const places = devicesOf(config).flatMap((device, index) => (isOtaa(device) ? [index] : []));
  expect(places).toHaveLength(joining);
  const gaps = places.slice(1).map((place, index) => place - (places[index] ?? 0));
  for (const gap of gaps) expect(Math.abs(gap - 1 / otaa)).toBeLessThan(1);
});

test('the configured loss is for a gateway without a position, unless it is said', () => {
  const loss = (input: object): number | undefined =>
    parseConfig({ gateways: [{ ...gateway, ...input }] }).gateways[0]?.loss;
  expect([loss({}), loss({ position: { x: 0, y: 0 } })]).toEqual([0.1, 0]);
  expect(loss({ position: { x: 0, y: 0 }, loss: 0.2 })).toBe(0.2);
});

test('where a mote joins, a gateway takes downlinks that are six seconds ahead', () => {
  const advance = (input: object): number | undefined =>
    parseConfig({ gateways: [{ ...gateway, ...input }], otaa: 1 }).gateways[0]?.txAdvanceMs;
  expect(parseConfig({ gateways: [gateway] }).gateways[0]?.txAdvanceMs).toBe(5_000);
  expect([advance({}), advance({ txAdvanceMs: 7_000 })]).toEqual([20_000, 7_000]);
});

test('a device that joins is known by its AppKey, and has the DevEUI it would have with ABP', () => {
  const config = parseConfig({ gateways: [gateway], otaa: 1, joinEui: '70B3D57ED0000001' });
  const [device] = devicesOf(config);
  expect(device).toEqual({
    devEui: deviceAt(config, 0).devEui,
    name: 'mote-0001',
    joinEui: '70b3d57ed0000001',
    appKey: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
});
