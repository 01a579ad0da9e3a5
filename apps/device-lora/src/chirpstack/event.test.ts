import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError, utf8 } from '@antirio/kernel';
import { MAX_MESSAGE_BYTES, readChirpStackEvent, timeOf } from './event.ts';
import { captured, join, txack, uplink, v3uplink } from './messages.fixture.ts';

const bytesOf = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const read = (name: string, value: unknown) => readChirpStackEvent(name, bytesOf(value));

describe('what ChirpStack v4 sends', () => {
  test('an uplink, as it was captured from its MQTT integration', () => {
    expect(read('up', captured.up)).toMatchObject({
      ...{ kind: 'up', devEui: '0102030405b74b92', devAddr: '01072428', fcnt: 1, fPort: 2 },
      applicationId: 'f02ad869-6864-4021-be22-98c58326dd3e',
      data: Uint8Array.of(9, 196, 60),
      object: { humidity: 60, temperature: 25, port: 2 },
      receptions: [{ gatewayId: '000000006b12933d', rssi: -60, snr: 7.5 }],
      radio: { frequency: 868_100_000, spreadingFactor: 7, bandwidth: 125_000 },
      deduplicationId: 'ab21b66d-edc6-45f2-8906-7f97bcc907f2',
      // of the gateway's copy, before the server had gathered all of them
      at: Date.UTC(2026, 10, 21, 7, 59, 57, 884),
    });
  });

  test('one that two gateways heard has both, the better one first', () => {
    const twice = {
      ...captured.up,
      rxInfo: [{ gatewayId: '00000000842b3bad', rssi: -90, snr: -3 }, ...captured.up.rxInfo],
    };
    expect(read('up', twice)).toMatchObject({
      receptions: [{ gatewayId: '000000006b12933d' }, { gatewayId: '00000000842b3bad', rssi: -90, snr: -3 }],
    });
  });

  test('joins, acknowledgements, and logs of downlinks that will not be sent', () => {
    expect(read('join', join())).toMatchObject({ kind: 'join', devAddr: '017d351b' });
    expect(read('txack', txack('a-b', 7))).toMatchObject({ kind: 'txack', itemId: 'a-b', fcnt: 7 });
    expect(read('ack', { ...txack('a-b', 7), acknowledged: true })).toMatchObject({
      kind: 'ack',
      acknowledged: true,
    });
    const log = {
      ...join(),
      level: 'ERROR',
      code: 'DOWNLINK_PAYLOAD_SIZE',
      description: 'too long',
      context: { queue_item_id: 'a-b' },
    };
    expect(read('log', log)).toMatchObject({
      kind: 'lost',
      itemId: 'a-b',
      why: expect.stringContaining('too long'),
    });
    expect(read('log', captured.log)).toMatchObject({ kind: 'other', devEui: '0102030405b74b92' });
    expect(read('status', join())).toMatchObject({ kind: 'other' });
  });
});

test('v3 says the same with other names, its EUIs in hex or in base64', () => {
  const expected = { devEui: '0102030405060708', applicationId: '5', fcnt: 4, object: { temperature: 21.5 } };
  const heardBy = { receptions: [{ gatewayId: '000000006b12933d', rssi: -60, snr: 7.5 }] };
  expect(read('up', v3uplink('0102030405060708'))).toMatchObject({
    ...expected,
    ...heardBy,
    devAddr: undefined,
  });
  expect(read('up', v3uplink('AQIDBAUGBwg='))).toMatchObject(expected);
});

describe('what is wrong is refused, with what is wrong', () => {
  const refused = (name: string, value: unknown): string => {
    try {
      read(name, value);
    } catch (error) {
      if (error instanceof AntirioError) return `${error.code}: ${error.message}`;
      throw error;
    }
    return 'taken';
  };
  const { fCnt: _fCnt, ...uncounted } = uplink({});

  test.each([
    ['no FCnt', uncounted, /invalidInput: fCnt/],
    ['an FCnt of 33 bits', uplink({ fCnt: 2 ** 32 }), /invalidInput: fCnt/],
    ['wrong base64', uplink({ data: '!!' }), /invalidInput: not a base64/],
    ['more than a frame holds', uplink({ data: 'A'.repeat(328) }), /invalidInput: data/],
    ['an address of three bytes', uplink({ devAddr: '010203' }), /not 4 bytes/],
    ['no DevEUI', { fCnt: 1 }, /no deviceInfo.devEui/],
    ['an EUI of seven bytes', { ...uplink({}), deviceInfo: { devEui: '01020304050607' } }, /invalidInput/],
    ['a list', [1], /invalidInput/],
    ['nothing', null, /invalidInput/],
  ])('%s', (_what, value, why) => {
    expect(refused('up', value)).toMatch(why);
  });

  test('no JSON, and what is far too long', () => {
    expect(() => readChirpStackEvent('up', Uint8Array.of(8, 1, 18, 4))).toThrow('to JSON');
    expect(() => readChirpStackEvent('up', new Uint8Array(MAX_MESSAGE_BYTES + 1))).toThrow('bytes');
  });

  test('a gateway that is named wrongly costs nobody a reading', () => {
    const odd = read('up', uplink({ rxInfo: [{ gatewayId: 'x' }, { rssi: 'loud' }, ...captured.up.rxInfo] }));
    expect(odd).toMatchObject({ receptions: [{ gatewayId: '000000006b12933d' }] });
  });

  test.each([
    ['a gateway id of 20 digits', [{ gatewayId: '0'.repeat(20) }]],
    ['one that is a number', [{ gatewayID: 7 }]],
    ['nulls', [null, undefined]],
    ['a text', ['x']],
    ['no numbers', [{ gatewayId: 'x', snr: '1', loRaSNR: null }]],
  ])('nor does %s in rxInfo', (_what, odd) => {
    expect(read('up', uplink({ rxInfo: [...odd, ...captured.up.rxInfo] }))).toMatchObject({
      receptions: [{ gatewayId: '000000006b12933d', rssi: -60, snr: 7.5 }],
    });
    expect(read('up', uplink({ rxInfo: { odd } }))).toMatchObject({ receptions: [] });
  });

  test('whatever it is, nothing but an AntirioError is thrown', () => {
    const names = fc.constantFrom('up', 'join', 'ack', 'txack', 'log', 'status', 'location', 'x');
    const fields = fc.constantFrom(
      ...Object.keys(captured.up),
      'devEUI',
      'objectJSON',
      'queueItemId',
      'context',
    );
    const spoilt = fc
      .tuple(fields, fc.jsonValue())
      .map(([field, value]): unknown => ({ ...captured.up, [field]: value }));
    fc.assert(
      fc.property(names, fc.oneof(spoilt, fc.jsonValue(), fc.uint8Array()), (name, value) => {
        try {
          const event = readChirpStackEvent(name, value instanceof Uint8Array ? value : bytesOf(value));
          expect(event.devEui).toMatch(/^[0-9a-f]{16}$/);
        } catch (error) {
          if (!(error instanceof AntirioError)) throw error;
        }
      }),
      { seed: 8, numRuns: 500 },
    );
  });
});

test('times of clocks that nobody has set are none', () => {
  expect(timeOf('2026-11-21T07:59:58.103682790+00:00')).toBe(Date.UTC(2026, 10, 21, 7, 59, 58, 103));
  expect([timeOf('1970-01-01T00:00:00Z'), timeOf('soon'), timeOf(null)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
