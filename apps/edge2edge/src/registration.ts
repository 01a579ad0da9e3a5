import { retry, sleep } from '@antirio/host';
import { canonicalJson, describeError, type SealKey } from '@antirio/kernel';
import { resultOf, type LedgerClient } from '@antirio/ledger-http';
import { keys } from '@antirio/ledger-machine';
import type { Edge2EdgePorts, PeerAddress } from './options.ts';

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
  readonly ports: Pick<Edge2EdgePorts, 'identity' | 'log'>;
  readonly ledger: LedgerClient;
  readonly own: Registered;
}

const AGAIN_MS = 600_000;
const RETRY = { attempts: Number.POSITIVE_INFINITY, firstDelayMs: 200, maxDelayMs: 10_000 };

async function register({ ports, ledger, own }: RegistrationParts): Promise<void> {
  const found = await ledger.read(keys.identity(ports.identity.edgeId));
  if (found !== undefined) {
    const { name, sealKey, addresses } = found;
    if (canonicalJson({ name, sealKey, addresses }) === canonicalJson(own)) return;
  }
  resultOf(await ledger.submit(await ledger.prepare({ type: 'identity/register', ...own })));
}

/** Writes who and where we are on the ledger, as often as it takes, and again when the ledger no longer has it. */
export function keepRegistered(parts: RegistrationParts): Registration {
  const stopped = new AbortController();
  const { log } = parts.ports;
  let obstacle: string | undefined = 'not asked yet';

  const once = async (): Promise<void> => {
    try {
      await register(parts);
      if (obstacle !== undefined) log.info('registered on the ledger');
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
