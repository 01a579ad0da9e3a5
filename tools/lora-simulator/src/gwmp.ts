// Semtech gateway message protocol (GWMP), version 2: Lora-net/packet_forwarder, PROTOCOL.TXT, sections 3 to 6.

export const PUSH_DATA = 0x00;
export const PUSH_ACK = 0x01;
export const PULL_DATA = 0x02;
export const PULL_RESP = 0x03;
export const PULL_ACK = 0x04;
export const TX_ACK = 0x05;

const VERSION = 2;
const HEADER_BYTES = 4;

/** `error` of a TX_ACK: why a gateway did not program a downlink. */
export type TxError = 'TOO_LATE' | 'TOO_EARLY' | 'COLLISION_PACKET' | 'TX_FREQ' | 'TX_POWER' | 'GPS_UNLOCKED';

/** A datagram from the server to a gateway. */
export type ServerDatagram =
  | { readonly kind: 'pushAck' | 'pullAck'; readonly token: number }
  | { readonly kind: 'pullResp'; readonly token: number; readonly json: string };

function datagram(token: number, identifier: number, gatewayId: string, body?: unknown): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION, 0);
  header.writeUInt16BE(token, 1);
  header.writeUInt8(identifier, 3);
  const json = body === undefined ? '' : JSON.stringify(body);
  return Buffer.concat([header, Buffer.from(gatewayId, 'hex'), Buffer.from(json, 'utf8')]);
}

export const pushData = (token: number, gatewayId: string, body: object): Buffer =>
  datagram(token, PUSH_DATA, gatewayId, body);

export const pullData = (token: number, gatewayId: string): Buffer => datagram(token, PULL_DATA, gatewayId);

/** As the reference forwarder does it: no JSON where there is no error to report. */
export const txAck = (token: number, gatewayId: string, error?: TxError): Buffer =>
  datagram(token, TX_ACK, gatewayId, error === undefined ? undefined : { txpk_ack: { error } });

/** Reads what a server sent; undefined for anything a gateway does not understand. */
export function readServerDatagram(bytes: Buffer): ServerDatagram | undefined {
  if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) return undefined;
  const token = bytes.readUInt16BE(1);
  switch (bytes[3]) {
    case PUSH_ACK:
      return { kind: 'pushAck', token };
    case PULL_ACK:
      return { kind: 'pullAck', token };
    case PULL_RESP:
      return { kind: 'pullResp', token, json: bytes.toString('utf8', HEADER_BYTES) };
    default:
      return undefined;
  }
}
