import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { fromUtf8, parseEdgeId } from '@antirio/kernel';
import {
  datagramProof,
  datagramSchemas,
  type Datagram,
  type DatagramKind,
  type PartyEvent,
} from '@antirio/service-contract';

const datagramIn = z.object({ from: z.string(), body: z.unknown(), proof: datagramProof.optional() });

export function isDatagramKind(kind: string): kind is DatagramKind {
  return kind in datagramSchemas;
}

/** What edge2edge has put on the bus, for the machines. @throws AntirioError invalidInput */
export function arrivalOf(
  kind: DatagramKind,
  payload: Uint8Array,
): Extract<PartyEvent, { type: 'datagram' }> {
  const message = parseInput(datagramIn, JSON.parse(fromUtf8(payload)));
  // the schema found by the kind gives the body of that kind
  const datagram = { kind, body: parseInput(datagramSchemas[kind], message.body) } as Datagram;
  const proof = message.proof === undefined ? {} : { proof: message.proof };
  return { type: 'datagram', from: parseEdgeId(message.from), datagram, ...proof };
}
