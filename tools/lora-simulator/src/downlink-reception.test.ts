import { describe, expect, test } from '@jest/globals';
import type { DownlinkOnAir, DownlinkReception, ReceptionResult } from './downlink-reception.ts';
import { createDownlinkReception } from './downlink-reception.ts';
import { deviceAt } from './devices.ts';
import { readDownlinkHeader } from './frames.ts';
import { buildDownlink } from './downlink.test-support.ts';

const device = deviceAt({ seed: 'down', devAddrPrefix: '01' }, 0);
const keys = {
  nwkSKey: Buffer.from(device.nwkSKey, 'hex'),
  appSKey: Buffer.from(device.appSKey, 'hex'),
};
const uplinkEnd = 10_000;
const radio = { freqMhz: 868.3, datr: 'SF8BW125' };

function receptionFrom(fcntDownStart = 0): DownlinkReception {
  const reception = createDownlinkReception(device, keys, fcntDownStart);
  reception.listenAfter(uplinkEnd, radio);
  return reception;
}

function onAir(fcnt: number, changes: Partial<DownlinkOnAir> & { confirmed?: boolean } = {}): DownlinkOnAir {
  const { confirmed = false, ...radioChanges } = changes;
  const phyPayload =
    changes.phyPayload ?? buildDownlink(device, { fcnt, confirmed, payload: Buffer.from('on') });
  const header = readDownlinkHeader(phyPayload);
  if (header === undefined) throw new TypeError('no downlink');
  return { phyPayload, header, at: uplinkEnd + 1_000, inverted: true, ...radio, ...radioChanges };
}

const reasonOf = (result: ReceptionResult): string => (result.accepted ? 'accepted' : result.reason);

describe('windows', () => {
  test('RX1 is one second after the uplink at its own frequency and data rate', () => {
    const result = receptionFrom().receive(onAir(0));
    expect(result).toEqual({ accepted: true, fcnt: 0, payload: Buffer.from('on'), window: 'rx1' });
  });

  test('RX2 is two seconds after it at 869.525 MHz and SF12', () => {
    const rx2 = { at: uplinkEnd + 2_000, freqMhz: 869.525, datr: 'SF12BW125' };
    expect(receptionFrom().receive(onAir(0, rx2))).toMatchObject({ accepted: true, window: 'rx2' });
  });

  test.each([
    ['too early', { at: uplinkEnd + 900 }, 'noWindow'],
    ['too late', { at: uplinkEnd + 1_100 }, 'noWindow'],
    ['at another frequency', { freqMhz: 868.1 }, 'noWindow'],
    ['at another data rate', { datr: 'SF7BW125' }, 'noWindow'],
    ['in RX2 with the settings of RX1', { at: uplinkEnd + 2_000 }, 'noWindow'],
    ['not inverted', { inverted: false }, 'polarity'],
  ])('a downlink %s is not received', (_, changes, reason) => {
    expect(reasonOf(receptionFrom().receive(onAir(0, changes)))).toBe(reason);
  });

  test('an uplink and its retransmission both open windows', () => {
    const reception = receptionFrom();
    reception.listenAfter(uplinkEnd + 500, { ...radio, freqMhz: 867.1 });
    expect(reasonOf(reception.receive(onAir(0)))).toBe('accepted');
    expect(reasonOf(reception.receive(onAir(1, { at: uplinkEnd + 1_500, freqMhz: 867.1 })))).toBe('accepted');
  });
});

describe('FCntDown', () => {
  test('goes only upward', () => {
    const reception = receptionFrom();
    expect([5, 6, 6, 4, 9].map((fcnt) => reasonOf(reception.receive(onAir(fcnt))))).toEqual([
      'accepted',
      'accepted',
      'repeated',
      'counterBack',
      'accepted',
    ]);
  });

  test('is taken as 32 bits over the rollover of the 16 on air', () => {
    const reception = receptionFrom(0xfffe);
    const results = [0xfffe, 0x1_0001, 0xffff].map((fcnt) => reception.receive(onAir(fcnt)));
    expect(results[1]).toMatchObject({ accepted: true, fcnt: 0x1_0001 });
    expect(results.map(reasonOf)).toEqual(['accepted', 'accepted', 'counterBack']);
  });

  test('may not jump by 16384', () => {
    const reception = receptionFrom();
    expect(reasonOf(reception.receive(onAir(16_383)))).toBe('counterGap');
    expect(reasonOf(reception.receive(onAir(16_382)))).toBe('accepted');
    expect(reasonOf(reception.receive(onAir(16_382 + 16_384)))).toBe('counterGap');
  });

  test('a wrong MIC is ignored and spends no counter', () => {
    const reception = receptionFrom();
    const { phyPayload } = onAir(0);
    const forged = Buffer.from(phyPayload).fill(0, phyPayload.length - 4);
    expect(reasonOf(reception.receive(onAir(0, { phyPayload: forged })))).toBe('mic');
    expect(reasonOf(reception.receive(onAir(0)))).toBe('accepted');
  });
});

test('a confirmed downlink is acknowledged once, and again when it is repeated', () => {
  const reception = receptionFrom();
  reception.receive(onAir(0));
  expect(reception.takeAck()).toBe(false);
  reception.receive(onAir(1, { confirmed: true }));
  expect([reception.takeAck(), reception.takeAck()]).toEqual([true, false]);
  reception.receive(onAir(1, { confirmed: true }));
  expect(reception.takeAck()).toBe(true);
});
