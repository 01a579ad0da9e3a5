import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromHex, isAntirioError } from '@antirio/kernel';
import {
  dataRateName,
  decodeCayenneLpp,
  eu868,
  eventIdOf,
  parseDataRateName,
  parseDevAddr,
  parseDevEui,
  parseSessionId,
  sessionFingerprint,
} from './index.ts';

describe('identity', () => {
  const devEui = parseDevEui('0102030405B74B92');
  const devAddr = parseDevAddr('01072428');

  test('is the same for all time: every edge that ever ran must derive these', () => {
    const session = sessionFingerprint(fromHex('000102030405060708090a0b0c0d0e0f'), devAddr);
    expect(session).toBe('c5f9545899a225ae');
    expect(eventIdOf({ devEui, session, fcnt: 65538 })).toBe('812c3447-a1c5-5ae2-86be-156f991f8b71');
  });

  test('differs with device, session, counter and MIC', () => {
    const base = { devEui, session: parseSessionId('00'.repeat(8)), fcnt: 1 };
    const ids = [
      base,
      { ...base, fcnt: 2 },
      { ...base, fcnt: 65537 },
      { ...base, devEui: parseDevEui('0102030405b74b93') },
      { ...base, session: parseSessionId('01'.repeat(8)) },
      { ...base, mic: Uint8Array.of(0, 0, 0, 0) },
    ].map(eventIdOf);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('ids of the wrong form are refused', () => {
    expect(() => parseDevEui('01')).toThrow(/EUI-64/);
    expect(() => parseDevAddr('0102030g')).toThrow(/DevAddr/);
    expect(() => parseSessionId('')).toThrow(/session/);
  });
});

describe('Cayenne LPP', () => {
  test('the documented examples decode', () => {
    expect(decodeCayenneLpp(fromHex('03670110056700FF'))).toEqual([
      { channel: 3, type: 'temperature', value: 27.2 },
      { channel: 5, type: 'temperature', value: 25.5 },
    ]);
    expect(decodeCayenneLpp(fromHex('0167FFD7'))).toEqual([{ channel: 1, type: 'temperature', value: -4.1 }]);
    expect(decodeCayenneLpp(fromHex('067104D2FB2E0000'))).toEqual([
      { channel: 6, type: 'accelerometer', value: { x: 1.234, y: -1.234, z: 0 } },
    ]);
    expect(decodeCayenneLpp(fromHex('018806765ff2960a0003e8'))).toEqual([
      { channel: 1, type: 'gps', value: { latitude: 42.3519, longitude: -87.9094, altitude: 10 } },
    ]);
    expect(decodeCayenneLpp(fromHex('0168a0 0202fff6'.replace(' ', '')))).toEqual([
      { channel: 1, type: 'humidity', value: 80 },
      { channel: 2, type: 'analogInput', value: -0.1 },
    ]);
  });

  test('no payload makes it throw anything but an AntirioError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        try {
          decodeCayenneLpp(noise);
        } catch (error) {
          expect(isAntirioError(error, 'invalidInput')).toBe(true);
        }
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('EU868', () => {
  test('RX1 answers on the uplink frequency and data rate, RX2 on 869.525 MHz with SF12', () => {
    const [rx1, rx2] = eu868.receiveWindows({
      frequency: 868_100_000,
      spreadingFactor: 7,
      bandwidth: 125_000,
    });
    expect(rx1).toMatchObject({ frequency: 868_100_000, spreadingFactor: 7, delayUs: 1_000_000 });
    expect(rx2).toMatchObject({ frequency: 869_525_000, spreadingFactor: 12, delayUs: 2_000_000 });
  });

  test('data rate names go there and back, and what is none is refused', () => {
    for (const name of ['SF12BW125', 'SF7BW250']) {
      const parsed = parseDataRateName(name);
      expect(parsed && dataRateName(parsed)).toBe(name);
    }
    for (const name of ['SF7', 'SF13BW125', 'SF7BW12', '50000', 'SF7BW125 '])
      expect(parseDataRateName(name)).toBeUndefined();
  });

  test('only frequencies and data rates of the plan are in it', () => {
    expect(eu868.inPlan({ frequency: 868_100_000, spreadingFactor: 7, bandwidth: 125_000 })).toBe(true);
    expect(eu868.inPlan({ frequency: 915_000_000, spreadingFactor: 7, bandwidth: 125_000 })).toBe(false);
    expect(eu868.maxPayload({ spreadingFactor: 12, bandwidth: 125_000 })).toBe(51);
    expect(eu868.maxPayload({ spreadingFactor: 7, bandwidth: 500_000 })).toBe(0);
  });
});
