import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  differences,
  handbackStatement,
  summariseDevices,
  type GenuineFrame,
  type HandbackStatement,
} from './statement.ts';

const frame = (devEui: string, fcnt: number, byte = fcnt & 0xff): GenuineFrame => ({
  devEui,
  devAddr: '0000000a',
  session: '00112233445566aa',
  fcnt,
  phyPayload: Uint8Array.of(0x40, byte, 1, 2),
});
const statement = (frames: readonly GenuineFrame[]): HandbackStatement => ({
  contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
  epoch: 2,
  from: 1,
  through: 100,
  devices: summariseDevices(frames),
});

describe('handback statements', () => {
  test('are equal whatever order and however often the frames came', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 60 }),
        fc.nat(),
        (counters, seed) => {
          const frames = counters.map((fcnt) => frame(fcnt % 2 === 0 ? 'aa' : 'bb', fcnt));
          const shuffled = [...frames, ...frames.slice(0, 3)].sort(
            (x, y) => ((x.fcnt * 7919 + seed) % 101) - ((y.fcnt * 7919 + seed) % 101),
          );
          expect(differences(statement(frames), statement(shuffled))).toEqual([]);
        },
      ),
    );
  });

  test('name the device in which one frame is missing or has other bytes', () => {
    const frames = [frame('aa', 1), frame('aa', 2), frame('bb', 1)];
    expect(differences(statement(frames), statement(frames.slice(1)))).toEqual([
      'device aa: 2 frames against 1',
    ]);
    expect(differences(statement(frames), statement([frame('aa', 1, 9), ...frames.slice(1)]))).toHaveLength(
      1,
    );
    expect(differences(statement(frames), statement(frames.slice(0, 2)))).toEqual([
      'device bb: 1 frames against 0',
    ]);
  });

  test('count what was never heard as gaps', () => {
    expect(summariseDevices([frame('aa', 5), frame('aa', 9)])[0]).toMatchObject({
      first: 5,
      last: 9,
      count: 2,
      gaps: 3,
      gapRanges: [[6, 8]],
      gapsUnnamed: 0,
    });
  });

  test('name the first gaps of a device, and count what is beyond them', () => {
    const frames = Array.from({ length: 12 }, (_, i) => frame('aa', i * 3));
    const [device] = summariseDevices([...frames, frame('bb', 1), frame('bb', 2)]);
    expect(device?.gaps).toBe(22);
    expect(device?.gapRanges?.slice(0, 2)).toEqual([
      [1, 2],
      [4, 5],
    ]);
    expect(device?.gapRanges).toHaveLength(8);
    expect(device?.gapsUnnamed).toBe(6);
    const long = frames.map((one) => ({ ...one, devEui: one.devEui.repeat(8) }));
    expect(handbackStatement.parse(statement(long)).devices[0]?.gapsUnnamed).toBe(6);
    expect(summariseDevices([frame('bb', 1), frame('bb', 2)])[0]).not.toHaveProperty('gapRanges');
  });

  test('are the same for two frames under one counter, whichever came first', () => {
    const [one, other] = [frame('aa', 4, 1), frame('aa', 4, 2)];
    const both = statement([one, other]);
    expect(both.devices[0]).toMatchObject({ count: 2, gaps: 0 });
    expect(differences(both, statement([other, one]))).toEqual([]);
    expect(differences(both, statement([one]))).toHaveLength(1);
  });
});
