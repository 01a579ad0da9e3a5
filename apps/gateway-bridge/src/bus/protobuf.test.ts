import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromBase64, isAntirioError, toBase64 } from '@antirio/kernel';
import { commandDownOf, type CommandDown } from './command-down.ts';
import { decode, encode, encodingOf } from './encoding.ts';
import { uplinkFrame } from './event-up.ts';
import { connectionState } from './gateway-events.ts';
import { decodeMessage, encodeMessage } from './protobuf.ts';

const readCommandDown = async (payload: Uint8Array): Promise<CommandDown> =>
  commandDownOf(await decode('DownlinkFrame', payload));

const fixture = (name: string): Buffer => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));

describe('an uplink that a real gateway bridge published in protobuf', () => {
  const recorded = fixture('gateway-event-up.pb.bin');
  const rx = {
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
  };

  test('is read to the last field', () => {
    expect(decodeMessage('UplinkFrame', recorded)).toMatchObject({
      phyPayload: 'QCvd7AEA+v8CauhzYM9/0Q==',
      txInfo: {
        frequency: 868_100_000,
        modulation: { lora: { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5' } },
      },
      rxInfo: {
        gatewayId: '00000000d3ccca4c',
        uplinkId: 126,
        rssi: -60,
        snr: 7.5,
        context: 'AQIDBA==',
        crcStatus: 'CRC_OK',
      },
    });
  });

  test('is written with the same bytes', () => {
    const frame = {
      seq: 126,
      gatewayId: '00000000d3ccca4c',
      phyPayload: fromBase64('QCvd7AEA+v8CauhzYM9/0Q=='),
      receivedAt: 1,
      rx,
    };
    const { rxInfo, ...rest } = uplinkFrame(frame, {} as never) as { rxInfo: Record<string, unknown> };
    // which of our fields a real bridge leaves out: those with their defaults, and our metadata
    const { channel: _channel, rfChain: _chain, metadata: _metadata, ...theirs } = rxInfo;
    expect(Buffer.from(encodeMessage('UplinkFrame', { ...rest, rxInfo: theirs })).toString('hex')).toBe(
      recorded.toString('hex'),
    );
  });

  test('times, metadata and what few gateways tell go with it', () => {
    const extras = {
      time: '2026-11-21T08:08:20.25Z',
      gpsTimeMs: 1_479_283_718_055,
      fineTimeNs: 7,
      board: 1,
      antenna: 2,
    };
    const frame = {
      seq: 1,
      gatewayId: '00000000d3ccca4c',
      phyPayload: new Uint8Array(12),
      receivedAt: 1,
      rx: { ...rx, ...extras },
    };
    const metadata = { kind: 'join', ring: 'own', receivedAt: '1', heardAt: '2' } as const;
    expect(
      decodeMessage('UplinkFrame', encodeMessage('UplinkFrame', uplinkFrame(frame, metadata))),
    ).toMatchObject({
      rxInfo: {
        gwTime: { seconds: Date.parse('2026-11-21T08:08:20Z') / 1000, nanos: 250_000_000 },
        timeSinceGpsEpoch: { seconds: 1_479_283_718, nanos: 55_000_000 },
        fineTimeSinceGpsEpoch: { seconds: 1_479_283_718, nanos: 7 },
        board: 1,
        antenna: 2,
        metadata,
      },
    });
  });
});

describe('a downlink in protobuf', () => {
  test.each(['gateway-command-down', 'gateway-command-down-ack', 'gateway-command-down-joinaccept'])(
    '%s, which a real server sent, is the same in either encoding',
    async (name) => {
      const { frame } = JSON.parse(fixture(`${name}.json`).toString()) as {
        frame: { itemsList: unknown };
      };
      const { itemsList: items, ...rest } = frame;
      const bytes = encodeMessage('DownlinkFrame', { ...rest, items });
      expect(encodingOf(bytes)).toBe('protobuf');
      expect(await readCommandDown(bytes)).toEqual(commandDownOf(frame));
    },
  );

  test('any time, power and polarity comes through as it was sent', async () => {
    const timing = fc.oneof(
      fc.constant({ immediately: {} }),
      fc.nat(99_999).map((ms) => ({ delay: { delay: `${ms / 1000}s` } })),
      fc.nat(2_000_000_000).map((ms) => ({ gpsEpoch: { timeSinceGpsEpoch: `${ms / 1000}s` } })),
    );
    const lora = fc.record({
      bandwidth: fc.constantFrom(125_000, 250_000, 500_000),
      spreadingFactor: fc.integer({ min: 5, max: 12 }),
      codeRate: fc.constantFrom('CR_4_5', 'CR_4_8'),
      polarizationInversion: fc.boolean(),
      preamble: fc.nat(4096),
      noCrc: fc.boolean(),
    });
    const item = fc.record({
      phyPayload: fc.uint8Array({ maxLength: 255 }).map(toBase64),
      txInfo: fc.record({
        frequency: fc.integer({ min: 1, max: 0xffff_ffff }),
        power: fc.integer({ min: -10, max: 40 }),
        modulation: fc.record({ lora }),
        board: fc.nat(255),
        antenna: fc.nat(255),
        timing,
        context: fc.uint8Array({ minLength: 4, maxLength: 4 }).map(toBase64),
      }),
    });
    const frame = fc.record({
      downlinkId: fc.nat(0xffff_ffff),
      items: fc.array(item, { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(frame, async (command) => {
        const bytes = encodeMessage('DownlinkFrame', command);
        expect(await readCommandDown(bytes)).toEqual(commandDownOf(command));
      }),
      { numRuns: 100 },
    );
  });

  test('no bytes make it throw anything but an AntirioError', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      // groups within groups
      fc.nat(20_000).map((depth) => new Uint8Array(depth).fill(0x0b)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (payload) => {
        try {
          await readCommandDown(payload);
        } catch (error) {
          if (!isAntirioError(error)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

test('outcomes and connection states have the numbers of ChirpStack', async () => {
  const ack = {
    gatewayId: '0102030405060708',
    downlinkId: 7,
    items: [{ status: 'DUTY_CYCLE_OVERFLOW', refused: 'dutyCycle' }],
  };
  expect(Buffer.from(await encode('protobuf', 'DownlinkTxAck', ack)).toString('hex')).toBe(
    '10072a02080b321030313032303330343035303630373038',
  );
  const online = connectionState('0102030405060708', true);
  expect(Buffer.from(await encode('protobuf', 'ConnState', online)).toString('hex')).toBe(
    '10011a1030313032303330343035303630373038',
  );
});
