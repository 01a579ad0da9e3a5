import { AntirioError, fromUtf8 } from '@antirio/kernel';
import type * as protobufMessages from './protobuf.ts';

/** How ChirpStack's messages are written on the bus: its marshalers. */
export const ENCODINGS = ['json', 'protobuf'] as const;
export type Encoding = (typeof ENCODINGS)[number];

type Protobuf = typeof protobufMessages;
type GatewayMessage = protobufMessages.GatewayMessage;

let loading: Promise<Protobuf> | undefined;
// most edges never need it, and it takes some megabytes
const protobuf = (): Promise<Protobuf> => (loading ??= import('./protobuf.ts'));

export async function encode(
  encoding: Encoding,
  name: GatewayMessage,
  message: object,
): Promise<string | Uint8Array> {
  return encoding === 'json' ? JSON.stringify(message) : (await protobuf()).encodeMessage(name, message);
}

const BRACE = 0x7b;

/** JSON begins with a brace, which no message of `gw` does: as a tag it would be a group. */
export function encodingOf(payload: Uint8Array): Encoding {
  const first = payload.find((byte) => byte > 0x20);
  return first === BRACE ? 'json' : 'protobuf';
}

/** @throws AntirioError invalidInput */
export async function decode(name: GatewayMessage, payload: Uint8Array): Promise<unknown> {
  if (encodingOf(payload) === 'protobuf') return (await protobuf()).decodeMessage(name, payload);
  try {
    return JSON.parse(fromUtf8(payload));
  } catch (cause) {
    throw new AntirioError('invalidInput', `${name} without JSON`, {}, cause);
  }
}
