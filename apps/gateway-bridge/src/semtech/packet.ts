import { AntirioError, toHex } from '@antirio/kernel';

/** The datagrams of Semtech's gateway message protocol, versions 1 and 2 (packet_forwarder, PROTOCOL.TXT). */
export type Datagram =
  | {
      readonly kind: 'pushData';
      readonly version: Version;
      readonly token: number;
      readonly gatewayId: string;
      readonly json: Uint8Array;
    }
  | {
      readonly kind: 'pullData';
      readonly version: Version;
      readonly token: number;
      readonly gatewayId: string;
    }
  | {
      readonly kind: 'txAck';
      readonly version: Version;
      readonly token: number;
      readonly gatewayId: string;
      readonly json: Uint8Array;
    };

export type Version = 1 | 2;

const PUSH_DATA = 0;
const PUSH_ACK = 1;
const PULL_DATA = 2;
const PULL_RESP = 3;
const PULL_ACK = 4;
const TX_ACK = 5;

const HEADER = 4;
const WITH_ID = 12;

const isVersion = (value: number | undefined): value is Version => value === 1 || value === 2;

/** Reads what gateways send. @throws AntirioError invalidInput for anything else. */
export function parseDatagram(bytes: Uint8Array): Datagram {
  const [version, high = 0, low = 0, id] = bytes;
  if (!isVersion(version))
    throw new AntirioError('invalidInput', 'not a datagram of protocol version 1 or 2');
  if (bytes.length < WITH_ID) throw new AntirioError('invalidInput', `a datagram of ${bytes.length} bytes`);
  const token = (high << 8) | low;
  const gatewayId = toHex(bytes.subarray(HEADER, WITH_ID));
  const json = bytes.subarray(WITH_ID);
  if (id === PUSH_DATA) return { kind: 'pushData', version, token, gatewayId, json };
  if (id === PULL_DATA) return { kind: 'pullData', version, token, gatewayId };
  if (id === TX_ACK) return { kind: 'txAck', version, token, gatewayId, json };
  throw new AntirioError('invalidInput', `no gateway sends datagrams of type ${String(id)}`);
}

const header = (version: Version, token: number, id: number): Uint8Array =>
  Uint8Array.of(version, token >>> 8, token & 0xff, id);

export const pushAck = (version: Version, token: number): Uint8Array => header(version, token, PUSH_ACK);
export const pullAck = (version: Version, token: number): Uint8Array => header(version, token, PULL_ACK);

export function pullResp(version: Version, token: number, txpk: unknown): Uint8Array {
  return Buffer.concat([header(version, token, PULL_RESP), Buffer.from(JSON.stringify({ txpk }))]);
}
