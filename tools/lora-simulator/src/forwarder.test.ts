import { describe, expect, test } from '@jest/globals';
import { createGatewayClock } from './gateway-clock.ts';
import { pullData, pushData, readServerDatagram, txAck } from './gwmp.ts';
import { createPushWindow } from './push-window.ts';
import { isoMicroseconds, rxpkOf, statOf } from './rxpk.ts';
import { createTrafficClock } from './traffic-clock.ts';
import { createTxQueue } from './tx-queue.ts';
import { readTxpk } from './txpk.ts';

describe('datagrams', () => {
  // Heads of a captured exchange between a forwarder and a server.
  test('are those of a captured exchange', () => {
    expect(pullData(0x323b, '00000000aabbccdd').toString('hex')).toBe('02323b0200000000aabbccdd');
    expect(pushData(0x623d, '00000000aabbccdd', {}).toString('hex')).toBe('02623d0000000000aabbccdd7b7d');
    expect(readServerDatagram(Buffer.from('02323b04', 'hex'))).toEqual({ kind: 'pullAck', token: 0x323b });
    expect(readServerDatagram(Buffer.from('02623d01', 'hex'))).toEqual({ kind: 'pushAck', token: 0x623d });
  });

  test('a TX_ACK has JSON only where there is an error', () => {
    expect(txAck(1, '00000000aabbccdd').toString('hex')).toBe('0200010500000000aabbccdd');
    expect(txAck(1, '00000000aabbccdd', 'TOO_LATE').subarray(12).toString()).toBe(
      '{"txpk_ack":{"error":"TOO_LATE"}}',
    );
  });

  test.each(['', '02', '0201', '01323b04', '02323b05', '02323b99', 'ffffffffff'])('%p is garbage', (hex) => {
    expect(readServerDatagram(Buffer.from(hex, 'hex'))).toBeUndefined();
  });
});

describe('reports', () => {
  const wallNs = 1_795_248_497_123_456_789n;

  test('an rxpk has every usual field', () => {
    const reception = {
      tx: { id: 1, acknowledged: () => undefined },
      phyPayload: Buffer.from('0102', 'hex'),
      channel: { chan: 3, rfch: 0, freqMhz: 867.1 },
      spreadingFactor: 9,
      endMs: 0,
      rssi: -80,
      snr: 6.5,
    };
    expect(rxpkOf(reception, 12_345, wallNs)).toEqual({
      time: '2026-11-21T08:08:17.123456Z',
      tmms: 1_479_283_715_123,
      tmst: 12_345,
      chan: 3,
      rfch: 0,
      freq: 867.1,
      stat: 1,
      modu: 'LORA',
      datr: 'SF9BW125',
      codr: '4/5',
      lsnr: 6.5,
      rssi: -80,
      size: 2,
      data: 'AQI=',
    });
  });

  test('a stat counts in its own words', () => {
    const counters = { rxnb: 9, rxok: 9, rxfw: 9, pushed: 8, acked: 6, dwnb: 2, txnb: 1 };
    expect(statOf(counters, wallNs)).toMatchObject({
      time: '2026-11-21 08:08:17 GMT',
      rxnb: 9,
      ackr: 75,
      dwnb: 2,
    });
    expect(statOf({ ...counters, pushed: 0 }, wallNs)).toMatchObject({ ackr: 0 });
    expect(isoMicroseconds(1_000n)).toBe('1970-01-01T00:00:00.000001Z');
  });
});

test("a concentrator's clock wraps, drifts, and reads back", () => {
  const clock = createGatewayClock(1_000, 0xffff_ff00, 20);
  expect(clock.tmstAt(1_000)).toBe(0xffff_ff00);
  expect(clock.tmstAt(1_001)).toBe(0xffff_ff00 + 1_000 - 2 ** 32);
  expect(clock.tmstAt(101_000) - clock.tmstAt(1_001)).toBe(99_999_000 + 2_000);
  for (const at of [500, 1_000, 1_000.5, 50_000, 4_000_000]) {
    expect(clock.monoOf(clock.tmstAt(at + 1_000), at)).toBeCloseTo(at + 1_000, 2);
    expect(clock.monoOf(clock.tmstAt(at - 1_000), at)).toBeCloseTo(at - 1_000, 2);
  }
});

describe('a PULL_RESP', () => {
  const txpk = {
    tmst: 5_000_000,
    freq: 868.1,
    rfch: 0,
    powe: 14,
    modu: 'LORA',
    datr: 'SF7BW125',
    codr: '4/5',
    ipol: true,
    size: 2,
    data: 'AQI=',
  };
  const read = (changes: object): unknown => readTxpk(JSON.stringify({ txpk: { ...txpk, ...changes } }));

  test('that is timed on our clock can be sent', () => {
    expect(read({})).toMatchObject({ phyPayload: Buffer.from([1, 2]), tmst: 5_000_000, inverted: true });
    expect(read({ data: 'AQI', size: 2 })).toMatchObject({ tmst: 5_000_000 });
  });

  test.each([
    [{ imme: true }, 'immediate', 'TOO_LATE'],
    [{ tmst: undefined, time: '2026-11-21T08:08:17Z' }, 'gpsTime', 'GPS_UNLOCKED'],
    [{ freq: 915.2 }, 'frequency', 'TX_FREQ'],
    [{ powe: 33 }, 'power', 'TX_POWER'],
    [{ tmst: undefined }, 'noTime', undefined],
    [{ datr: 'SF5BW125' }, 'dataRate', undefined],
    [{ size: 3 }, 'size', undefined],
    [{ modu: 'FSK' }, 'malformed', undefined],
    [{ tmst: 2 ** 32 }, 'malformed', undefined],
    [{ data: '!' }, 'malformed', undefined],
  ])('with %j is refused: %s', (changes, refused, txError) => {
    expect(read(changes)).toMatchObject({ refused, ...(txError !== undefined && { txError }) });
  });

  test.each(['', '{', '[]', 'null', '{"txpk":1}'])('of %p is malformed', (json) => {
    expect(readTxpk(json)).toEqual({ refused: 'malformed' });
  });
});

test('a transmitter takes frames in time, not far ahead, and one at a time', () => {
  const queue = createTxQueue({ leadMs: 30, advanceMs: 5_000 });
  const program = (startMs: number): string =>
    queue.program({ startMs, endMs: startMs + 60 }, 1_000) ?? 'NONE';
  expect(program(900)).toBe('TOO_LATE');
  expect(program(1_030)).toBe('TOO_LATE');
  expect(program(6_001)).toBe('TOO_EARLY');
  expect(program(2_000)).toBe('NONE');
  expect(program(2_000)).toBe('COLLISION_PACKET');
  expect(program(1_939)).toBe('COLLISION_PACKET');
  expect(program(2_061)).toBe('COLLISION_PACKET');
  expect(program(1_930)).toBe('NONE');
  expect(queue.waiting(1_000)).toBe(2);
  expect(queue.waiting(2_030)).toBe(1);
});

test('a transmitter holds 32 frames', () => {
  const queue = createTxQueue({ leadMs: 1, advanceMs: 100_000 });
  const results = Array.from({ length: 33 }, (_, n) =>
    queue.program({ startMs: 100 + n * 100, endMs: 150 + n * 100 }, 0),
  );
  expect(results.slice(0, 32)).toEqual(Array(32).fill(undefined));
  expect(results[32]).toBe('COLLISION_PACKET');
});

test('an acknowledgement counts once, from the right peer, while the window is open', () => {
  const window = createPushWindow<string>(1_000, () => 0xffff);
  expect([window.open('a', 0), window.open('b', 0), window.open('c', 500)]).toEqual([0xffff, 0, 1]);
  expect(window.take(0xffff, 10, () => false)).toBeUndefined();
  expect(window.take(0xffff, 10, () => true)).toBe('a');
  expect(window.take(0xffff, 10, () => true)).toBeUndefined();
  expect(window.take(0, 1_001, () => true)).toBeUndefined();
  expect(window.expire(1_001)).toBe(1);
});

test('a push window is bounded', () => {
  let token = 0;
  const window = createPushWindow<number>(1e9, () => (token += 1) & 0xffff);
  for (let n = 0; n < 40_000; n += 1) window.open(n, 0);
  expect(window.expire(0)).toBeLessThanOrEqual(16_384);
});

test('traffic time stands still in a pause, and slips after a stall rather than bursting', () => {
  let mono = 500;
  const clock = createTrafficClock(() => mono);
  expect([clock.isRunning, clock.now()]).toEqual([false, 0]);
  clock.start();
  mono += 100;
  clock.pause();
  mono += 10_000;
  expect(clock.now()).toBe(100);
  clock.start();
  mono += 10;
  clock.slipTo(109);
  expect(clock.now()).toBe(110);
  mono += 5_000;
  clock.slipTo(120);
  expect(clock.now()).toBe(145);
});
