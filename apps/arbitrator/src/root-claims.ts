import { z } from 'zod';
import type { HttpPeer, Log } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, verifyDocument, type Clock } from '@antirio/kernel';
import { RING_ROOT_KIND, contradict, keys, refuseSpeaker, signedRingRoot } from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import type { CentralFacts } from './central-facts.ts';
import type { ContractStore } from './contract-store.ts';
import { belowRoot } from './dispute-watch.ts';
import type { LedgerClient } from './ledger-client.ts';
import { neighbourCall } from './peers.ts';

/** Two roots of one ring that its provider cannot both have signed: its customer claims, the arbitrator rules. */

export const contradictionRequest = z.strictObject({
  contractId: z.uuid(),
  roots: z.tuple([signedRingRoot, signedRingRoot]),
});
export const belowRootRequest = z.strictObject({ contractId: z.uuid() });
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

type Facts = Pick<CentralFacts, 'termsFor' | 'termsOf' | 'setOf'>;
type Ledger = Pick<LedgerClient, 'submit' | 'fetch'>;
/** Who asks, and when, by the ledger's time. */
interface Asking {
  readonly peer: string;
  readonly now: number;
}

/** The terms, where the customer claims, or who speaks for it. @throws AntirioError notFound, forbidden, gone, conflict */
async function claimantTerms(
  facts: Facts,
  ledger: Ledger,
  { peer, now }: Asking,
  contractId: string,
): Promise<{ readonly terms: ContractTerms; readonly isSpoken: boolean }> {
  const found = await facts.termsOf(contractId);
  const appointed =
    found === undefined || found.customer === peer || found.provider === peer
      ? undefined
      : await ledger.fetch(keys.speaker(found.customer));
  if (found === undefined || appointed?.speaker !== peer)
    return { terms: await facts.termsFor(contractId, peer, 'customer'), isSpoken: false };
  const refused = refuseSpeaker(appointed, appointed.speaker, 'roots', now);
  if (refused !== undefined) throw new AntirioError(refused.code, refused.message);
  return { terms: found, isSpoken: true };
}

/**
 * The arbitrator's: nothing of it is the customer's word, both roots are the provider's own.
 * @throws AntirioError forbidden, unauthenticated; conflict while the provider serves; gone where the contract is settled
 */
export async function judgeContradiction(
  facts: Facts,
  ledger: Ledger,
  asking: Asking,
  { contractId, roots }: ContradictionRequest,
): Promise<{ readonly ruled: 'contradictingRoots' }> {
  const { terms, isSpoken } = await claimantTerms(facts, ledger, asking, contractId);
  const { provider, set } = terms;
  const isProviders = roots.every((root) => isRootOf(root, contractId, provider));
  if (!isProviders)
    throw new AntirioError('unauthenticated', 'the provider has not signed both of these roots');
  if (!contradict(roots[0].body, roots[1].body))
    throw new AntirioError('forbidden', 'the two roots do not contradict each other');
  // the claim comes again every few seconds, and each refusal would stay on the ledger
  const { holder, epoch, released } = await facts.setOf(set.setId);
  if (holder === provider && !(isSpoken && released?.epoch === epoch))
    throw new AntirioError('conflict', 'the provider serves: it is ruled once that is over');
  const evidence = { kind: 'contradictingRoots' as const, roots };
  await ledger.submit({ type: 'contract/rule', contractId, ruling: { row: 'providerBreach', evidence } });
  return { ruled: 'contradictingRoots' };
}

const STATED: ReadonlySet<string> = new Set(['RETURNING', 'HANDED_BACK']);

/**
 * The same where a provider states less than it had signed for at its opening, and its customer makes no statement that would differ: all
 * of it is on the ledger. @throws AntirioError forbidden where it is not so; conflict while the provider serves
 */
export async function judgeBelowRoot(
  facts: Facts,
  ledger: Ledger,
  asking: Asking,
  { contractId }: z.output<typeof belowRootRequest>,
): Promise<{ readonly ruled: 'statementBelowRoot' }> {
  await claimantTerms(facts, ledger, asking, contractId);
  const contract = await ledger.fetch(keys.contract(contractId));
  if (contract === undefined || !STATED.has(contract.life.state))
    throw new AntirioError('conflict', 'the provider serves, or the contract is over');
  const ruling = await belowRoot(ledger, contract);
  if (ruling === undefined)
    throw new AntirioError('forbidden', 'the provider has stated no less than it had signed for');
  await ledger.submit(ruling);
  return { ruled: 'statementBelowRoot' };
}

/** Whether it is the provider's word on its ring for this contract. */
export function isRootOf(
  root: z.output<typeof signedRingRoot>,
  contractId: string,
  provider: string,
): boolean {
  return root.by === provider && root.body.contractId === contractId && verifyDocument(root, RING_ROOT_KIND);
}
