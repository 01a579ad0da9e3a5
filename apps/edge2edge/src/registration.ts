import { z } from 'zod';
import { parseInput, retry, sleep } from '@antirio/host';
import { AntirioError, canonicalJson, describeError, utf8, type EdgeId, type SealKey } from '@antirio/kernel';
import { MAX_VALIDITY, signTx } from '@antirio/ledger-machine';
import type { AskLedger } from './directory.ts';
import type { Edge2EdgePorts, PeerAddress } from './options.ts';
import type { HttpAnswer, HttpCall } from '@antirio/host';

/** What this edge says of itself on the ledger. */
export interface Registered {
  readonly name: string;
  readonly sealKey: SealKey;
  readonly addresses: Required<PeerAddress>;
}

export interface Registration {
  /** What stands in the way; undefined once the ledger has what we say. */
  obstacle(): string | undefined;
  stop(): Promise<void>;
}

export interface RegistrationParts {
  readonly ports: Pick<Edge2EdgePorts, 'identity' | 'random' | 'log'>;
  readonly central: EdgeId;
  readonly askLedger: AskLedger;
  readonly send: (to: EdgeId, call: HttpCall) => Promise<HttpAnswer>;
  readonly own: Registered;
}

const head = z.looseObject({ height: z.coerce.number().int().min(0) });
const receipt = z.looseObject({ ok: z.boolean(), message: z.string().optional() });
const record = z.looseObject({ name: z.string(), sealKey: z.unknown(), addresses: z.unknown() });

const AGAIN_MS = 600_000;
const RETRY = { attempts: Number.POSITIVE_INFINITY, firstDelayMs: 200, maxDelayMs: 10_000 };

function bodyOf(answer: HttpAnswer, what: string): unknown {
  if (answer.status >= 200 && answer.status < 300) return answer.json();
  throw new AntirioError('unavailable', `${what}: the ledger answers ${answer.status}`);
}

/** Whether the ledger says already what we would write. */
async function isThere(askLedger: AskLedger, edge: EdgeId, own: Registered): Promise<boolean> {
  const answer = await askLedger(`/ledger/v1/state/identity/${edge}`);
  if (answer.status === 404) return false;
  const body = bodyOf(answer, 'identity');
  const value: unknown = typeof body === 'object' && body !== null && 'value' in body ? body.value : body;
  const found = record.safeParse(value);
  if (!found.success) return false;
  const { name, sealKey, addresses } = found.data;
  return canonicalJson({ name, sealKey, addresses }) === canonicalJson(own);
}

async function register({ ports, central, askLedger, send, own }: RegistrationParts): Promise<void> {
  const { identity, random } = ports;
  if (await isThere(askLedger, identity.edgeId, own)) return;
  const { height } = parseInput(head, bodyOf(await askLedger('/ledger/v1/head'), 'head'));
  const tx = signTx(identity, random, height + MAX_VALIDITY / 10, { type: 'identity/register', ...own });
  const answer = await send(central, {
    method: 'POST',
    path: '/ledger/ledger/v1/tx',
    headers: { 'content-type': 'application/json' },
    body: utf8(JSON.stringify(tx)),
  });
  const { ok, message } = parseInput(receipt, answer.json());
  if (!ok) throw new AntirioError('conflict', `the ledger refused to register this edge: ${message ?? ''}`);
}

/** Writes who and where we are on the ledger, as often as it takes, and again when the ledger no longer has it. */
export function keepRegistered(parts: RegistrationParts): Registration {
  const stopped = new AbortController();
  const { log } = parts.ports;
  let obstacle: string | undefined = 'not asked yet';

  const once = async (): Promise<void> => {
    try {
      await register(parts);
      if (obstacle !== undefined) log.info({ central: parts.central }, 'registered on the ledger');
      obstacle = undefined;
    } catch (error) {
      const text = describeError(error);
      if (text !== obstacle) log.warn({ error: text }, 'not registered on the ledger yet');
      obstacle = text;
      throw error;
    }
  };
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await retry({ ...RETRY, signal: stopped.signal }, once).catch(() => undefined);
      await sleep(AGAIN_MS, stopped.signal);
    }
  };
  const running = run();
  return {
    obstacle: () => obstacle,
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
