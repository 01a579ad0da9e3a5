import type { HttpPeer } from '@antirio/host';
import { AntirioError, signDocument, toHex, type Identity } from '@antirio/kernel';
import { EPOCH_REQUEST_KIND, RING_ROOT_KIND } from '@antirio/ledger-machine';
import type { CallArgs, ContractTerms } from '@antirio/service-contract';
import type { ArbitratorPorts } from './options.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PartyRooms } from './party-rooms.ts';
import { neighbourCall } from './peers.ts';
import type { DividedKeys } from './sealed-keys.ts';

export interface CallDependencies {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: LedgerClient;
  readonly rooms: PartyRooms;
  readonly divided: () => Promise<DividedKeys>;
  readonly ports: Pick<ArbitratorPorts, 'random'>;
}

type Method = CallArgs['method'];
type Perform = {
  readonly [M in Method]: (
    deps: CallDependencies,
    args: Extract<CallArgs, { method: M }>['args'],
  ) => Promise<unknown>;
};

function central(deps: CallDependencies, path: string, json: unknown): Promise<unknown> {
  return neighbourCall(deps.peers, 'central', 'arbitrator', {
    method: 'POST',
    path: `/arbitrator/v1/central/${path}`,
    json,
  });
}

/** How each of a machine's calls is made: to the ledger with our signature, or to the other arbitrators. */
const perform: Perform = {
  ready: ({ ledger }, args) => ledger.submit({ type: 'contract/ready', ...args, evidence: {} }),
  witness: (deps, args) => central(deps, 'witness', args),
  async open(deps, { contractId, from, evidence, word }) {
    const { next } = await deps.rooms.ring(deps.terms);
    const through = next - 1;
    const { root, count } = await deps.rooms.ringRoot(contractId, through);
    const commitment = signDocument(deps.identity, RING_ROOT_KIND, { contractId, root, count, through });
    return central(deps, 'open', { contractId, root: commitment, evidence: { ...evidence, from }, word });
  },
  take(deps, { contractId, expected }) {
    const body = {
      setId: deps.terms.set.setId,
      epoch: expected,
      contractId,
      nonce: toHex(deps.ports.random.bytes(8)),
    };
    return central(deps, 'take', {
      contractId,
      request: signDocument(deps.identity, EPOCH_REQUEST_KIND, body),
    });
  },
  release: ({ ledger, terms }, { epoch, counters }) =>
    ledger.submit({ type: 'epoch/release', setId: terms.set.setId, epoch, counters }),
  statement: ({ ledger }, { statement, counters }) =>
    ledger.submit({ type: 'contract/statement', statement, counters }),
  record: (deps, { contractId }) =>
    neighbourCall(deps.peers, 'central', 'arbitrator', {
      path: `/arbitrator/v1/central/record/${contractId}`,
    }),
  async keys(deps, { contractId }) {
    const { forProvider } = await deps.divided();
    const path = `/arbitrator/v1/contract/${contractId}/keys`;
    return neighbourCall(deps.peers, deps.terms.provider, 'arbitrator', {
      method: 'POST',
      path,
      json: forProvider,
    });
  },
  async keyShare(deps) {
    const { forCentral } = await deps.divided();
    return forCentral === undefined ? {} : central(deps, 'key-share', forCentral);
  },
  return: (deps, { contractId, epoch }) => {
    const path = `/arbitrator/v1/contract/${contractId}/return`;
    return neighbourCall(deps.peers, deps.terms.provider, 'arbitrator', {
      method: 'POST',
      path,
      json: { epoch },
    });
  },
  yield: (deps, { contractId, word }) => {
    const path = `/arbitrator/v1/contract/${contractId}/take-over`;
    return neighbourCall(deps.peers, deps.terms.provider, 'arbitrator', {
      method: 'POST',
      path,
      json: word,
    });
  },
};

export type CallOutcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly retryInMs?: number };

export async function performCall(deps: CallDependencies, call: CallArgs): Promise<CallOutcome> {
  const run = perform[call.method] as (deps: CallDependencies, args: CallArgs['args']) => Promise<unknown>;
  try {
    const value = await run(deps, call.args);
    const refused = value as { refused?: unknown; retryInMs?: unknown } | undefined;
    if (typeof refused?.refused !== 'string') return { ok: true, value };
    const retryInMs = typeof refused.retryInMs === 'number' ? refused.retryInMs : undefined;
    return {
      ok: false,
      code: refused.refused,
      message: refused.refused,
      ...(retryInMs === undefined ? {} : { retryInMs }),
    };
  } catch (error) {
    const code = error instanceof AntirioError ? error.code : 'internal';
    return { ok: false, code, message: error instanceof Error ? error.message : String(error) };
  }
}
