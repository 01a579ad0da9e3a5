import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { differences, summariseDevices, type GenuineFrame, type HandbackStatement } from './statement.ts';

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
    });
  });
});
