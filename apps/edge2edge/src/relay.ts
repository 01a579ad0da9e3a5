import { z } from 'zod';
import { parseInput, type HttpAnswer, type HttpCall, type Log } from '@antirio/host';
import {
  AntirioError,
  describeError,
  fromBase64,
  parseEdgeId,
  toBase64,
  type Clock,
  type EdgeId,
} from '@antirio/kernel';
import { isOver } from '@antirio/service-contract';
import { createBriefCache } from './brief-cache.ts';
import { findOpenRoute } from './open-routes.ts';
import type { Edge2EdgeOptions } from './options.ts';
import { createByteQuota, createConcurrency, createRateLimit } from './rate-limit.ts';
import {
  MAX_RELAYED_ANSWER_BYTES,
  MAX_RELAYED_BODY_BYTES,
  type RelayedAnswer,
  type RelayedRequest,
} from './relay-wire.ts';
import { HEADERS, isAnswerOf } from './request-signature.ts';

export interface RelayCounters {
  /** Answers brought back. */
  readonly carried: number;
  /** Bytes of these. */
  readonly bytes: number;
  /** Not between the parties of a live contract, not for this way, or over a quota. */
  readonly refused: number;
  /** The other edge gave no signed answer. */
  readonly failed: number;
}

/**
 * The centre's part where the way between a contract's two edges is cut: it carries requests that one of them has signed for the other,
 * and the other's signed answers. It can hold them up and read them, as anybody on the way can (frames are encrypted by their motes);
 * it can change nothing, and answer for nobody.
 */
export interface Relay {
  /** @throws AntirioError forbidden, notFound, busy, tooLarge, unavailable, timeout */
  carry(from: EdgeId, request: RelayedRequest): Promise<RelayedAnswer>;
  counters(): RelayCounters;
}

export interface RelayParts {
  readonly options: Edge2EdgeOptions['relay'];
  readonly clock: Clock;
  readonly log: Log;
  /** What the ledger has under a key, undefined where there is nothing. */
  readonly record: (key: string) => Promise<unknown>;
  /** Sends what another edge has signed, as it is. */
  readonly send: (to: EdgeId, call: HttpCall) => Promise<HttpAnswer>;
}

const WITHIN_MS = 2500;
const KNOWN_MS = 5000;
/** Under way at once for one contract, and for all: each holds a request and its answer in memory. */
const PER_CONTRACT = 2;
const IN_ALL = 16;

const contractRecord = z.looseObject({
  customer: z.string(),
  provider: z.string(),
  life: z.looseObject({ state: z.string() }),
});
type Contract = z.output<typeof contractRecord>;

const isBetween = ({ customer, provider }: Contract, from: EdgeId, to: EdgeId): boolean =>
  from !== to && [customer, provider].every((party) => party === from || party === to);

/** The contract that the path names. @throws AntirioError notFound where the path is not for this way */
function contractOf({ method, path }: RelayedRequest): string {
  const [, service = '', behind = ''] = /^\/([a-z0-9-]+)\/([^?]*)(?:\?.*)?$/.exec(path) ?? [];
  const matched = findOpenRoute('edge', method, service, behind);
  if (matched?.id === undefined || matched.route.relayed !== true)
    throw new AntirioError('notFound', `the centre does not carry ${method} ${path.slice(0, 200)}`);
  return matched.id;
}

function callFor(from: EdgeId, request: RelayedRequest): HttpCall {
  const { to, method, path, nonce, signature, contentType } = request;
  const body = fromBase64(request.body);
  if (body.length > MAX_RELAYED_BODY_BYTES)
    throw new AntirioError(
      'tooLarge',
      `the centre carries bodies of at most ${MAX_RELAYED_BODY_BYTES} bytes`,
    );
  const signed = {
    [HEADERS.edge]: from,
    [HEADERS.to]: to,
    [HEADERS.nonce]: nonce,
    [HEADERS.signature]: signature,
  };
  const headers = contentType === undefined ? signed : { ...signed, 'content-type': contentType };
  const bounds = { timeoutMs: WITHIN_MS, maxAnswerBytes: MAX_RELAYED_ANSWER_BYTES };
  return { method, path, headers, ...(body.length === 0 ? {} : { body }), ...bounds };
}

const headerOf = ({ headers }: HttpAnswer, name: string): string => {
  const value = headers[name];
  return typeof value === 'string' ? value.slice(0, 256) : '';
};

/** Only what the edge has signed goes back: its address is what it says it is, and could be anybody's. */
function answerOf(from: EdgeId, { to, nonce }: RelayedRequest, answer: HttpAnswer): RelayedAnswer {
  const { status, body } = answer;
  const contentType = headerOf(answer, 'content-type');
  const challenge = headerOf(answer, HEADERS.challenge);
  const signature = headerOf(answer, HEADERS.answer);
  if (isAnswerOf(to, { status, contentType, body, to: from, nonce }, signature))
    return { status, contentType, challenge, signature, body: toBase64(body) };
  if (status === 401 && challenge !== '')
    return { status, contentType: '', challenge, signature: '', body: '' };
  throw new AntirioError('unavailable', `${to} gave the centre no signed answer: HTTP ${status}`);
}

export function createRelay({ options, clock, log, record, send }: RelayParts): Relay {
  const counts = { carried: 0, bytes: 0, refused: 0, failed: 0 };
  const underWay = createConcurrency(PER_CONTRACT, IN_ALL);
  const requests = createRateLimit(clock, options.requestsPerSecond);
  const quota = createByteQuota(clock, options.bytesPerSecond);
  const contracts = createBriefCache(
    clock,
    async (id): Promise<Contract | undefined> => {
      const found = await record(`contract/${id}`);
      return found === undefined ? undefined : parseInput(contractRecord, found);
    },
    () => KNOWN_MS,
  );
  /** @throws AntirioError forbidden, busy */
  const admit = async (from: EdgeId, to: EdgeId, id: string): Promise<() => void> => {
    const contract = await contracts.get(id);
    if (contract === undefined || isOver(contract.life) || !isBetween(contract, from, to))
      throw new AntirioError('forbidden', 'the centre carries only between the parties of a live contract');
    const key = [id, from].join(' ');
    const end = requests.admit(key) && quota.has(id) ? underWay.begin(id) : undefined;
    if (end === undefined) throw new AntirioError('busy', 'the centre carries no more for that contract now');
    return end;
  };
  const pass = async (from: EdgeId, request: RelayedRequest, id: string): Promise<RelayedAnswer> => {
    try {
      const answer = await send(request.to, callFor(from, request));
      const carried = answerOf(from, request, answer);
      quota.spend(id, answer.body.length + request.body.length);
      counts.carried += 1;
      counts.bytes += answer.body.length;
      return carried;
    } catch (error) {
      counts.failed += 1;
      log.debug({ from, to: request.to, error: describeError(error) }, 'not carried');
      throw error;
    }
  };
  return {
    counters: () => ({ ...counts }),
    async carry(from, request) {
      let end: () => void;
      let id: string;
      try {
        id = contractOf(request);
        end = await admit(from, request.to, id);
      } catch (error) {
        counts.refused += 1;
        throw error;
      }
      try {
        return await pass(from, request, id);
      } finally {
        end();
      }
    },
  };
}

/** Who asks, as the listener for other edges has proven. @throws AntirioError forbidden for everybody else */
export function askingEdge(peer: string | undefined): EdgeId {
  if (peer === undefined) throw new AntirioError('forbidden', 'only other edges are carried for');
  return parseEdgeId(peer);
}
