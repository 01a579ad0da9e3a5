import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromHex, toHex } from '@antirio/kernel';
import {
  encodeMacCommands,
  macCommandLength,
  parseMacCommands,
  type DownlinkMacCommand,
  type MacCommand,
  type UplinkMacCommand,
} from '../index.ts';

const flag = fc.boolean();
const bits = (count: number) => fc.nat(2 ** count - 1);
const frequency = bits(24).map((steps) => steps * 100);
const of = <Type extends string, Fields>(
  type: Type,
  fields: { [Key in keyof Fields]: fc.Arbitrary<Fields[Key]> },
): fc.Arbitrary<{ type: Type } & Fields> => fc.record(fields).map((drawn) => ({ type, ...drawn }));

const uplinks: fc.Arbitrary<UplinkMacCommand> = fc.oneof(
  fc.constantFrom<UplinkMacCommand>(
    { type: 'linkCheckReq' },
    { type: 'dutyCycleAns' },
    { type: 'rxTimingSetupAns' },
    { type: 'txParamSetupAns' },
    { type: 'deviceTimeReq' },
    { type: 'beaconTimingReq' },
  ),
  of('linkADRAns', { powerAck: flag, dataRateAck: flag, channelMaskAck: flag }),
  of('rxParamSetupAns', { rx1DrOffsetAck: flag, rx2DataRateAck: flag, channelAck: flag }),
  of('devStatusAns', { battery: bits(8), margin: fc.integer({ min: -32, max: 31 }) }),
  of('newChannelAns', { dataRateRangeAck: flag, channelFrequencyAck: flag }),
  of('dlChannelAns', { uplinkFrequencyExists: flag, channelFrequencyAck: flag }),
  of('pingSlotInfoReq', { periodicity: bits(3) }),
  of('pingSlotChannelAns', { dataRateAck: flag, channelFrequencyAck: flag }),
  of('beaconFreqAns', { beaconFrequencyAck: flag }),
);

const downlinks: fc.Arbitrary<DownlinkMacCommand> = fc.oneof(
  fc.constantFrom<DownlinkMacCommand>({ type: 'devStatusReq' }, { type: 'pingSlotInfoAns' }),
  of('linkCheckAns', { margin: bits(8), gatewayCount: bits(8) }),
  of('linkADRReq', {
    dataRate: bits(4),
    txPower: bits(4),
    chMask: bits(16),
    chMaskCntl: bits(3),
    nbTrans: bits(4),
  }),
  of('dutyCycleReq', { maxDutyCycle: bits(4) }),
  of('rxParamSetupReq', { rx1DrOffset: bits(3), rx2DataRate: bits(4), frequency }),
  of('newChannelReq', { chIndex: bits(8), frequency, minDataRate: bits(4), maxDataRate: bits(4) }),
  of('rxTimingSetupReq', { delay: bits(4) }),
  of('txParamSetupReq', { downlinkDwellTime: flag, uplinkDwellTime: flag, maxEirp: bits(4) }),
  of('dlChannelReq', { chIndex: bits(8), frequency }),
  of('deviceTimeAns', { seconds: fc.integer({ min: 0, max: 0xffff_ffff }), fraction: bits(8) }),
  of('pingSlotChannelReq', { frequency, dataRate: bits(4) }),
  of('beaconTimingAns', { delay: bits(16), channel: bits(8) }),
  of('beaconFreqReq', { frequency }),
);

describe('MAC commands', () => {
  test('what is written is read back, both directions', () => {
    fc.assert(
      fc.property(
        fc.array(uplinks, { maxLength: 30 }),
        fc.array(downlinks, { maxLength: 30 }),
        (up, down) => {
          expect(parseMacCommands(encodeMacCommands(up), 'up')).toEqual({ commands: up });
          expect(parseMacCommands(encodeMacCommands(down), 'down')).toEqual({ commands: down });
          expect(encodeMacCommands(down)).toHaveLength(
            down.reduce((sum, command) => sum + macCommandLength(command), 0),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test('the bytes are those of the specification', () => {
    const cases: readonly (readonly [hex: string, direction: 'up' | 'down', command: MacCommand])[] = [
      ['02', 'up', { type: 'linkCheckReq' }],
      ['020703', 'down', { type: 'linkCheckAns', margin: 7, gatewayCount: 3 }],
      [
        '0352ff0061',
        'down',
        { type: 'linkADRReq', dataRate: 5, txPower: 2, chMask: 0x00ff, chMaskCntl: 6, nbTrans: 1 },
      ],
      ['0306', 'up', { type: 'linkADRAns', powerAck: true, dataRateAck: true, channelMaskAck: false }],
      ['0407', 'down', { type: 'dutyCycleReq', maxDutyCycle: 7 }],
      ['04', 'up', { type: 'dutyCycleAns' }],
      // 869.525 MHz
      [
        '0523d2ad84',
        'down',
        { type: 'rxParamSetupReq', rx1DrOffset: 2, rx2DataRate: 3, frequency: 869_525_000 },
      ],
      [
        '0504',
        'up',
        { type: 'rxParamSetupAns', rx1DrOffsetAck: true, rx2DataRateAck: false, channelAck: false },
      ],
      ['06', 'down', { type: 'devStatusReq' }],
      ['06ff3f', 'up', { type: 'devStatusAns', battery: 255, margin: -1 }],
      // 867.1 MHz, DR0 to DR5
      [
        '0703184f8450',
        'down',
        { type: 'newChannelReq', chIndex: 3, frequency: 867_100_000, minDataRate: 0, maxDataRate: 5 },
      ],
      ['0702', 'up', { type: 'newChannelAns', dataRateRangeAck: true, channelFrequencyAck: false }],
      ['0805', 'down', { type: 'rxTimingSetupReq', delay: 5 }],
      ['08', 'up', { type: 'rxTimingSetupAns' }],
      [
        '092d',
        'down',
        { type: 'txParamSetupReq', downlinkDwellTime: true, uplinkDwellTime: false, maxEirp: 13 },
      ],
      ['09', 'up', { type: 'txParamSetupAns' }],
      ['0a03184f84', 'down', { type: 'dlChannelReq', chIndex: 3, frequency: 867_100_000 }],
      ['0a01', 'up', { type: 'dlChannelAns', uplinkFrequencyExists: false, channelFrequencyAck: true }],
      ['0d', 'up', { type: 'deviceTimeReq' }],
      ['0d0403020180', 'down', { type: 'deviceTimeAns', seconds: 0x01020304, fraction: 128 }],
      ['1005', 'up', { type: 'pingSlotInfoReq', periodicity: 5 }],
      ['10', 'down', { type: 'pingSlotInfoAns' }],
      ['11d2ad8403', 'down', { type: 'pingSlotChannelReq', frequency: 869_525_000, dataRate: 3 }],
      ['1103', 'up', { type: 'pingSlotChannelAns', dataRateAck: true, channelFrequencyAck: true }],
      ['12', 'up', { type: 'beaconTimingReq' }],
      ['12010203', 'down', { type: 'beaconTimingAns', delay: 0x0201, channel: 3 }],
      ['13d2ad84', 'down', { type: 'beaconFreqReq', frequency: 869_525_000 }],
      ['1301', 'up', { type: 'beaconFreqAns', beaconFrequencyAck: true }],
    ];
    for (const [hex, direction, command] of cases) {
      expect(toHex(encodeMacCommands([command]))).toBe(hex);
      // The overloads know the two directions apart only.
      expect(parseMacCommands(fromHex(hex), direction as 'up')).toEqual({ commands: [command] });
    }
  });

  test('what is unknown or cut short ends the reading, and what was before it counts', () => {
    expect(parseMacCommands(fromHex('028001'), 'up')).toEqual({
      commands: [{ type: 'linkCheckReq' }],
      rest: fromHex('8001'),
    });
    expect(parseMacCommands(fromHex('0d06ff'), 'up')).toEqual({
      commands: [{ type: 'deviceTimeReq' }],
      rest: fromHex('06ff'),
    });
    expect(() => parseMacCommands(new Uint8Array(256).fill(2), 'up')).toThrow(/256 bytes/);
  });

  test('any bytes are read in full or leave a rest, and what was read is written as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 255 }), flag, (noise, up) => {
        const { commands, rest = new Uint8Array() } = up
          ? parseMacCommands(noise, 'up')
          : parseMacCommands(noise, 'down');
        const read = commands.reduce((sum, command) => sum + macCommandLength(command), 0);
        expect(read + rest.length).toBe(noise.length);
        const again = encodeMacCommands(commands);
        expect((up ? parseMacCommands(again, 'up') : parseMacCommands(again, 'down')).commands).toEqual(
          commands,
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('what does not fit its field is refused', () => {
    for (const wrong of [
      { type: 'dutyCycleReq', maxDutyCycle: 16 },
      { type: 'devStatusAns', battery: 0, margin: 32 },
      { type: 'dlChannelReq', chIndex: 3, frequency: 868_100_050 },
      { type: 'deviceTimeAns', seconds: -1, fraction: 0 },
      { type: 'linkADRReq', dataRate: 0.5, txPower: 0, chMask: 1, chMaskCntl: 0, nbTrans: 1 },
    ] as const)
      expect(() => encodeMacCommands([wrong])).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});
