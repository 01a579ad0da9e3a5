import { AntirioError, describeError, fromBase64, fromUtf8, utf8 } from '@antirio/kernel';
import { parseInput } from '@antirio/host';
import { readEventUp } from '@antirio/device-lora/parsers';
import {
  commandDownOf,
  decodeMessage,
  decodeRecord,
  encodeControl,
  encodeFrame,
  encodeMessage,
  frameSchema,
  parseDatagram,
  readPushData,
  readTxAck,
  toWire,
  uplinkEvent,
} from '@antirio/gateway-bridge/parsers';
import {
  downlinkCommands,
  FRAMES,
  gatewayDatagrams,
  JOIN_REQUEST,
  pushDataBodies,
  recordedUplink,
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
  tenure: 'pier/3',
} as const;

const JOIN_METADATA = { kind: 'join', ring: 'own', heardAt: '1234.5', receivedAt: '1795248497000' } as const;

type Frame = Extract<ReturnType<typeof readPushData>['heard'][number], { readonly kind: 'frame' }>;

const receptionOf = ({ phyPayload, rx }: Pick<Frame, 'phyPayload' | 'rx'>) => ({
  gatewayId: GATEWAY,
  phyPayload,
  rx,
  receivedAt: 1_795_248_497_000,
});

interface SentFrame {
  readonly phyPayload: string;
  readonly rxInfo: { readonly gwTime?: string; readonly timeSinceGpsEpoch?: string; readonly rssi: number };
}

const EPOCH = '1970-01-01T00:00:00Z';
/** The longest Duration of protobuf's JSON, in seconds. */
const LONGEST_DURATION = 315_576_000_000;

/** A time that there is: not the 31st of a short month, which V8 takes for the 1st of the next. */
const isTime = (text: string): boolean =>
  !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().slice(0, 19) === text.slice(0, 19);

/** What is no int32, Timestamp or Duration makes ChirpStack refuse the whole event. */
function checkForms({ rxInfo: { gwTime = EPOCH, timeSinceGpsEpoch = '0s', rssi } }: SentFrame): void {
  const isDuration = Number.parseFloat(timeSinceGpsEpoch) <= LONGEST_DURATION;
  if (!isTime(gwTime) || !isDuration || (rssi | 0) !== rssi)
    throw new AntirioError(
      'internal',
      `a form that protobuf has not: ${gwTime}, ${timeSinceGpsEpoch}, ${rssi}`,
    );
}

/** ChirpStack behind the bridge reads the same in protobuf. */
function checkProtobuf(json: string): void {
  const sent = JSON.parse(json) as SentFrame;
  checkForms(sent);
  const read = decodeMessage('UplinkFrame', encodeMessage('UplinkFrame', sent)) as SentFrame;
  if (read.phyPayload !== sent.phyPayload || read.rxInfo.rssi !== sent.rxInfo.rssi)
    throw new AntirioError('internal', 'protobuf changed a frame');
}

/** What the bridge takes, device-lora and ChirpStack must be able to read from it, and a ring to keep it. */
function passedOn(reception: ReturnType<typeof receptionOf>): unknown {
  const receivedAt = String(reception.receivedAt);
  try {
    const json = uplinkEvent({ ...reception, seq: 12 }, { ...METADATA, receivedAt });
    checkProtobuf(json);
    const event = readEventUp(utf8(json));
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
  if (stat?.time !== undefined && !isTime(stat.time))
    throw new AntirioError('internal', `a gateway's report of ${stat.time}`);
  return { heard: heard.map((each) => (each.kind === 'frame' ? passedOn(receptionOf(each)) : each)), stat };
}

function jsonOf(input: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(input));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'no JSON', {}, cause);
  }
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
  read: (input) => commandDownOf(jsonOf(input)),
};

const protobufDown: Target = {
  name: 'protobuf of command/down',
  seeds: [inProtobuf(firstCommand), ...otherCommands.map(inProtobuf)],
  format: 'bytes',
  longest: BUS,
  read: (input) => commandDownOf(decodeMessage('DownlinkFrame', input)),
};

const protobufUp: Target = {
  name: 'protobuf of event/up',
  seeds: [
    recordedUplink(),
    ...eventUp.seeds.map((json) => encodeMessage('UplinkFrame', JSON.parse(fromUtf8(json)) as object)),
  ],
  format: 'bytes',
  longest: BUS,
  read: (input) => decodeMessage('UplinkFrame', input),
};

const reception = receptionOf({ phyPayload: FRAMES[0], rx: full });

/** What another edge's ring hands on: its frames are passed on like the own ones. */
const neighbourFrame: Target = {
  name: "frame of a neighbour's ring",
  seeds: [utf8(JSON.stringify(toWire({ ...reception, seq: 1, via: 'radio' })))],
  format: 'json',
  longest: BUS,
  read(input) {
    const { seq: _seq, via: _via, ...frame } = parseInput(frameSchema, jsonOf(input));
    return passedOn({ ...frame, phyPayload: fromBase64(frame.phyPayload) });
  },
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
  protobufUp,
  neighbourFrame,
  ringRecord,
];
