import protobuf from 'protobufjs/light.js';
import { AntirioError } from '@antirio/kernel';
import { TX_ACK_STATUSES } from '../semtech/tx-ack.ts';

/** The messages of ChirpStack's `gw` package (api/proto/gw/gw.proto of v4) that go over our bus. */
export type GatewayMessage = 'UplinkFrame' | 'GatewayStats' | 'DownlinkFrame' | 'DownlinkTxAck' | 'ConnState';

type Fields = Readonly<Record<string, protobuf.IField | protobuf.IMapField>>;

const field = (type: string, id: number): protobuf.IField => ({ type, id });
const list = (type: string, id: number): protobuf.IField => ({ type, id, rule: 'repeated' });
const map = (keyType: string, type: string, id: number): protobuf.IMapField => ({ keyType, type, id });
const message = (fields: Fields): protobuf.IType => ({ fields });
const choice = (fields: Fields): protobuf.IType => ({
  fields,
  oneofs: { parameters: { oneof: Object.keys(fields) } },
});
const numbered = (names: readonly string[]): protobuf.IEnum => ({
  values: Object.fromEntries(names.map((name, number) => [name, number])),
});

// Fields of the old forms (`*_legacy`) are left out: what is unknown is passed over.
const root = protobuf.Root.fromJSON({
  nested: {
    gw: {
      nested: {
        CodeRate: numbered(['CR_UNDEFINED', 'CR_4_5', 'CR_4_6', 'CR_4_7', 'CR_4_8']),
        CRCStatus: numbered(['NO_CRC', 'BAD_CRC', 'CRC_OK']),
        TxAckStatus: numbered(TX_ACK_STATUSES),
        LocationSource: numbered(['UNKNOWN', 'GPS', 'CONFIG']),
        State: numbered(['OFFLINE', 'ONLINE']),
        Timestamp: message({ seconds: field('int64', 1), nanos: field('int32', 2) }),
        Duration: message({ seconds: field('int64', 1), nanos: field('int32', 2) }),
        Location: message({
          latitude: field('double', 1),
          longitude: field('double', 2),
          altitude: field('double', 3),
          source: field('LocationSource', 4),
          accuracy: field('float', 5),
        }),
        LoraModulationInfo: message({
          bandwidth: field('uint32', 1),
          spreadingFactor: field('uint32', 2),
          polarizationInversion: field('bool', 4),
          codeRate: field('CodeRate', 5),
          preamble: field('uint32', 6),
          noCrc: field('bool', 7),
        }),
        FskModulationInfo: message({ frequencyDeviation: field('uint32', 1), datarate: field('uint32', 2) }),
        Modulation: choice({ lora: field('LoraModulationInfo', 3), fsk: field('FskModulationInfo', 4) }),
        UplinkTxInfo: message({ frequency: field('uint32', 1), modulation: field('Modulation', 2) }),
        UplinkRxInfo: message({
          gatewayId: field('string', 1),
          uplinkId: field('uint32', 2),
          gwTime: field('Timestamp', 3),
          timeSinceGpsEpoch: field('Duration', 4),
          fineTimeSinceGpsEpoch: field('Duration', 5),
          rssi: field('int32', 6),
          snr: field('float', 7),
          channel: field('uint32', 8),
          rfChain: field('uint32', 9),
          board: field('uint32', 10),
          antenna: field('uint32', 11),
          location: field('Location', 12),
          context: field('bytes', 13),
          metadata: map('string', 'string', 15),
          crcStatus: field('CRCStatus', 16),
          nsTime: field('Timestamp', 17),
        }),
        UplinkFrame: message({
          phyPayload: field('bytes', 1),
          txInfo: field('UplinkTxInfo', 4),
          rxInfo: field('UplinkRxInfo', 5),
        }),
        PerModulationCount: message({ modulation: field('Modulation', 1), count: field('uint32', 2) }),
        GatewayStats: message({
          time: field('Timestamp', 2),
          location: field('Location', 3),
          configVersion: field('string', 4),
          rxPacketsReceived: field('uint32', 5),
          rxPacketsReceivedOk: field('uint32', 6),
          txPacketsReceived: field('uint32', 7),
          txPacketsEmitted: field('uint32', 8),
          metadata: map('string', 'string', 10),
          txPacketsPerFrequency: map('uint32', 'uint32', 12),
          rxPacketsPerFrequency: map('uint32', 'uint32', 13),
          txPacketsPerModulation: list('PerModulationCount', 14),
          rxPacketsPerModulation: list('PerModulationCount', 15),
          txPacketsPerStatus: map('string', 'uint32', 16),
          gatewayId: field('string', 17),
        }),
        ImmediatelyTimingInfo: message({}),
        DelayTimingInfo: message({ delay: field('Duration', 1) }),
        GPSEpochTimingInfo: message({ timeSinceGpsEpoch: field('Duration', 1) }),
        Timing: choice({
          immediately: field('ImmediatelyTimingInfo', 1),
          delay: field('DelayTimingInfo', 2),
          gpsEpoch: field('GPSEpochTimingInfo', 3),
        }),
        DownlinkTxInfo: message({
          frequency: field('uint32', 1),
          power: field('int32', 2),
          modulation: field('Modulation', 3),
          board: field('uint32', 4),
          antenna: field('uint32', 5),
          timing: field('Timing', 6),
          context: field('bytes', 7),
        }),
        DownlinkFrameItem: message({ phyPayload: field('bytes', 1), txInfo: field('DownlinkTxInfo', 3) }),
        DownlinkFrame: message({
          downlinkId: field('uint32', 3),
          items: list('DownlinkFrameItem', 5),
          gatewayId: field('string', 7),
        }),
        DownlinkTxAckItem: message({ status: field('TxAckStatus', 1) }),
        DownlinkTxAck: message({
          downlinkId: field('uint32', 2),
          items: list('DownlinkTxAckItem', 5),
          gatewayId: field('string', 6),
        }),
        ConnState: message({ state: field('State', 2), gatewayId: field('string', 3) }),
      },
    },
  },
});

const NANO_DIGITS = 9;

interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

const instantOf = (seconds: number, fraction = ''): Instant => ({
  seconds,
  nanos: Number(fraction.padEnd(NANO_DIGITS, '0').slice(0, NANO_DIGITS)),
});

// What protobuf has a message for is a text in its JSON (protobuf.dev, JSON mapping).
const TEXTS: Readonly<Record<string, (text: string) => Instant>> = {
  Timestamp(text) {
    const [, whole = '', fraction] = /^(.*?)(?:\.(\d+))?Z$/.exec(text) ?? [];
    return instantOf(Date.parse(`${whole}Z`) / 1000, fraction);
  },
  Duration(text) {
    const [, seconds = '', fraction] = /^(\d+)(?:\.(\d+))?s$/.exec(text) ?? [];
    return instantOf(Number(seconds), fraction);
  },
};

function fieldFromJson(type: protobuf.Type, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => fieldFromJson(type, one));
  if (typeof value === 'string') return TEXTS[type.name]?.(value) ?? value;
  return value !== null && typeof value === 'object' ? messageFromJson(type, value) : value;
}

function messageFromJson(type: protobuf.Type, json: object): object {
  const converted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(json)) {
    const inner = type.fields[name]?.resolve().resolvedType;
    converted[name] = inner instanceof protobuf.Type ? fieldFromJson(inner, value) : (value as unknown);
  }
  return converted;
}

/** The bytes of a message that is given in the form of its JSON. */
export function encodeMessage(name: GatewayMessage, json: object): Uint8Array {
  const type = root.lookupType(`gw.${name}`);
  return type.encode(type.fromObject(messageFromJson(type, json))).finish();
}

/** What protobuf leaves unset is not there in JSON either. */
const withoutNulls = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner: unknown) => (inner === null ? undefined : inner)));

/**
 * A message in the form of its JSON, but for times, which are `{seconds, nanos}`; with all fields that have a default.
 * @throws AntirioError invalidInput
 */
export function decodeMessage(name: GatewayMessage, bytes: Uint8Array): unknown {
  const type = root.lookupType(`gw.${name}`);
  try {
    const message = type.decode(bytes);
    return withoutNulls(
      type.toObject(message, { longs: Number, enums: String, bytes: String, defaults: true, json: true }),
    );
  } catch (cause) {
    throw new AntirioError('invalidInput', `no protobuf message ${name}`, {}, cause);
  }
}
