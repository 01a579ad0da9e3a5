import type { HttpPeer } from '@antirio/host';
import { z } from 'zod';
import {
  AntirioError,
  isAntirioError,
  signDocument,
  toHex,
  type EdgeId,
  type Identity,
} from '@antirio/kernel';
import { EPOCH_REQUEST_KIND, RING_ROOT_KIND, signedRingRoot } from '@antirio/ledger-machine';
import {
  edgeId,
  type CallArgs,
  type ContractTerms,
  type ShownBeat,
  type SignedBackAsk,
} from '@antirio/service-contract';
import { backAskOf } from './asked-back.ts';
import type { ArbitratorPorts } from './options.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PartyRooms } from './party-rooms.ts';
import { isRefusal, type PatientSubmit } from './patient-submit.ts';
import { neighbourCall } from './peers.ts';
import {
  openShare,
  releasedShare,
  type DividedKeys,
  type KeptPackage,
  type ReleasedShare,
} from './sealed-keys.ts';

export interface CallDependencies {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: LedgerClient;
  readonly submitPatiently: PatientSubmit;
  readonly rooms: PartyRooms;
  readonly divided: () => Promise<DividedKeys>;
  /** The newest package that the customer gave us, or that of one version. */
  readonly given: (keyVersion?: number) => KeptPackage | undefined;
  readonly ports: Pick<ArbitratorPorts, 'random' | 'clock'>;
  /** What the customer asked for by itself, signed, while we served under this epoch. */
  readonly askedBack: (epoch: number) => SignedBackAsk | undefined;
}

type RootRooms = Pick<PartyRooms, 'ring' | 'ringRoot'>;
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

const openAnswer = z.object({
  opening: z.int(),
  releases: z.array(z.object({ holder: edgeId, share: releasedShare })),
});
const shareAnswer = z.object({ share: releasedShare });

function escrow(
  deps: CallDependencies,
  holder: EdgeId,
  contractId: string,
  what: 'share' | 'release',
  json: unknown,
): Promise<unknown> {
  const to = holder === deps.terms.central ? 'central' : holder;
  const path = `/arbitrator/v1/escrow/${contractId}/${what}`;
  return neighbourCall(deps.peers, to, 'arbitrator', { method: 'POST', path, json });
}

/** That it is the share which the customer gave this holder, and no other. @throws AntirioError corrupt, notFound */
function checkShare({ given, identity }: CallDependencies, holder: EdgeId, share: ReleasedShare): void {
  const kept = given(share.keyVersion);
  if (kept === undefined) throw new AntirioError('notFound', `no keys of version ${share.keyVersion}`);
  openShare(identity, kept.header?.body, holder, share.box);
}

function isShare(deps: CallDependencies, holder: EdgeId, share: ReleasedShare): boolean {
  try {
    checkShare(deps, holder, share);
    return true;
  } catch (error) {
    if (isAntirioError(error, 'corrupt')) return false;
    throw error;
  }
}

/** Our word on all that our ring under this contract has now. */
export async function signedRootOf({
  terms,
  identity,
  rooms,
}: Pick<CallDependencies, 'terms' | 'identity'> & { rooms: RootRooms }) {
  const { contractId } = terms;
  const { next } = await rooms.ring(terms);
  const through = next - 1;
  const tree = await rooms.ringRoot(contractId, through);
  return signedRingRoot.parse(signDocument(identity, RING_ROOT_KIND, { contractId, ...tree, through }));
}

/**
 * Before what we state is compared: then it is too late. A ledger that knows no such word is told nothing; one that has no time for it
 * now has to hear it first.
 */
async function tellAsked(ledger: LedgerClient, contractId: string, ask: SignedBackAsk): Promise<void> {
  try {
    await ledger.submit({ type: 'drill/back-asked', contractId, ask });
  } catch (error) {
    if (!isRefusal(error) || isAntirioError(error, 'gone')) throw error;
  }
}

/** The beat is evidence, and nothing waits for it: a centre of before knows none, and one that it refuses is left out. */
async function askToOpen(
  deps: CallDependencies,
  json: object,
  beat: ShownBeat | undefined,
): Promise<unknown> {
  if (beat === undefined) return central(deps, 'open', json);
  try {
    return await central(deps, 'open', { ...json, beat });
  } catch (error) {
    if (!isAntirioError(error, 'invalidInput')) throw error;
    return central(deps, 'open', json);
  }
}

/** How each of a machine's calls is made: to the ledger with our signature, or to the other arbitrators. */
const perform: Perform = {
  ready: ({ ledger }, args) => ledger.submit({ type: 'contract/ready', ...args, evidence: {} }),
  degrade: ({ ledger }, args) => ledger.submit({ type: 'contract/degrade', ...args }),
  witness: (deps, args) => central(deps, 'witness', args),
  async open(deps, { contractId, from, evidence, word, beat }) {
    const commitment = await signedRootOf(deps);
    const keyVersion = deps.given()?.keyVersion ?? 1;
    const json = { contractId, root: commitment, evidence: { ...evidence, from }, word, keyVersion };
    const answer = await askToOpen(deps, json, beat);
    const opened = openAnswer.safeParse(answer);
    if (!opened.success) return answer;
    const { opening, releases } = opened.data;
    // One bad share keeps nobody from asking the other holders.
    const good = releases.filter(({ holder, share }) => isShare(deps, holder, share));
    const badShares = releases.filter((one) => !good.includes(one)).map(({ holder }) => holder);
    return { opening, releases: good, badShares };
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
  release: ({ ledger, terms }, { epoch, counters, bootId }) =>
    ledger.submit({ type: 'epoch/release', setId: terms.set.setId, epoch, counters, bootId }),
  async statement({ ledger, askedBack, terms }, { statement, counters }) {
    const ask = askedBack(statement.epoch);
    if (ask !== undefined) await tellAsked(ledger, terms.contractId, ask);
    return ledger.submit({ type: 'contract/statement', statement, counters });
  },
  close: ({ submitPatiently }, { contractId }) =>
    submitPatiently('close', { type: 'contract/close', contractId }),
  rekeyed: ({ ledger }, counted) => ledger.submit({ type: 'contract/rekeyed', ...counted }),
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
  async keyShare(deps, { contractId, holder }) {
    const { forHolders } = await deps.divided();
    const json = forHolders.find((one) => one.holder === holder)?.delivery;
    return escrow(deps, holder, contractId, 'share', json);
  },
  async share(deps, { contractId, holder, opening }) {
    const answer = await escrow(deps, holder, contractId, 'release', { opening });
    const released = shareAnswer.safeParse(answer);
    if (!released.success) return answer;
    checkShare(deps, holder, released.data.share);
    return released.data;
  },
  async rekey({ ledger, given }, { keyVersion }) {
    const header = given(keyVersion)?.header;
    if (header === undefined) throw new AntirioError('notFound', `no keys of version ${keyVersion}`);
    return ledger.submit({ type: 'contract/rekey', header });
  },
  async return({ peers, terms, identity, ports }, { contractId, epoch }) {
    const path = `/arbitrator/v1/contract/${contractId}/return`;
    const asking = (json: object): Promise<unknown> =>
      neighbourCall(peers, terms.provider, 'arbitrator', { method: 'POST', path, json });
    const ask = backAskOf(terms, epoch, { identity, clock: ports.clock });
    if (ask === undefined) return asking({ epoch });
    try {
      return await asking({ epoch, ask });
    } catch (error) {
      // a provider of before knows no signed wish
      if (!isAntirioError(error, 'invalidInput')) throw error;
      return asking({ epoch });
    }
  },
  acts: (deps, args) => central(deps, 'acts', args),
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

/** Nothing is asked of a ledger that is not the one that was seen before. */
export const ROLLED_BACK: CallOutcome = { ok: false, code: 'unavailable', message: 'ledgerRolledBack' };

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
