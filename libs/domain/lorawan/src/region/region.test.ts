import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { airtimeUs, eu868, newMacState, parseDataRateName, type LoraDataRate } from '../index.ts';

const rate = (name: string): LoraDataRate => parseDataRateName(name) ?? { spreadingFactor: 0, bandwidth: 0 };
const indexes = fc.nat(6);

describe('EU868', () => {
  test('data rates have their numbers and their numbers have data rates', () => {
    fc.assert(
      fc.property(indexes, (index) => {
        const settings = eu868.dataRate(index);
        expect(settings && eu868.dataRateIndex(settings)).toBe(index);
      }),
    );
    expect(eu868.dataRate(0)).toEqual(rate('SF12BW125'));
    expect(eu868.dataRate(5)).toEqual(rate('SF7BW125'));
    expect(eu868.dataRate(6)).toEqual(rate('SF7BW250'));
    for (const none of [-1, 7, 15, 0.5]) expect(eu868.dataRate(none)).toBeUndefined();
    expect(eu868.dataRateIndex(rate('SF12BW250'))).toBeUndefined();
  });

  test("RX1's data rate by the uplink's and the offset", () => {
    // RP002-1.0.3, table 13
    const table = [
      [0, 0, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 0],
      [2, 1, 0, 0, 0, 0],
      [3, 2, 1, 0, 0, 0],
      [4, 3, 2, 1, 0, 0],
      [5, 4, 3, 2, 1, 0],
      [6, 5, 4, 3, 2, 1],
    ];
    expect(table.map((row, dr) => row.map((_, offset) => eu868.rx1DataRate(dr, offset)))).toEqual(table);
    expect(() => eu868.rx1DataRate(0, 6)).toThrow(/RX1DROffset/);
    expect(() => eu868.rx1DataRate(7, 0)).toThrow(/data rate/);
  });

  test('the windows follow the parameters that the device has', () => {
    const uplink = { frequency: 868_300_000, ...rate('SF7BW125') };
    const state = newMacState(eu868, {
      rx1DelayS: 5,
      rx1DrOffset: 2,
      rx2: { frequency: 869_525_000, dataRate: 3 },
    });
    expect(eu868.receiveWindows(uplink, state)).toEqual([
      { frequency: 868_300_000, ...rate('SF9BW125'), delayUs: 5_000_000, power: 16 },
      { frequency: 869_525_000, ...rate('SF9BW125'), delayUs: 6_000_000, power: 27 },
    ]);
    const moved = state.channels.map((channel) => channel && { ...channel, downlinkFrequency: 869_525_000 });
    expect(eu868.receiveWindows(uplink, { ...state, channels: moved })[0]).toMatchObject({
      frequency: 869_525_000,
      power: 27,
    });
    expect(
      eu868.joinWindows(uplink).map((window) => [window.frequency, window.spreadingFactor, window.delayUs]),
    ).toEqual([
      [868_300_000, 7, 5_000_000],
      [869_525_000, 12, 6_000_000],
    ]);
  });

  test('every frequency has the band of the regulation, and the gaps for alarms have none', () => {
    const cases: readonly (readonly [mhz: number, dutyCycle?: number, maxEirp?: number])[] = [
      [863, 0.001, 16],
      [864.999, 0.001, 16],
      [867.1, 0.01, 16],
      [868.1, 0.01, 16],
      [868.65],
      [868.8, 0.001, 16],
      [869.3],
      [869.525, 0.1, 29],
      [869.67],
      [869.9, 0.01, 16],
      [870],
      [862.9],
    ];
    for (const [mhz, dutyCycle, maxEirp] of cases) {
      const band = eu868.band(Math.round(mhz * 1e6));
      expect([mhz, band?.dutyCycle, band?.maxEirp]).toEqual([mhz, dutyCycle, maxEirp]);
    }
    for (const [i, band] of eu868.bands.entries())
      expect(band.from).toBeGreaterThanOrEqual(eu868.bands[i - 1]?.to ?? 0);
    for (const channel of eu868.defaultChannels) expect(eu868.band(channel.frequency)?.name).toBe('M');
  });

  test('powers, payloads and sensitivities are those of the tables', () => {
    expect(eu868.txPowers).toEqual([16, 14, 12, 10, 8, 6, 4, 2]);
    const rates = Array.from({ length: 7 }, (_, index) => eu868.dataRate(index) ?? rate(''));
    expect(rates.map((settings) => eu868.maxPayload(settings))).toEqual([51, 51, 51, 115, 222, 222, 222]);
    expect(rates.map((settings) => eu868.requiredSnr(settings))).toEqual([
      -20, -17.5, -15, -12.5, -10, -7.5, -7.5,
    ]);
  });

  test('parameters outside of the plan make no device', () => {
    for (const wrong of [
      { rx1DelayS: 0 },
      { rx1DrOffset: 6 },
      { rx2: { frequency: 869_525_000, dataRate: 9 } },
      { channels: Array<number>(14).fill(867_100_000) },
    ])
      expect(() => newMacState(eu868, wrong)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});

describe('time on air', () => {
  test("is that of Semtech's calculator", () => {
    // SX1276 calculator: 8 symbols of preamble, explicit header, CRC, coding rate 4/5
    const cases = [
      ['SF7BW125', 23, 61_696],
      ['SF7BW250', 23, 30_848],
      ['SF8BW125', 23, 113_152],
      ['SF9BW125', 23, 205_824],
      ['SF10BW125', 23, 370_688],
      ['SF11BW125', 23, 823_296],
      ['SF12BW125', 23, 1_482_752],
      ['SF12BW125', 51 + 13, 2_793_472],
    ] as const;
    for (const [name, bytes, us] of cases) expect([name, airtimeUs(rate(name), bytes)]).toEqual([name, us]);
    expect(airtimeUs(rate('SF7BW125'), 33, { crc: false })).toBe(71_936);
  });

  test('never falls with more bytes or a slower rate', () => {
    fc.assert(
      fc.property(fc.nat(254), fc.integer({ min: 7, max: 11 }), (bytes, spreadingFactor) => {
        const here = airtimeUs({ spreadingFactor, bandwidth: 125_000 }, bytes);
        expect(airtimeUs({ spreadingFactor, bandwidth: 125_000 }, bytes + 1)).toBeGreaterThanOrEqual(here);
        expect(
          airtimeUs({ spreadingFactor: spreadingFactor + 1, bandwidth: 125_000 }, bytes),
        ).toBeGreaterThan(here);
      }),
    );
  });
});
