import { expect, test } from '@jest/globals';
import { parseDevEui } from '@antirio/lorawan';
import { createHeardLast } from './last-heard.ts';

test('the newest frame of a device is told of, in whatever order its frames are stored', () => {
  const last = createHeardLast();
  const devEui = parseDevEui('0000000000000001');
  const note = (receivedAt: number, snr: number): void => {
    const radio = { gatewayId: '0016c001ff10be00', rssi: -61, snr, frequency: 868_100_000 };
    last.note(devEui, { ...radio, bandwidth: 125_000, spreadingFactor: 9, receivedAt }, 2);
  };
  expect(last.get(devEui)).toBeUndefined();
  note(5, 7.25);
  const first = { at: 5, gatewayId: '0016c001ff10be00', rssi: -61, snr: 7.25, gateways: 2 };
  expect(last.get(devEui)).toEqual({ ...first, frequency: 868_100_000, dataRate: 'SF9BW125' });
  note(4, -3);
  expect(last.get(devEui)).toMatchObject(first);
  note(6, -3);
  expect(last.get(devEui)).toMatchObject({ at: 6, snr: -3 });
  expect(last.get(parseDevEui('0000000000000002'))).toBeUndefined();
});
