import { AntirioError, describeError, fromUtf8, utf8 } from '@antirio/kernel';
import { readEventUp } from '@antirio/device-lora/parsers';
import {
  commandDownOf,
  decodeMessage,
  decodeRecord,
  encodeControl,
  encodeFrame,
  encodeMessage,
  parseDatagram,
  readPushData,
  readTxAck,
  uplinkEvent,
} from '@antirio/gateway-bridge/parsers';
import {
  downlinkCommands,
  FRAMES,
  gatewayDatagrams,
  JOIN_REQUEST,
  pushDataBodies,
  TX_ACKS,
} from './captures.ts';
import type { Target } from './target.ts';

const UDP = 65_507;
const BUS = 262_144;
const GATEWAY = '000000006b12933d';

const METADATA = {
  ring: 'own',
  incarnation: '0011223344556677',
  seq: '12',
  previousSeq: '11',
  last: '12',
  via: 'radio',
  receivedAt: '1795248497000.5',
  reception: 'first',
  heardAt: '1234.5',
} as const;

const JOIN_METADATA = { kind: 'join', ring: 'own', heardAt: '1234.5', receivedAt: '1795248497000' } as const;

type Frame = Extract<ReturnType<typeof readPushData>['heard'][number], { readonly kind: 'frame' }>;

const receptionOf = ({ phyPayload, rx }: Pick<Frame, 'phyPayload' | 'rx'>) => ({
  gatewayId: GATEWAY,
  phyPayload,
  rx,
  receivedAt: 1_795_248_497_000,
});

/** What the bridge takes, device-lora must be able to read from it, and a ring to keep it. */
function passedOn(frame: Frame): unknown {
  const reception = receptionOf(frame);
  try {
    const event = readEventUp(utf8(uplinkEvent({ ...reception, seq: 12 }, METADATA)));
    const join = readEventUp(utf8(uplinkEvent({ ...reception, seq: 0 }, JOIN_METADATA)));
    const record = decodeRecord(encodeFrame({ ...reception, via: 'radio' }, 1));
    return { event, join, record };
  } catch (error) {
    throw new AntirioError(
      'internal',
      `what was taken cannot be passed on: ${describeError(error)}`,
      {},
      error,
    );
  }
}

function readBody(json: Uint8Array): unknown {
  const { heard, stat } = readPushData(json);
  return { heard: heard.map((each) => (each.kind === 'frame' ? passedOn(each) : each)), stat };
}

const datagram: Target = {
  name: 'UDP datagram',
  seeds: gatewayDatagrams(),
  format: 'bytes',
  longest: UDP,
  read(input) {
    const parsed = parseDatagram(input);
    if (parsed.kind === 'pullData') return parsed;
    return parsed.kind === 'txAck' ? readTxAck(parsed.json) : readBody(parsed.json);
  },
};

const pushData: Target = {
  name: 'JSON of PUSH_DATA',
  seeds: pushDataBodies(),
  format: 'json',
  longest: UDP,
  read: readBody,
};

const txAck: Target = {
  name: 'JSON of TX_ACK',
  seeds: TX_ACKS,
  format: 'json',
  longest: UDP,
  read: readTxAck,
};

const rx = {
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
};
const full = { ...rx, time: '2026-11-21T08:08:17Z', gpsTimeMs: 1e12, fineTimeNs: 7, board: 1, antenna: 1 };

const eventUp: Target = {
  name: 'JSON of event/up',
  seeds: [
    utf8(uplinkEvent({ ...receptionOf({ phyPayload: FRAMES[0], rx }), seq: 12 }, METADATA)),
    utf8(uplinkEvent({ ...receptionOf({ phyPayload: FRAMES[0], rx: full }), seq: 13 }, METADATA)),
    utf8(uplinkEvent({ ...receptionOf({ phyPayload: JOIN_REQUEST, rx }), seq: 0 }, JOIN_METADATA)),
  ],
  format: 'json',
  longest: BUS,
  read: readEventUp,
};

/** A recorded command has its items under the name that ChirpStack's clients give them. */
function inProtobuf(json: Uint8Array): Uint8Array {
  const { itemsList, ...rest } = JSON.parse(fromUtf8(json)) as { readonly itemsList?: unknown };
  return encodeMessage('DownlinkFrame', itemsList === undefined ? rest : { ...rest, items: itemsList });
}
const [firstCommand, ...otherCommands] = downlinkCommands();

const commandDown: Target = {
  name: 'JSON of command/down',
  seeds: downlinkCommands(),
  format: 'json',
  longest: BUS,
  read: (input) => {
    let frame: unknown;
    try {
      frame = JSON.parse(fromUtf8(input));
    } catch (cause) {
      throw new AntirioError('invalidInput', 'no JSON', {}, cause);
    }
    return commandDownOf(frame);
  },
};

const protobufDown: Target = {
  name: 'protobuf of command/down',
  seeds: [inProtobuf(firstCommand), ...otherCommands.map(inProtobuf)],
  format: 'bytes',
  longest: BUS,
  read: (input) => commandDownOf(decodeMessage('DownlinkFrame', input)),
};

/** From the disk: damage is `corrupt`. */
const ringRecord: Target = {
  name: 'record of a ring',
  seeds: [
    encodeFrame({ ...receptionOf({ phyPayload: FRAMES[0], rx }), via: 'radio' }, 1),
    encodeFrame({ ...receptionOf({ phyPayload: FRAMES[1], rx: full }), via: 'edge' }, 1),
    encodeControl({ kind: 'acknowledged', through: 7 }),
    encodeControl({
      kind: 'segment',
      firstSeq: 1,
      nodes: ['aa'],
      acknowledged: 0,
      drops: { budget: 0, rate: 0, slots: 0 },
    }),
  ],
  format: 'bytes',
  longest: 4096,
  read: decodeRecord,
};

export const gatewayTargets: readonly Target[] = [
  datagram,
  pushData,
  txAck,
  eventUp,
  commandDown,
  protobufDown,
  ringRecord,
];
