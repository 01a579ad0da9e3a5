import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromBase64, isAntirioError, toHex } from '@antirio/kernel';
import { contextOf, uplinkFrame } from '../bus/event-up.ts';
import { commandDownOf, txpkOf } from '../bus/command-down.ts';
import { parseDatagram, pullAck, pushAck } from './packet.ts';
import { readPushData } from './push-data.ts';
import { readTxAck } from './tx-ack.ts';

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));

interface Exchange {
  dir: string;
  hex: string;
  json?: string;
}

describe('a conversation recorded between a gateway and a real server', () => {
  const exchanges = fixture('gwmp-lwnsim') as Exchange[];
  const fromGateway = exchanges.filter(({ dir }) => dir === 'gw->server');
  const fromServer = exchanges.filter(({ dir }) => dir === 'server->gw').map(({ hex }) => hex);

  test('every datagram is read, and answered with the bytes of the real server', () => {
    const answers = fromGateway.map(({ hex, json = '' }) => {
      const datagram = parseDatagram(Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from(json)]));
      expect(datagram.gatewayId).toBe('00000000aabbccdd');
      const { version, token } = datagram;
      return toHex(datagram.kind === 'pullData' ? pullAck(version, token) : pushAck(version, token));
    });
    expect(answers.sort()).toEqual(fromServer.sort());
  });

  test('its frames are read to the last field', () => {
    const heard = fromGateway.flatMap(({ json }) =>
      json === undefined ? [] : readPushData(Buffer.from(json)).heard,
    );
    expect(heard).toHaveLength(3);
    expect(heard[1]).toEqual({
      kind: 'frame',
      phyPayload: fromBase64('QAEAqwEAAwAC8MRTzKCz4/hMXQ=='),
      rx: {
        tmst: 1795248500,
        frequency: 868_300_000,
        spreadingFactor: 7,
        bandwidth: 125_000,
        codeRate: '4/5',
        rssi: -60,
        snr: 7,
        channel: 1,
        rfChain: 0,
        crcOk: true,
        time: '2026-11-21T08:08:20Z',
        gpsTimeMs: 1_479_283_718_055,
      },
    });
  });

  test('its report of itself is read', () => {
    const [stat] = fromGateway.flatMap(({ json }) =>
      json === undefined ? [] : [readPushData(Buffer.from(json)).stat],
    );
    expect(stat).toMatchObject({
      time: '2026-11-21T08:08:17Z',
      location: { latitude: 60.17, longitude: 24.94, altitude: 10 },
      rxReceived: 1,
      rxOk: 1,
      rxForwarded: 0,
      acknowledgedPercent: 0,
    });
  });
});

test('an uplink is published as the recorded gateway bridge published it', () => {
  const recorded = fixture('gateway-event-up') as { phyPayload: string; rxInfo: object };
  const metadata = {
    ring: 'own',
    incarnation: 'i',
    seq: '3',
    previousSeq: '2',
    last: '3',
    via: 'radio',
    receivedAt: '1',
    reception: 'first',
    tenure: 'own',
  } as const;
  const published = uplinkFrame(
    {
      seq: 3,
      gatewayId: '000000006b12933d',
      phyPayload: fromBase64(recorded.phyPayload),
      receivedAt: 1,
      rx: {
        tmst: 0x01020304,
        frequency: 868_100_000,
        spreadingFactor: 7,
        bandwidth: 125_000,
        codeRate: '4/5',
        rssi: -60,
        snr: 7.5,
        channel: 0,
        rfChain: 0,
        crcOk: true,
      },
    },
    metadata,
  );
  expect(published).toEqual({
    ...recorded,
    rxInfo: { ...recorded.rxInfo, channel: 0, rfChain: 0, metadata },
  });
  expect(contextOf(0x01020304)).toBe('AQIDBA==');
});

describe('downlinks that a real server sent', () => {
  test.each(['gateway-command-down', 'gateway-command-down-ack', 'gateway-command-down-joinaccept'])(
    '%s is read',
    (name) => {
      const { frame } = fixture(name) as {
        frame: { downlinkId: number; itemsList: { phyPayload: string }[] };
      };
      const { downlinkId, items } = commandDownOf(frame);
      expect(downlinkId).toBe(frame.downlinkId);
      expect(items.map(({ frequency }) => frequency)).toEqual([868_100_000, 869_525_000]);
      const firstDelayUs = name.endsWith('joinaccept') ? 5_000_000 : 1_000_000;
      expect(items[0]?.timing).toEqual({ kind: 'delay', tmst: 0x01020304 + firstDelayUs });
      expect(items[0]?.uplinkTmst).toBe(0x01020304);
      expect(txpkOf({ ...items[0]!, timing: { kind: 'delay', tmst: 1 } })).toEqual({
        imme: false,
        tmst: 1,
        freq: 868.1,
        rfch: 0,
        powe: 16,
        ant: 0,
        modu: 'LORA',
        datr: 'SF7BW125',
        codr: '4/5',
        ipol: true,
        ncrc: false,
        size: items[0]?.phyPayload.length,
        data: frame.itemsList[0]?.phyPayload,
      });
    },
  );

  test('the canonical JSON form is read too, and no delay means no time on the clock', () => {
    const lora = { bandwidth: 125_000, spreadingFactor: 9, codeRate: 'CR_4_5', polarizationInversion: true };
    const item = (timing: unknown) => ({
      phyPayload: 'YCgkBwGAAAAAld3qtI8t2F+kGuie9oaDRk45xQawKw==',
      txInfo: { frequency: 868_100_000, power: 14, modulation: { lora }, timing, context: 'AAAAAA==' },
    });
    const command = {
      downlinkId: 1,
      gatewayId: '0102030405060708',
      items: [
        item({ delay: { delay: '1s' } }),
        item({ immediately: {} }),
        item({ gpsEpoch: { timeSinceGpsEpoch: '1479283715.054s' } }),
        item({ gpsEpoch: { timeSinceGpsEpoch: { seconds: '1479283715', nanos: 54_000_000 } } }),
        item({}),
      ],
    };
    const { items } = commandDownOf(command);
    expect(items.map(({ timing }) => timing)).toEqual([
      { kind: 'delay', tmst: 1_000_000 },
      { kind: 'immediately' },
      { kind: 'gps', gpsTimeMs: 1_479_283_715_054 },
      { kind: 'gps', gpsTimeMs: 1_479_283_715_054 },
      { kind: 'unknown' },
    ]);
    const times = [items[0]!, items[2]!].map((one) => {
      const { imme, tmst, tmms } = txpkOf(one);
      return { imme, tmst, tmms };
    });
    // what goes at once has a time on the gateway's clock by then
    for (const one of [items[1]!, items[4]!]) expect(() => txpkOf(one)).toThrow(/without a time/);
    expect(times).toEqual([
      { imme: false, tmst: 1_000_000, tmms: undefined },
      { imme: false, tmst: undefined, tmms: 1_479_283_715_054 },
    ]);
  });
});

describe('refusals', () => {
  const rxpk = {
    tmst: 1,
    freq: 868.1,
    modu: 'LORA',
    datr: 'SF7BW125',
    rssi: -60,
    data: 'QAEAqwEAAwAC8MRTzKCz4/hMXQ==',
  };
  const heardAs = (...elements: unknown[]) =>
    readPushData(Buffer.from(JSON.stringify({ rxpk: elements }))).heard.map(({ kind }) => kind);

  test('a reception with a failed CRC, other modulation or nonsense spoils none of the others', () => {
    expect(
      heardAs(
        { ...rxpk, stat: -1 },
        rxpk,
        { ...rxpk, modu: 'FSK', datr: 50_000 },
        { ...rxpk, data: '!' },
        { ...rxpk, size: 3 },
        7,
        { ...rxpk, tmst: -1 },
      ),
    ).toEqual(['crcFailed', 'frame', 'fsk', 'malformed', 'malformed', 'malformed', 'malformed']);
    expect(heardAs({ ...rxpk, modu: 'LR-FHSS', datr: 'M0CW137' })).toEqual(['otherModulation']);
    // as forwarders do, though the protocol asks for padding
    expect(heardAs({ ...rxpk, data: 'QAEAqwEAAwAC8MRTzKCz4/hMXQ' })).toEqual(['frame']);
  });

  test('who does not tell how strong a frame was is not taken for the strongest', () => {
    const [heard] = readPushData(Buffer.from(JSON.stringify({ rxpk: [{ ...rxpk, rssi: undefined }] }))).heard;
    expect(heard?.kind === 'frame' && heard.rx.rssi).toBe(-200);
  });

  test('of several antennas the best one counts', () => {
    const [heard] = readPushData(
      Buffer.from(
        JSON.stringify({
          rxpk: [
            {
              ...rxpk,
              tmms: 1_479_283_718_055,
              brd: 1,
              rssi: undefined,
              rsig: [
                { ant: 0, chan: 7, rssic: -110, lsnr: -5.5, ftime: 1 },
                { ant: 1, chan: 23, rssic: -96, lsnr: 8.25, ftime: 999_999_999 },
                { ant: 2, chan: 9, rssic: -99, lsnr: 8.25 },
              ],
            },
          ],
        }),
      ),
    ).heard;
    expect(heard).toMatchObject({
      kind: 'frame',
      rx: {
        rssi: -96,
        snr: 8.25,
        channel: 23,
        antenna: 1,
        board: 1,
        gpsTimeMs: 1_479_283_718_055,
        fineTimeNs: 999_999_999,
      },
    });
  });

  test('TX_ACK: nothing and NONE are OK, errors are in the words of ChirpStack, a warning is no error', () => {
    const answer = (text: string) => readTxAck(Buffer.from(text));
    expect(answer('')).toEqual({ status: 'OK' });
    expect(answer('{"txpk_ack":{"error":"NONE"}}')).toEqual({ status: 'OK' });
    expect(answer('{"txpk_ack":{"error":"NONE"}}\0')).toEqual({ status: 'OK' });
    for (const error of [
      'TOO_LATE',
      'TOO_EARLY',
      'COLLISION_PACKET',
      'COLLISION_BEACON',
      'TX_FREQ',
      'TX_POWER',
      'GPS_UNLOCKED',
    ])
      expect(answer(JSON.stringify({ txpk_ack: { error } }))).toEqual({ status: error });
    expect(answer('{"txpk_ack":{"error":"SX1302_ON_FIRE"}}')).toEqual({ status: 'INTERNAL_ERROR' });
    expect(answer('{"txpk_ack":{"warn":"TX_POWER","value":20}}')).toEqual({ status: 'OK', reducedPower: 20 });
    expect(answer('{"txpk_ack":{"warn":"TX_POWER","value":"13"}}')).toEqual({
      status: 'OK',
      reducedPower: 13,
    });
    expect(answer('{"txpk_ack":{"warn":"TX_POWER"}}')).toEqual({ status: 'OK', reducedPower: 'unknown' });
    expect(() => answer('x')).toThrow(/JSON/);
  });

  test('of a report that is partly nonsense the rest is read', () => {
    const stat = { time: 'today', lati: 91, long: 2, alti: 3, rxnb: -1, rxok: 4, temp: 'hot', desc: 'roof' };
    expect(readPushData(Buffer.from(JSON.stringify({ stat }))).stat).toEqual({
      time: undefined,
      location: undefined,
      rxReceived: undefined,
      rxOk: 4,
      rxForwarded: undefined,
      acknowledgedPercent: undefined,
      downlinksReceived: undefined,
      transmitted: undefined,
      temperature: undefined,
      texts: { description: 'roof' },
    });
  });

  test('what would make readers refuse the whole event is left out, or the element refused', () => {
    const rxpk = { tmst: 1, freq: 868.1, modu: 'LORA', datr: 'SF7BW125', data: 'QCgkBwGAAgACVit7/uwLtQ==' };
    const read = (more: object, stat?: object) =>
      readPushData(Buffer.from(JSON.stringify({ rxpk: [{ ...rxpk, ...more }], stat })));
    const timeOf = (time: string): unknown => {
      const [heard] = read({ time }).heard;
      return heard?.kind === 'frame' ? heard.rx.time : heard;
    };
    expect(timeOf('2024-02-29T23:59:59.123456Z')).toBe('2024-02-29T23:59:59.123456Z');
    for (const none of ['2026-02-29T08:00:00Z', '2026-13-01T08:00:00Z', '2026-11-21T24:61:00Z'])
      expect(timeOf(none)).toBeUndefined();
    expect(read({}, { time: '2026-02-31 08:00:00 GMT' }).stat?.time).toBeUndefined();
    for (const wrong of [{ rssi: 1e308 }, { rssi: -1e10 }, { lsnr: 1e6 }, { tmms: 2 ** 53 - 1 }])
      expect(read(wrong).heard).toMatchObject([{ kind: 'malformed' }]);
  });

  test('no bytes make any of the readers throw anything but an AntirioError', () => {
    const datagrams = fc
      .tuple(fc.constantFrom(1, 2, 3), fc.nat(6), fc.uint8Array({ maxLength: 40 }))
      .map(([version, id, rest]) => Uint8Array.of(version, 1, 2, id, ...rest));
    const odd = fc.anything({ maxDepth: 1, maxKeys: 2 });
    const json = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map((text) => new Uint8Array(Buffer.from(text))),
      fc
        .record({
          rxpk: fc.array(
            fc.record(
              {
                tmst: odd,
                data: fc.base64String(),
                freq: fc.double(),
                modu: fc.constantFrom('LORA', 'FSK'),
                datr: fc.constantFrom('SF7BW125', 3),
                rsig: fc.array(fc.record({ ant: odd, lsnr: fc.double(), rssic: odd })),
                time: odd,
                tmms: odd,
              },
              { requiredKeys: [] },
            ),
          ),
          stat: fc.record({ time: odd, lati: odd, rxnb: odd, desc: odd }, { requiredKeys: [] }),
        })
        .map(
          (value) =>
            new Uint8Array(
              Buffer.from(
                JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? null : inner)),
              ),
            ),
        ),
    );
    const quiet = (work: () => unknown): void => {
      try {
        work();
      } catch (error) {
        if (!isAntirioError(error)) throw error;
      }
    };
    fc.assert(
      fc.property(fc.oneof(datagrams, fc.uint8Array({ maxLength: 40 })), (bytes) =>
        quiet(() => parseDatagram(bytes)),
      ),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(json, (bytes) => {
        quiet(() => readPushData(bytes));
        quiet(() => readTxAck(bytes));
      }),
      { numRuns: 1500 },
    );
  });
});
