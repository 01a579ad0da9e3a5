import { z } from 'zod';
import { callJson, parseInput, sleep, type HttpCall, type HttpPeer } from '@antirio/host';
import {
  AntirioError,
  errorCodes,
  isAntirioError,
  type ErrorCode,
  type Identity,
  type Random,
  type SealKey,
} from '@antirio/kernel';
import { MAX_VALIDITY, signTx, type SignedTx, type payload as payloadSchema } from '@antirio/ledger-machine';

type Payload = z.input<typeof payloadSchema>;

/** The ledger as a signer sees it. */
export interface LedgerClient {
  /** Resolves with what the transaction made. @throws AntirioError with the machine's own code when it was refused. */
  submit(payload: Payload): Promise<Readonly<Record<string, unknown>>>;
  /**
   * The same, but gives up for nothing but the machine's own word: the same signed transaction is sent until it is known what
   * became of it. Where an answer is lost, what was asked for may still happen later.
   */
  submitUntilKnown(payload: Payload): Promise<Readonly<Record<string, unknown>>>;
  read(key: string): Promise<unknown>;
  /** The values under a prefix. */
  range(prefix: string): Promise<unknown[]>;
  sealKeyOf(edgeId: string): Promise<SealKey>;
}

const receipt = z.looseObject({
  ok: z.boolean(),
  message: z.string().optional(),
  code: z.string().optional(),
  result: z.record(z.string(), z.unknown()).optional(),
});
const rangeAnswer = z.looseObject({ entries: z.array(z.tuple([z.string(), z.unknown()])) });
const head = z.looseObject({ height: z.union([z.number(), z.string()]) });
const identityRecord = z.looseObject({
  sealKey: z.object({ edgeId: z.string(), x25519: z.string(), signature: z.string() }),
});

const AGAIN_AFTER_MS = 50;
const AGAIN_AT_MOST_MS = 1000;

function codeOf(code: string | undefined): ErrorCode {
  return code !== undefined && code in errorCodes ? (code as ErrorCode) : 'conflict';
}

/** `prefix` leads to the ledger: directly, or through edge2edge at the centre. */
export function ledgerClient(
  peer: HttpPeer,
  prefix: string,
  identity: Identity,
  random: Random,
): LedgerClient {
  const call = (one: HttpCall): Promise<unknown> => callJson(peer, { ...one, path: `${prefix}${one.path}` });
  const read = async (key: string): Promise<unknown> => {
    const answer = await peer.call({
      path: `${prefix}/ledger/v1/state/${key.split('/').map(encodeURIComponent).join('/')}`,
    });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new AntirioError('unavailable', `the ledger answers ${answer.status}`);
    const body = answer.json();
    return typeof body === 'object' && body !== null && 'value' in body ? body.value : body;
  };
  const sign = async (payload: Payload): Promise<SignedTx> => {
    const { height } = parseInput(head, await call({ path: '/ledger/v1/head' }));
    return signTx(identity, random, Number(height) + MAX_VALIDITY / 10, payload);
  };
  const send = async (tx: SignedTx): Promise<Readonly<Record<string, unknown>>> => {
    const got = parseInput(receipt, await call({ method: 'POST', path: '/ledger/v1/tx', json: tx }));
    if (got.ok) return got.result ?? {};
    throw new AntirioError(codeOf(got.code), got.message ?? 'refused by the ledger');
  };
  return {
    read,
    async range(prefix) {
      const answer = await call({ path: `/ledger/v1/range?prefix=${encodeURIComponent(prefix)}` });
      return parseInput(rangeAnswer, answer).entries.map(([, value]) => value);
    },
    submit: async (payload) => send(await sign(payload)),
    async submitUntilKnown(payload) {
      const tx = await sign(payload);
      for (let attempt = 1; ; attempt++) {
        try {
          return await send(tx);
        } catch (error) {
          const unknown = isAntirioError(error, 'unavailable') || isAntirioError(error, 'timeout');
          if (!unknown) throw error;
          await sleep(Math.min(attempt * AGAIN_AFTER_MS, AGAIN_AT_MOST_MS));
        }
      }
    },
    async sealKeyOf(edgeId) {
      const record = await read(`identity/${edgeId}`);
      if (record === undefined)
        throw new AntirioError('notFound', 'that edge is not registered on the ledger', { edgeId });
      return parseInput(identityRecord, record).sealKey as SealKey;
    },
  };
}
