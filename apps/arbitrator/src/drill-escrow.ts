import { z } from 'zod';
import type { HttpRim, Log } from '@antirio/host';
import {
  AntirioError,
  isAntirioError,
  openSealed,
  parseEdgeId,
  sealTo,
  type Identity,
} from '@antirio/kernel';
import { holdersOf, mayReleaseDrill, type ContractTerms } from '@antirio/service-contract';
import { DRILL_VERSIONS_KEPT, drillTermsOf } from './drill-keys.ts';
import { readDrills } from './drill-ledger.ts';
import { ledgerTerms } from './escrow-holder.ts';
import type { EscrowStore } from './escrow-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import {
  checkHeader,
  openShare,
  shareDelivery,
  type ReleasedShare,
  type ShareDelivery,
} from './sealed-keys.ts';

const idParam = z.object({ id: z.uuid() });
const releaseRequest = z.strictObject({ drill: z.int().min(1) });

export interface DrillEscrowDependencies {
  readonly identity: Identity;
  readonly ledger: LedgerClient;
  readonly store: EscrowStore;
  readonly log: Log;
}

/** Keeps shares of drill keys, which open nothing but drills, and gives each against a drill that it has read from the ledger itself. */
export interface DrillEscrow {
  /** @throws AntirioError forbidden, unauthenticated, invalidInput, corrupt, busy */
  keep(peer: string, contractId: string, delivery: ShareDelivery): Promise<{ readonly keyVersion: number }>;
  release(
    peer: string,
    contractId: string,
    drill: number,
  ): Promise<{ readonly share: ReleasedShare } | { readonly refused: string }>;
}

export function createDrillEscrow({ identity, ledger, store, log }: DrillEscrowDependencies): DrillEscrow {
  const holder = parseEdgeId(identity.edgeId);
  const refusalOf = async (
    peer: string,
    terms: ContractTerms,
    number: number,
  ): Promise<{ readonly refused: string } | { readonly keyVersion: number }> => {
    const found = await readDrills(ledger, terms);
    const drill = found?.newest;
    if (found === undefined || drill === undefined) return { refused: 'noDrill' };
    const asked = { terms, asker: parseEdgeId(peer), holder, newest: number, ledger: found };
    const refused = mayReleaseDrill({ ...asked, drill });
    return refused === undefined ? { keyVersion: drill.keyVersion } : { refused };
  };
  return {
    async keep(peer, contractId, delivery) {
      const terms = await ledgerTerms(ledger, contractId);
      if (peer !== terms.customer)
        throw new AntirioError('forbidden', 'only the customer gives shares of its keys');
      if (terms.drills.perMonth === 0 || !holdersOf(terms).includes(holder))
        throw new AntirioError('forbidden', 'we hold no share for drills of this contract');
      checkHeader(drillTermsOf(terms), delivery.header);
      const { body } = delivery.header;
      openShare(identity, body, holder, delivery.share);
      if (store.newest(contractId) === undefined)
        throw new AntirioError('busy', 'the share of the contract’s own keys comes first');
      store.putDrill(contractId, body.keyVersion, delivery, DRILL_VERSIONS_KEPT);
      return { keyVersion: body.keyVersion };
    },
    async release(peer, contractId, number) {
      const terms = await ledgerTerms(ledger, contractId);
      const found = await refusalOf(peer, terms, number);
      if ('refused' in found) return found;
      const { keyVersion } = found;
      const kept = store.drillShare(contractId, keyVersion);
      if (kept === undefined) return { refused: 'noShare' };
      const box = sealTo(await ledger.sealKeyOf(terms.provider), openSealed(identity, kept));
      // Before the share leaves, as with the real ones.
      try {
        await ledger.submit({ type: 'drill/release', contractId, drill: number });
      } catch (error) {
        if (isAntirioError(error, 'conflict')) return { refused: 'drillOver' };
        throw error;
      }
      log.info(
        { contract: contractId, drill: number, keyVersion },
        'our share of the drill keys was released',
      );
      return { share: { keyVersion, box } };
    },
  };
}

/** What customers and providers ask of a holder for drills, through edge2edge. */
export function addDrillEscrowRoutes(rim: HttpRim, escrow: DrillEscrow): void {
  const base = '/arbitrator/v1/escrow/:id';
  const peerOf = (request: { get(name: string): string | undefined }): string => {
    const peer = request.get('x-antirio-peer');
    if (peer !== undefined) return peer;
    throw new AntirioError('unauthenticated', 'only edges ask a holder, through edge2edge');
  };
  const keeping = { summary: 'our share of a contract’s drill keys', params: idParam, body: shareDelivery };
  rim.route('post', `${base}/drill-share`, keeping, ({ params, body, request }) =>
    escrow.keep(peerOf(request), params.id, body),
  );
  const releasing = {
    ...{ summary: 'our share of the drill keys for the provider, against a drill on the ledger' },
    ...{ params: idParam, body: releaseRequest },
  };
  rim.route('post', `${base}/drill-release`, releasing, ({ params, body, request }) =>
    escrow.release(peerOf(request), params.id, body.drill),
  );
}
