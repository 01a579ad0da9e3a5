import { z } from 'zod';
import { fromUtf8, signDocument, utf8, verifyDocument, type EdgeId, type Identity } from '@antirio/kernel';
import { edgeId } from './options.ts';

/** So that a datagram is never fragmented on any path in use. */
export const MAX_DATAGRAM_BYTES = 1200;
const KIND = 'antirio/datagram/';

const wire = z.strictObject({
  kind: z.string().regex(/^antirio\/datagram\/[A-Za-z0-9-]{1,32}$/),
  by: edgeId,
  body: z.strictObject({
    to: z.string().max(64),
    /** Of the sender's start. */
    boot: z.string().regex(/^[0-9a-f]{16}$/),
    /** Counts the sender's datagrams since then. */
    seq: z.int().min(1),
    body: z.record(z.string(), z.json()),
  }),
  signature: z.string().max(96),
});

export interface Datagram {
  readonly from: EdgeId;
  readonly to: string;
  readonly boot: string;
  readonly seq: number;
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Of the sender, over all of the above. */
  readonly signature: string;
}

export const datagramKind = z.string().regex(/^[A-Za-z0-9-]{1,32}$/);

/** The bytes of a signed datagram. */
export function encodeDatagram(
  identity: Identity,
  datagram: Omit<Datagram, 'from' | 'signature'>,
): Uint8Array {
  const { kind, to, boot, seq, body } = datagram;
  return utf8(JSON.stringify(signDocument(identity, KIND + kind, { to, boot, seq, body })));
}

/** A datagram whose signature is still to be looked at. */
export interface Received {
  readonly datagram: Datagram;
  isGenuine(): boolean;
}

/** Undefined for garbage. */
export function decodeDatagram(bytes: Uint8Array): Received | undefined {
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(bytes));
  } catch {
    return undefined;
  }
  const parsed = wire.safeParse(json);
  if (!parsed.success) return undefined;
  const { kind, by, body, signature } = parsed.data;
  const datagram = {
    from: by,
    to: body.to,
    boot: body.boot,
    seq: body.seq,
    kind: kind.slice(KIND.length),
    body: body.body,
    signature,
  };
  return { datagram, isGenuine: () => verifyDocument(parsed.data, kind) };
}
