import { expect, test } from '@jest/globals';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { SimulatorError } from './errors.ts';

const gateway = { id: 'AABBCCDDEEFF0011', port: 1700 };

test('only gateways are required; the rest has defaults', () => {
  const config = parseConfig({ gateways: [gateway] });
  expect(config).toMatchObject({ seed: '1', motes: 20, periodMs: 2_000, fPort: 2, fcntUpStart: 0 });
  expect(config.attack).toEqual({ retransmission: 0.05, replay: 0.05, bitflip: 0.05, foreign: 0.05 });
  expect(config.gateways[0]).toMatchObject({ id: 'aabbccddeeff0011', host: '127.0.0.1', keepaliveMs: 2_000 });
});

test.each([
  ['an unknown key', { gateways: [gateway], motess: 3 }, 'motess'],
  ['more than one uplink a second', { gateways: [gateway], periodMs: 500 }, 'periodMs'],
  ['a ratio above one', { gateways: [gateway], attack: { replay: 1.5 } }, 'attack.replay'],
  ['a bad gateway EUI', { gateways: [{ ...gateway, id: 'xyz' }] }, 'gateways[0].id'],
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
  const devices = devicesOf(config);
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
  expect(devicesOf({ ...config, seed: 'other' })[0]?.nwkSKey).not.toBe(devices[0]?.nwkSKey);
});
