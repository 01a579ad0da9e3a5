import { z } from 'zod';
import type { HttpAnswer, HttpPeer } from '@antirio/host';
import {
  AntirioError,
  describeError,
  errorCodes,
  fromBase64,
  fromHex,
  fromUtf8,
  toBase64,
  toHex,
  utf8,
  type ErrorCode,
} from '@antirio/kernel';
import type { QueryPath } from './queries.ts';

const ANSWER_MS = 5000;
/** A page of the application, in base64, and what goes round it. */
const MAX_ANSWER_BYTES = 16 << 20;

const envelope = z.object({
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), data: z.string().optional() }).optional(),
});
const broadcast = z.object({
  code: z.int(),
  data: z.string().nullish(),
  log: z.string().default(''),
  codespace: z.string().default(''),
});
const query = z.object({
  response: z.object({
    code: z.int().default(0),
    log: z.string().default(''),
    codespace: z.string().default(''),
    value: z.string().nullish(),
  }),
});
const status = z.object({
  sync_info: z.object({ latest_block_height: z.string(), catching_up: z.boolean() }),
  node_info: z.object({ network: z.string() }),
});

export interface NodeStatus {
  readonly height: number;
  /** It has not yet all the blocks that the others have. */
  readonly catchingUp: boolean;
  readonly chainId: string;
}

export type Broadcast =
  /** It waits for its block. */
  | { readonly kind: 'waits' }
  /** The application's word without a block; the receipt is JSON. */
  | { readonly kind: 'answered'; readonly receipt: unknown }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string };

const codeOf = (codespace: string): ErrorCode =>
  Object.hasOwn(errorCodes, codespace) ? (codespace as ErrorCode) : 'unavailable';

/** What CometBFT says where its mempool does not take a transaction. */
function mempoolFault(message: string): AntirioError | undefined {
  if (/already exists in cache/i.test(message)) return undefined;
  if (/mempool is full/i.test(message)) return new AntirioError('busy', 'the mempool of the node is full');
  if (/too large|too big/i.test(message)) return new AntirioError('tooLarge', message);
  return new AntirioError('unavailable', `the node does not take the transaction: ${message}`);
}

/** @throws AntirioError unavailable where it is no JSON */
function parseText(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new AntirioError('unavailable', 'not an answer of our application: no JSON', {}, cause);
  }
}

/** @throws AntirioError tooLarge where the node says that the request was */
function refuseLarge({ status, body }: HttpAnswer): void {
  if (status !== 413 && (status === 200 || !/too large/i.test(fromUtf8(body)))) return;
  throw new AntirioError(
    'tooLarge',
    'the node takes no requests of this size: rpc.max_body_bytes of its config.toml',
  );
}

/** What this product asks of CometBFT's RPC: of the first of its nodes that answers. */
export class CometRpc {
  readonly #peers: readonly HttpPeer[];
  #first = 0;

  /** @param peers at least one */
  constructor(peers: readonly HttpPeer[]) {
    this.#peers = peers;
  }

  async #call(method: string, params: Readonly<Record<string, unknown>>): Promise<z.output<typeof envelope>> {
    let failure: unknown;
    for (let i = 0; i < this.#peers.length; i++) {
      const index = (this.#first + i) % this.#peers.length;
      try {
        const answer = await this.#ask(this.#peers[index], method, params);
        this.#first = index;
        return answer;
      } catch (error) {
        failure = error;
      }
    }
    throw new AntirioError('unavailable', `no CometBFT node answers: ${describeError(failure)}`, {}, failure);
  }

  async #ask(
    peer: HttpPeer | undefined,
    method: string,
    params: Readonly<Record<string, unknown>>,
  ): Promise<z.output<typeof envelope>> {
    const answer = await peer?.call({
      method: 'POST',
      path: '/',
      json: { jsonrpc: '2.0', id: 1, method, params },
      timeoutMs: ANSWER_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    if (answer !== undefined) refuseLarge(answer);
    const parsed = envelope.safeParse(answer?.json());
    if (!parsed.success) throw new AntirioError('unavailable', 'an answer that is no JSON-RPC');
    return parsed.data;
  }

  async #result<S extends z.ZodType>(schema: S, method: string, params: object = {}): Promise<z.output<S>> {
    const { result, error } = await this.#call(method, { ...params });
    if (error !== undefined)
      throw new AntirioError('unavailable', `${method}: ${error.data ?? error.message}`);
    const parsed = schema.safeParse(result);
    if (!parsed.success) throw new AntirioError('unavailable', `${method}: not an answer of CometBFT 0.38`);
    return parsed.data;
  }

  async broadcast(tx: Uint8Array): Promise<Broadcast> {
    const { result, error } = await this.#call('broadcast_tx_sync', { tx: toBase64(tx) });
    if (error !== undefined) {
      const fault = mempoolFault(error.data ?? error.message);
      if (fault !== undefined) throw fault;
      return { kind: 'waits' };
    }
    const { code, data, log, codespace } = broadcast.parse(result);
    if (code === 0) return { kind: 'waits' };
    if (data === null || data === undefined || data === '')
      return { kind: 'refused', code: codeOf(codespace), message: log };
    return { kind: 'answered', receipt: parseText(fromHex(data.toLowerCase())) };
  }

  /** Asks the application. @throws AntirioError with its own code where it refuses; unavailable */
  async query<S extends z.ZodType>(schema: S, path: QueryPath, question: object): Promise<z.output<S>> {
    const data = toHex(utf8(JSON.stringify(question)));
    const { response } = await this.#result(query, 'abci_query', { path, data });
    if (response.code !== 0) throw new AntirioError(codeOf(response.codespace), response.log);
    const parsed = schema.safeParse(parseText(fromBase64(response.value ?? '')));
    if (!parsed.success) throw new AntirioError('unavailable', `${path}: not an answer of our application`);
    return parsed.data;
  }

  async status(): Promise<NodeStatus> {
    const { sync_info: sync, node_info: node } = await this.#result(status, 'status');
    const { latest_block_height: height, catching_up: catchingUp } = sync;
    return { height: Number(height), catchingUp, chainId: node.network };
  }

  close(): void {
    for (const peer of this.#peers) peer.close();
  }
}
