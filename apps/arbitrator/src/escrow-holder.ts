import { z } from 'zod';
import { parseInput, type HttpRim, type Log } from '@antirio/host';
import {
  AntirioError,
  isAntirioError,
  openSealed,
  parseEdgeId,
  sealTo,
  verifyDocument,
  type Identity,
} from '@antirio/kernel';
import { RING_ROOT_KIND, keys, ringRoot } from '@antirio/ledger-machine';
import {
  contractTerms,
  holdersOf,
  isEnded,
  mayRelease,
  type ContractTerms,
  type ReleaseFacts,
} from '@antirio/service-contract';
import type { EscrowStore } from './escrow-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import {
  checkHeader,
  openShare,
  shareDelivery,
  type ReleasedShare,
  type ShareDelivery,
} from './sealed-keys.ts';

/** How often shares of contracts that are over are destroyed. */
export const DESTROY_EVERY_MS = 600_000;

const MOST_VERSIONS = 16;

const idParam = z.object({ id: z.uuid() });
const releaseRequest = z.strictObject({ opening: z.int().min(1) });
const termsRecord = z.looseObject({ terms: contractTerms });
const openingRecord = z.looseObject({
  ...{ epoch: z.int(), at: z.int(), keyVersion: z.int(), root: ringRoot, rootSignature: z.string().max(128) },
});

export interface EscrowHolderDependencies {
  readonly identity: Identity;
  readonly ledger: LedgerClient;
  readonly store: EscrowStore;
  readonly log: Log;
  /** Contracts for which shares are kept at once. */
  readonly maxContracts: number;
}

/** Keeps shares of contracts' keys, and gives each to its provider against an opening that it has read from the ledger itself. */
export interface EscrowHolder {
  /** @throws AntirioError forbidden, unauthenticated, invalidInput, corrupt, busy */
  keep(peer: string, contractId: string, delivery: ShareDelivery): Promise<{ readonly keyVersion: number }>;
  release(
    peer: string,
    contractId: string,
    opening: number,
  ): Promise<{ readonly share: ReleasedShare } | { readonly refused: string }>;
  /** Our share sealed to the provider; undefined where we have none. Whoever calls answers for the opening. */
  shareFor(terms: ContractTerms, keyVersion: number): Promise<ReleasedShare | undefined>;
  /** Of the newest share that we have. */
  newestVersion(contractId: string): number | undefined;
  /** Shares of contracts that are over are destroyed. */
  sweep(): Promise<void>;
  held(): number;
}

/** @throws AntirioError notFound */
export async function ledgerTerms(
  ledger: Pick<LedgerClient, 'read'>,
  contractId: string,
): Promise<ContractTerms> {
  const record = await ledger.read(keys.terms(contractId));
  if (record === undefined) throw new AntirioError('notFound', `no contract ${contractId} on the ledger`);
  return parseInput(termsRecord, record).terms;
}

export function createEscrowHolder(deps: EscrowHolderDependencies): EscrowHolder {
  const { identity, ledger, store, log } = deps;
  const holder = parseEdgeId(identity.edgeId);

  const termsOf = (contractId: string): Promise<ContractTerms> => ledgerTerms(ledger, contractId);
  /** All of it from the ledger: what the asker says counts for nothing. */
  const factsOf = async (
    asker: string,
    terms: ContractTerms,
    number: number,
  ): Promise<ReleaseFacts & { keyVersion: number }> => {
    const { contractId } = terms;
    const [contract, set, found, now] = await Promise.all([
      ledger.fetch(keys.contract(contractId)),
      ledger.fetch(keys.set(terms.set.setId)),
      ledger.read(keys.opening(contractId, number)),
      ledger.time(),
    ]);
    const known = { terms, asker: parseEdgeId(asker), holder, now, epoch: set?.epoch ?? 0 };
    const { life, openings, activation } = contract ?? { life: { state: 'DRAFT' }, openings: 0 };
    const about = { state: life.state, openings, activation: activation?.epoch };
    if (found === undefined) return { ...known, contract: about, opening: undefined, keyVersion: 0 };
    const { epoch, at, keyVersion, root, rootSignature } = parseInput(openingRecord, found);
    const signed = { kind: RING_ROOT_KIND, by: terms.provider, body: root, signature: rootSignature };
    const rootIsProviders = root.contractId === contractId && verifyDocument(signed, RING_ROOT_KIND);
    return {
      ...known,
      contract: about,
      opening: { number, at, epoch, keyVersion, rootIsProviders },
      keyVersion,
    };
  };
  /**
   * What the provider is READY with may be opened, and what came after it; the one before may still be under way. Where too many
   * came, as while the provider is away, one between goes: it has the first ones after that, or will get the newest. To refuse
   * the newest instead would leave no version that all holders have a share of, for good.
   */
  const makeRoom = async (contractId: string, coming: number): Promise<void> => {
    const known = await ledger.fetch(keys.keys(contractId));
    const versions = store.versions(contractId);
    const before = versions.findLast((version) => version < (known?.version ?? 0));
    if (before !== undefined) store.keepFrom(contractId, before);
    const kept = store.versions(contractId);
    const between = kept[MOST_VERSIONS / 2];
    if (!kept.includes(coming) && kept.length >= MOST_VERSIONS && between !== undefined)
      store.drop(contractId, between);
  };
  const shareFor: EscrowHolder['shareFor'] = async (terms, keyVersion) => {
    const kept = store.get(terms.contractId, keyVersion);
    if (kept === undefined) return undefined;
    const box = sealTo(await ledger.sealKeyOf(terms.provider), openSealed(identity, kept));
    return { keyVersion, box };
  };

  return {
    shareFor,
    newestVersion: (contractId) => store.newest(contractId),
    held: () => store.contracts().length,
    async keep(peer, contractId, delivery) {
      const terms = await termsOf(contractId);
      if (peer !== terms.customer)
        throw new AntirioError('forbidden', 'only the customer gives shares of its keys');
      if (!holdersOf(terms).includes(holder))
        throw new AntirioError('forbidden', 'we hold no share of this contract');
      checkHeader(terms, delivery.header);
      const { body } = delivery.header;
      openShare(identity, body, holder, delivery.share);
      const all = store.contracts();
      if (!all.includes(contractId) && all.length >= deps.maxContracts)
        throw new AntirioError('busy', `shares of at most ${deps.maxContracts} contracts are kept at once`);
      await makeRoom(contractId, body.keyVersion);
      store.put(contractId, body.keyVersion, delivery);
      return { keyVersion: body.keyVersion };
    },
    async release(peer, contractId, opening) {
      const terms = await termsOf(contractId);
      const facts = await factsOf(peer, terms, opening);
      const allowed = mayRelease(facts);
      if (!allowed.ok) return { refused: allowed.error };
      const { keyVersion } = facts;
      const share = await shareFor(terms, keyVersion);
      if (share === undefined) return { refused: 'noShare' };
      // Before the share leaves: that it did is on the ledger, whatever becomes of us.
      // The ledger looks at all of it again, in its own time.
      try {
        await ledger.submit({ type: 'escrow/release', contractId, opening, keyVersion });
      } catch (error) {
        if (isAntirioError(error, 'conflict')) return { refused: 'openingTooOld' };
        throw error;
      }
      log.info({ contract: contractId, opening, keyVersion }, 'our share of the keys was released');
      return { share };
    },
    async sweep() {
      for (const contractId of store.contracts()) {
        const contract = await ledger.fetch(keys.contract(contractId));
        if (contract === undefined || !isEnded(contract.life)) continue;
        store.forget(contractId);
        log.info({ contract: contractId }, 'the contract is over: our share of its keys is destroyed');
      }
    },
  };
}

/** What customers and providers ask of a holder, through edge2edge. */
export function addEscrowRoutes(rim: HttpRim, holder: EscrowHolder): void {
  const base = '/arbitrator/v1/escrow/:id';
  const peerOf = (request: { get(name: string): string | undefined }): string => {
    const peer = request.get('x-antirio-peer');
    if (peer === undefined)
      throw new AntirioError('unauthenticated', 'only edges ask a holder, through edge2edge');
    return peer;
  };
  rim.route(
    'post',
    `${base}/share`,
    { summary: 'our share of a contract’s keys, from its customer', params: idParam, body: shareDelivery },
    ({ params, body, request }) => holder.keep(peerOf(request), params.id, body),
  );
  rim.route(
    'post',
    `${base}/release`,
    {
      summary: 'our share for the provider, against an opening on the ledger',
      params: idParam,
      body: releaseRequest,
    },
    ({ params, body, request }) => holder.release(peerOf(request), params.id, body.opening),
  );
}
