import { expect, test } from '@jest/globals';
import { createTally } from '../semtech/tally.ts';
import { readStat } from '../semtech/stat.ts';
import { statsEvent } from './gateway-events.ts';

test("a gateway's report goes out in the form of ChirpStack's GatewayStats, counters begun anew with each", () => {
  const tally = createTally();
  const radio = { frequency: 868_100_000, spreadingFactor: 7, bandwidth: 125_000, codeRate: '4/5' };
  tally.heard(radio);
  tally.heard({ ...radio, frequency: 868_300_000 });
  tally.answered(radio, 'OK');
  tally.answered(radio, 'TOO_LATE');
  const stat = readStat({
    time: '2026-11-21 08:08:17 UTC',
    lati: 60.17,
    long: 24.94,
    alti: 10,
    rxnb: 3,
    rxok: 2,
    rxfw: 2,
    ackr: 99.5,
    dwnb: 2,
    txnb: 1,
    temp: 41.5,
    pfrm: 'IMST + Rpi',
  });
  const report = { gatewayId: '00000000aabbccdd', stat, protocolVersion: 2, host: '127.0.0.1' };
  const lora = { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5' };
  expect(statsEvent({ ...report, counts: tally.take() })).toEqual({
    gatewayId: '00000000aabbccdd',
    time: '2026-11-21T08:08:17Z',
    location: { latitude: 60.17, longitude: 24.94, altitude: 10, source: 'GPS' },
    rxPacketsReceived: 3,
    rxPacketsReceivedOk: 2,
    txPacketsReceived: 2,
    txPacketsEmitted: 1,
    metadata: {
      protocolVersion: '2',
      address: '127.0.0.1',
      platform: 'IMST + Rpi',
      rxForwarded: '2',
      acknowledgedPercent: '99.5',
      temperature: '41.5',
    },
    txPacketsPerFrequency: { '868100000': 1 },
    rxPacketsPerFrequency: { '868100000': 1, '868300000': 1 },
    txPacketsPerModulation: [{ modulation: { lora }, count: 1 }],
    rxPacketsPerModulation: [{ modulation: { lora }, count: 2 }],
    txPacketsPerStatus: { OK: 1, TOO_LATE: 1 },
  });
  expect(statsEvent({ ...report, counts: tally.take() })).toMatchObject({
    rxPacketsPerFrequency: {},
    txPacketsPerStatus: {},
  });
});

test('a gateway that names ever new frequencies costs a bounded memory', () => {
  const tally = createTally();
  for (let i = 0; i < 10_000; i++)
    tally.heard({ frequency: 868_000_000 + i, spreadingFactor: 7, bandwidth: i, codeRate: '4/5' });
  const { rxPerFrequency, rxPerModulation } = tally.take();
  expect([rxPerFrequency.size, rxPerModulation.length]).toEqual([64, 64]);
});
