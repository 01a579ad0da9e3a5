import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concatBytes, fromBase64, fromHex, utf8 } from '@antirio/kernel';
import type { Filled } from './target.ts';

const FIXTURES = join(import.meta.dirname, '../../../../apps/gateway-bridge/src/fixtures');

const fixture = (name: string): unknown => JSON.parse(readFileSync(join(FIXTURES, name), 'utf8'));

interface Recorded {
  readonly dir: string;
  readonly hex: string;
  readonly json?: string;
}

export const TX_ACKS: Filled<Uint8Array> = [
  utf8('{"txpk_ack":{"error":"COLLISION_PACKET"}}'),
  utf8('{"txpk_ack":{"warn":"TX_POWER","value":20}}'),
  utf8('{"txpk_ack":{"error":"NONE"}}'),
];

// Version 2, a token, TX_ACK and the gateway
const TX_ACK_HEADER = fromHex('02ab120500000000aabbccdd');

/** What a gateway of a simulator sent to its server in Semtech's protocol, header and JSON. */
export function gatewayDatagrams(): Filled<Uint8Array> {
  const sent = (fixture('gwmp-lwnsim.json') as readonly Recorded[]).filter(({ dir }) => dir === 'gw->server');
  const [first = new Uint8Array(), ...more] = sent.map(({ hex, json = '' }) =>
    concatBytes(fromHex(hex), utf8(json)),
  );
  return [first, ...more, TX_ACK_HEADER, concatBytes(TX_ACK_HEADER, TX_ACKS[0])];
}

// PROTOCOL.TXT's own examples, and what gateways with several antennas and a fine clock send.
const PUSH_DATA = [
  {
    rxpk: [
      {
        time: '2013-03-31T16:21:17.528002Z',
        tmst: 3_512_348_611,
        chan: 2,
        rfch: 0,
        freq: 866.349812,
        stat: 1,
        modu: 'LORA',
        datr: 'SF7BW125',
        codr: '4/6',
        rssi: -35,
        lsnr: 5.1,
        size: 19,
        data: 'QCgkBwGAAgACVit7/uwLtQ==',
      },
      { tmst: 1, freq: 868.8, stat: 1, modu: 'FSK', datr: 50_000, rssi: -75, size: 4, data: 'VEVTVA==' },
    ],
  },
  {
    rxpk: [
      {
        tmst: 7,
        tmms: 1_479_283_715_054,
        ftime: 12_345,
        freq: 868.1,
        modu: 'LORA',
        datr: 'SF12BW125',
        codr: '4/5',
        brd: 1,
        rsig: [
          { ant: 0, chan: 7, rssic: -85, lsnr: 5.5, ftime: 9 },
          { ant: 1, chan: 23, rssic: -83, lsnr: 9.5 },
        ],
        data: 'AAAAAAAAAAAAAgAAAAAAAKoN5gXmYxI=',
      },
    ],
    stat: {
      time: '2014-01-12 08:59:28 GMT',
      lati: 46.24,
      long: 3.2523,
      alti: 145,
      rxnb: 2,
      rxok: 2,
      rxfw: 2,
      ackr: 100,
      dwnb: 2,
      txnb: 2,
      temp: 21.5,
      pfrm: 'IMST + Rpi',
    },
  },
] as const;

const HEADER = 12;

/** The JSON of PUSH_DATA. */
export function pushDataBodies(): Filled<Uint8Array> {
  const recorded = gatewayDatagrams()
    .map((datagram) => datagram.subarray(HEADER))
    .filter((json) => json.length > 0);
  return [utf8(JSON.stringify(PUSH_DATA[0])), utf8(JSON.stringify(PUSH_DATA[1])), ...recorded];
}

/** `event/up` in protobuf, as ChirpStack's own bridge sends it. */
export const recordedUplink = (): Uint8Array =>
  new Uint8Array(readFileSync(join(FIXTURES, 'gateway-event-up.pb.bin')));

/** `command/down` of ChirpStack v4. */
export function downlinkCommands(): Filled<Uint8Array> {
  const frames = ['', '-ack', '-joinaccept'].map((suffix) =>
    utf8(
      JSON.stringify((fixture(`gateway-command-down${suffix}.json`) as { readonly frame: unknown }).frame),
    ),
  );
  const byName = {
    downlinkId: 7,
    items: [
      {
        phyPayload: 'YCgkBwGAAAAAld3qtI8t2F+kGuie9oaDRk45xQawKw==',
        txInfo: {
          frequency: 868_100_000,
          power: 16,
          modulation: {
            lora: { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5', polarizationInversion: true },
          },
          timing: { delay: { delay: '1s' } },
          context: 'AQIDBA==',
        },
      },
    ],
  };
  return [utf8(JSON.stringify(byName)), ...frames];
}

/** Data frames, JoinRequests and JoinAccepts as ChirpStack, a network simulator and its gateways had them. */
export const JOIN_REQUEST: Uint8Array = fromBase64('AAAAAAAAAAAAAgAAAAAAAKoN5gXmYxI=');

export const FRAMES: readonly [Uint8Array, Uint8Array, ...Uint8Array[]] = [
  fromBase64('QCgkBwGAAgACVit7/uwLtQ=='),
  fromBase64('YCgkBwGgAAAAld3qtI8t2F+kGuie9oaDRk455SfZuQ=='),
  fromBase64('QAEAqwEAAwAC8MRTzKCz4/hMXQ=='),
  fromBase64('gAEAqwEAAgAClGCS0wCMQeRhJw=='),
  JOIN_REQUEST,
  fromBase64('ID3xzvX8SUrF3yGrocsctDwG5DI9T21YuTxyq1OMhuiP'),
];

export const LPP: Filled<Uint8Array> = [
  fromHex('03670110056700ff'),
  fromHex('067104d2fb2e0000'),
  fromHex('018806765ff2960a0003e8'),
  fromHex('0167ffd702686f03020169'),
];
