import { expect, test } from '@jest/globals';
import { frameSchema } from './wire.ts';

const frame = {
  seq: 1,
  receivedAt: 1_795_248_497_000.25,
  gatewayId: '000000006b12933d',
  via: 'radio',
  phyPayload: 'QCgkBwGAAgACVit7/uwLtQ==',
  rx: {
    tmst: 1,
    frequency: 868_100_000,
    spreadingFactor: 7,
    bandwidth: 125_000,
    codeRate: '4/5',
    rssi: -60,
    snr: 7.5,
    channel: 0,
    rfChain: 0,
    crcOk: true,
    time: '2026-11-21T08:08:17Z',
  },
};

test("a neighbour's frame is taken with the times and strengths that events have room for", () => {
  expect(frameSchema.parse(frame)).toEqual(frame);
  expect(frameSchema.parse({ ...frame, receivedAt: 1e-9 }).receivedAt).toBe(0);
  const timeless = frameSchema.parse({ ...frame, rx: { ...frame.rx, time: '2026-02-31T08:08:17Z' } });
  expect(timeless.rx.time).toBeUndefined();
});

test('one that the readers of its event would refuse for good is refused here', () => {
  for (const wrong of [
    { receivedAt: 1e21 },
    { phyPayload: 'A'.repeat(344) },
    { rx: { ...frame.rx, rssi: -1e300 } },
    { rx: { ...frame.rx, snr: 1e10 } },
    { rx: { ...frame.rx, gpsTimeMs: 2 ** 53 - 1 } },
  ])
    expect(frameSchema.safeParse({ ...frame, ...wrong }).success).toBe(false);
});
