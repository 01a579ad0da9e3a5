import { z } from 'zod';
import { parseInput } from '@antirio/host';
import {
  AntirioError,
  openSealed,
  sealTo,
  type Clock,
  type EdgeId,
  type Identity,
  type SealedBox,
} from '@antirio/kernel';
import { signedEpochRequest, signedRingRoot } from '@antirio/ledger-machine';
import { edgeId, evidence, handbackStatement, type ContractTerms } from '@antirio/service-contract';
import type { Grantor, SetRecord } from './grantor.ts';
import type { GrantorStore } from './grantor-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { sealedBox } from './sealed-keys.ts';
import type { Witness } from './witness.ts';

export const witnessRequest = z.strictObject({ contractId: z.uuid() });
export const openRequest = z.strictObject({
  contractId: z.uuid(),
  root: signedRingRoot,
  evidence: evidence.extend({ from: z.int().min(0) }),
});
export const takeRequest = z.strictObject({ contractId: z.uuid(), request: signedEpochRequest });
export const shareRequest = z.strictObject({
  contractId: z.uuid(),
  keyVersion: z.int().min(1),
  share: sealedBox,
});

const contractRecord = z.looseObject({
  setId: z.string(),
  life: z.looseObject({ state: z.string() }),
  openings: z.int(),
  activation: z.looseObject({ epoch: z.int() }).optional(),
});
type ContractRecord = z.output<typeof contractRecord>;
const statementRecord = z.looseObject({ statement: handbackStatement });

/** Refusals that are part of the protocol: the asking machine knows what to make of them. */
export interface Refused {
  readonly refused: string;
  readonly retryInMs?: number;
}

export interface CentralDependencies {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly ledger: LedgerClient;
  readonly grantor: Grantor;
  readonly store: GrantorStore;
  readonly witness: Witness;
}

export interface CentralCalls {
  witness(peer: string, request: z.output<typeof witnessRequest>): Promise<{ readonly heard: boolean }>;
  keyShare(peer: string, request: z.output<typeof shareRequest>): Promise<Record<string, never>>;
  open(
    peer: string,
    request: z.output<typeof openRequest>,
  ): Promise<{ readonly share: SealedBox | null; readonly epoch: number } | Refused>;
  take(
    peer: string,
    request: z.output<typeof takeRequest>,
  ): Promise<{ readonly epoch: number; readonly actAfterMs: number } | Refused>;
  record(peer: string | undefined, contractId: string): Promise<unknown>;
}

const VERDICT_COUNTS_MS = 3000;
const padded = (n: number): string => String(n).padStart(12, '0');

export function createCentralCalls(deps: CentralDependencies): CentralCalls {
  const { identity, clock, ledger, grantor, store, witness } = deps;
  /** When each contract was last opened, on our monotonic clock; a restart forgets it and errs towards the customer. */
  const openedAt = new Map<string, number>();

  const termsFor = async (
    contractId: string,
    peer: string,
    ...roles: ('customer' | 'provider')[]
  ): Promise<ContractTerms> => {
    const terms = await grantor.termsOf(contractId);
    if (terms === undefined) throw new AntirioError('notFound', `no contract ${contractId} on the ledger`);
    if (!roles.some((role) => terms[role] === peer))
      throw new AntirioError('forbidden', `only the ${roles.join(' or ')} may ask this`);
    return terms;
  };
  const contractOf = async (contractId: string): Promise<ContractRecord> =>
    parseInput(contractRecord, await ledger.read(`contract/${contractId}`));
  const setFor = async (terms: ContractTerms): Promise<SetRecord> => {
    const set = await grantor.setOf(terms.set.setId);
    if (set === undefined) throw new AntirioError('notFound', `no set ${terms.set.setId} on the ledger`);
    return set;
  };

  /** Our share, sealed anew to the provider; null where it holds the whole key already. */
  const shareFor = async (terms: ContractTerms): Promise<SealedBox | null> => {
    if (terms.opening === 'autonomous') return null;
    const kept = store.share(terms.contractId);
    if (kept === undefined)
      throw new AntirioError('conflict', 'the customer has not given its key share to the arbitrator');
    return sealTo(await ledger.sealKeyOf(terms.provider), openSealed(identity, kept.share));
  };

  const lives = async (customer: EdgeId): Promise<boolean> =>
    !witness.foundDead(customer, VERDICT_COUNTS_MS) && (await witness.ask(customer));

  /** The keys are open by right already: asking again after a restart changes nothing. */
  const lateProof = (contract: ContractRecord, set: SetRecord, terms: ContractTerms): boolean =>
    ['ACTIVE', 'RETURNING', 'HANDED_BACK'].includes(contract.life.state) || set.holder === terms.provider;

  /** When the holder's lease ended, in the ledger's time; null where it released its epoch instead. */
  const leaseEnd = (setId: string, ended: boolean): number | null => {
    const now = clock.monotonic();
    const until = grantor.lastPromise(setId)?.until ?? now;
    return ended ? Math.floor(clock.now() - Math.max(0, now - until)) : null;
  };

  return {
    async witness(peer, { contractId }) {
      const terms = await termsFor(contractId, peer, 'provider');
      return { heard: await witness.ask(terms.customer) };
    },

    async keyShare(peer, { contractId, keyVersion, share }) {
      await termsFor(contractId, peer, 'customer');
      openSealed(identity, share);
      store.putShare(contractId, keyVersion, share);
      return {};
    },

    async open(peer, { contractId, root, evidence: shown }) {
      const terms = await termsFor(contractId, peer, 'provider');
      const [contract, set] = await Promise.all([contractOf(contractId), setFor(terms)]);
      if (contract.life.state === 'SETTLED') throw new AntirioError('gone', 'the contract is settled');
      const again = openedAt.has(contractId) || lateProof(contract, set, terms);
      if (!again && terms.opening === 'witnessed' && (await lives(terms.customer)))
        return { refused: 'customerLives' };
      const share = await shareFor(terms);
      if (!again) {
        const keyVersion = store.share(contractId)?.keyVersion ?? 1;
        await ledger.submit({ type: 'contract/open', contractId, root, keyVersion, evidence: shown });
        openedAt.set(contractId, clock.monotonic());
      }
      return { share, epoch: set.epoch };
    },

    async take(peer, { contractId, request }) {
      const terms = await termsFor(contractId, peer, 'provider', 'customer');
      const { setId } = terms.set;
      const set = await setFor(terms);
      if (request.by !== peer || request.body.setId !== setId)
        throw new AntirioError('forbidden', 'the request is signed by or for another');
      const expected = request.body.epoch;
      // The answer to the same request was lost on its way: as before, with the longest wait.
      if (set.epoch === expected + 1 && set.holder === peer)
        return { epoch: set.epoch, actAfterMs: 2 * terms.leaseMs };
      const verdict = grantor.mayTake(set, setId, expected, terms.leaseMs);
      if (!verdict.ok) return refusal(verdict, terms, peer);
      const endedAt = leaseEnd(setId, verdict.leaseEnded);
      const customers = set.holder === terms.customer;
      await ledger.submit({
        type: 'epoch/take',
        request,
        customerLeaseEndedAt: customers ? endedAt : null,
        holderLeaseEndedAt: customers ? null : endedAt,
        evidence: {},
      });
      grantor.taken(setId);
      openedAt.delete(contractId);
      return { epoch: expected + 1, actAfterMs: Math.ceil(verdict.actAfterMs) };
    },

    async record(peer, contractId) {
      if (peer !== undefined) await termsFor(contractId, peer, 'provider', 'customer');
      const contract = await contractOf(contractId);
      const set = parseInput(
        z.looseObject({
          epoch: z.int(),
          holder: edgeId,
          released: z.looseObject({ epoch: z.int() }).optional(),
        }),
        await ledger.read(`set/${contract.setId}`),
      );
      const epoch = contract.activation?.epoch;
      const stated =
        epoch === undefined
          ? undefined
          : await ledger.read(`statement/${contractId}/${padded(epoch)}/provider`);
      const handback = stated === undefined ? undefined : parseInput(statementRecord, stated).statement;
      return {
        state: contract.life.state,
        epoch: set.epoch,
        holder: set.holder,
        released: set.released?.epoch === set.epoch,
        ...(handback === undefined
          ? {}
          : { handback: { epoch: handback.epoch, from: handback.from, through: handback.through } }),
      };
    },
  };

  function refusal(
    verdict: Extract<ReturnType<Grantor['mayTake']>, { ok: false }>,
    terms: ContractTerms,
    peer: EdgeId | string,
  ): Refused {
    const { reason, retryInMs } = verdict;
    const since = openedAt.get(terms.contractId);
    const promised = grantor.lastPromise(terms.set.setId);
    // The customer has asked for its lease since the keys were opened: it is up, and keeps its epoch.
    const back =
      reason === 'leaseRuns' &&
      peer === terms.provider &&
      since !== undefined &&
      (promised?.madeAt ?? 0) > since;
    if (back) {
      openedAt.delete(terms.contractId);
      return { refused: 'customerHolds' };
    }
    return { refused: reason, retryInMs: Math.min(Math.ceil(retryInMs), 250) };
  }
}
