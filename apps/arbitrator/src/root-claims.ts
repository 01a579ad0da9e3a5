import { z } from 'zod';
import type { HttpPeer, Log } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, verifyDocument, type Clock } from '@antirio/kernel';
import { RING_ROOT_KIND, contradict, signedRingRoot } from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import type { CentralFacts } from './central-facts.ts';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { neighbourCall } from './peers.ts';

/** Two roots of one ring that its provider cannot both have signed: its customer claims, the arbitrator rules. */

export const contradictionRequest = z.strictObject({
  contractId: z.uuid(),
  roots: z.tuple([signedRingRoot, signedRingRoot]),
});
export type ContradictionRequest = z.output<typeof contradictionRequest>;

/** Under which a customer keeps the two. */
export const CONTRADICTION = 'ringRootsContradict';
const CLAIMED = 'ringRootsClaimed';
const AGAIN_MS = 5000;
/** What no other try would change; while the provider serves the ledger rules nothing yet. */
const FINAL = ['forbidden', 'gone', 'invalidInput', 'unauthenticated'] as const;

export interface RootClaimPorts {
  readonly terms: ContractTerms;
  readonly clock: Clock;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly store: ContractStore;
  readonly log: Log;
}

/** The customer's: has the arbitrator rule what it has kept, until that is done, once. */
export function createRootClaim({ terms, clock, peers, store, log }: RootClaimPorts): {
  look(): Promise<void>;
} {
  const { contractId } = terms;
  let triedAt = -Infinity;
  const end = (outcome: string): void => {
    store.putDocument(contractId, CLAIMED, { outcome });
    const at = { at: clock.now(), monotonic: clock.monotonic() };
    store.note(contractId, { ...at, milestone: 'rootsClaimed', detail: { outcome } });
  };
  return {
    async look() {
      const now = clock.monotonic();
      const roots = store.document(contractId, CONTRADICTION);
      if (!roots || now - triedAt < AGAIN_MS || store.document(contractId, CLAIMED) !== undefined) return;
      triedAt = now;
      const path = '/arbitrator/v1/central/contradicting-roots';
      const call = { method: 'POST', path, json: { contractId, roots } } as const;
      try {
        await neighbourCall(peers, 'central', 'arbitrator', call);
        end('providerBreach');
        log.error(
          'the provider signed two roots of its ring that contradict each other: it is ruled in breach',
        );
      } catch (error) {
        if (!FINAL.some((code) => isAntirioError(error, code))) throw error;
        end(describeError(error));
      }
    },
  };
}

/**
 * The arbitrator's: nothing of it is the customer's word, both roots are the provider's own.
 * @throws AntirioError forbidden, unauthenticated; conflict while the provider serves; gone where the contract is settled
 */
export async function judgeContradiction(
  facts: Pick<CentralFacts, 'termsFor' | 'setOf'>,
  ledger: Pick<LedgerClient, 'submit'>,
  peer: string,
  { contractId, roots }: ContradictionRequest,
): Promise<{ readonly ruled: 'contradictingRoots' }> {
  const { provider, set } = await facts.termsFor(contractId, peer, 'customer');
  const isProviders = roots.every(
    (root) =>
      root.by === provider && root.body.contractId === contractId && verifyDocument(root, RING_ROOT_KIND),
  );
  if (!isProviders)
    throw new AntirioError('unauthenticated', 'the provider has not signed both of these roots');
  if (!contradict(roots[0].body, roots[1].body))
    throw new AntirioError('forbidden', 'the two roots do not contradict each other');
  // the claim comes again every few seconds, and each refusal would stay on the ledger
  if ((await facts.setOf(set.setId)).holder === provider)
    throw new AntirioError('conflict', 'the provider serves: it is ruled once that is over');
  const evidence = { kind: 'contradictingRoots' as const, roots };
  await ledger.submit({ type: 'contract/rule', contractId, ruling: { row: 'providerBreach', evidence } });
  return { ruled: 'contradictingRoots' };
}
