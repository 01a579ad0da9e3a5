import {
  canonicalBytes,
  fromBase64,
  sha256Hex,
  toBase64,
  verifySignature,
  type EdgeId,
  type Identity,
} from '@antirio/kernel';

export const HEADERS = {
  edge: 'x-antirio-edge',
  to: 'x-antirio-to',
  nonce: 'x-antirio-nonce',
  signature: 'x-antirio-signature',
  /** In answers: what the next nonces must begin with. */
  challenge: 'x-antirio-challenge',
  /** In answers: the receiver's signature over what it answers to this nonce. */
  answer: 'x-antirio-answer',
  /** In answers whose body is content that proves itself: the receiver's signature over their head. */
  stream: 'x-antirio-stream',
  /** Inside an edge: who asks, put there by edge2edge alone. */
  peer: 'x-antirio-peer',
} as const;

export interface RequestToSign {
  readonly method: string;
  /** From the slash on, with its query. */
  readonly path: string;
  readonly body: Uint8Array;
  readonly to: EdgeId;
  readonly nonce: string;
}

export interface AnswerToSign {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly to: EdgeId;
  readonly nonce: string;
}

/** What is signed of an answer whose body is blocks, each proven by its CID. */
export interface StreamHeadToSign {
  readonly status: number;
  readonly contentType: string;
  readonly contentEncoding: string;
  /** As it was asked for. */
  readonly path: string;
  readonly to: EdgeId;
  readonly nonce: string;
}

function requestBytes(from: EdgeId, { method, path, body, to, nonce }: RequestToSign): Uint8Array {
  return canonicalBytes({ kind: 'request', method, path, bodySha256: sha256Hex(body), from, to, nonce });
}

function answerBytes(from: EdgeId, { status, contentType, body, to, nonce }: AnswerToSign): Uint8Array {
  return canonicalBytes({
    kind: 'answer',
    status,
    contentType,
    bodySha256: sha256Hex(body),
    from,
    to,
    nonce,
  });
}

function verify(edge: EdgeId, bytes: Uint8Array, signature: string): boolean {
  try {
    return verifySignature(edge, bytes, fromBase64(signature));
  } catch {
    return false;
  }
}

/** The headers that make a request this edge's. */
export function signRequest(identity: Identity, request: RequestToSign): Record<string, string> {
  return {
    [HEADERS.edge]: identity.edgeId,
    [HEADERS.to]: request.to,
    [HEADERS.nonce]: request.nonce,
    [HEADERS.signature]: toBase64(identity.sign(requestBytes(identity.edgeId, request))),
  };
}

export function isRequestOf(from: EdgeId, request: RequestToSign, signature: string): boolean {
  return verify(from, requestBytes(from, request), signature);
}

export function signAnswer(identity: Identity, answer: AnswerToSign): string {
  return toBase64(identity.sign(answerBytes(identity.edgeId, answer)));
}

export function isAnswerOf(from: EdgeId, answer: AnswerToSign, signature: string): boolean {
  return verify(from, answerBytes(from, answer), signature);
}

function streamHeadBytes(from: EdgeId, head: StreamHeadToSign): Uint8Array {
  const { status, contentType, contentEncoding, path, to, nonce } = head;
  return canonicalBytes({ kind: 'stream', status, contentType, contentEncoding, path, from, to, nonce });
}

export function signStreamHead(identity: Identity, head: StreamHeadToSign): string {
  return toBase64(identity.sign(streamHeadBytes(identity.edgeId, head)));
}

export function isStreamHeadOf(from: EdgeId, head: StreamHeadToSign, signature: string): boolean {
  return verify(from, streamHeadBytes(from, head), signature);
}
