import { z } from 'zod';
import { parseInput } from '@antirio/host';
import type { Clock, EdgeId } from '@antirio/kernel';
import {
  contractTerms,
  edgeId,
  promise,
  takeable,
  type Datagram,
  type EpochRecord,
  type LeasePromise,
  type ContractTerms,
} from '@antirio/service-contract';
import type { GrantorStore } from './grantor-store.ts';
import type { LedgerClient } from './ledger-client.ts';

const setRecord = z.looseObject({
  epoch: z.int(),
  holder: edgeId,
  customer: edgeId,
  contracts: z.array(z.string()),
  released: z.looseObject({ epoch: z.int() }).optional(),
});
export type SetRecord = z.output<typeof setRecord>;
const termsRecord = z.looseObject({ terms: contractTerms });

/** What the grantor knows of its leases; nothing of it survives a restart, and its silence after one makes that safe. */
export interface Grantor {
  termsOf(contractId: string): Promise<ContractTerms | undefined>;
  setOf(setId: string): Promise<SetRecord | undefined>;
  /** The answer to a lease request; undefined where there is none to give. */
  lease(
    from: EdgeId,
    request: Extract<Datagram, { kind: 'leaseRequest' }>['body'],
  ): Promise<Datagram | undefined>;
  mayTake(set: SetRecord, setId: string, expected: number, leaseMs: number): ReturnType<typeof takeable>;
  /** When the newest promise for the set was made and until when it runs, monotonic ms. */
  lastPromise(setId: string): (LeasePromise & { readonly madeAt: number }) | undefined;
  /** The set's epoch changed: what was promised under the old one is over. */
  taken(setId: string): void;
}

export function recordOf(set: SetRecord): EpochRecord {
  return { epoch: set.epoch, holder: set.holder, released: set.released?.epoch === set.epoch };
}

const TERMS_KEPT = 1000;

export function createGrantor(ledger: LedgerClient, store: GrantorStore, clock: Clock): Grantor {
  const startedAt = clock.monotonic();
  const promises = new Map<string, LeasePromise & { readonly madeAt: number }>();
  const terms = new Map<string, ContractTerms>();

  const setOf = async (setId: string): Promise<SetRecord | undefined> => {
    const record = await ledger.read(`set/${setId}`);
    return record === undefined ? undefined : parseInput(setRecord, record);
  };
  const termsOf = async (contractId: string): Promise<ContractTerms | undefined> => {
    const known = terms.get(contractId);
    if (known !== undefined) return known;
    const record = await ledger.read(`terms/${contractId}`);
    if (record === undefined) return undefined;
    const found = parseInput(termsRecord, record).terms;
    if (terms.size >= TERMS_KEPT) terms.clear();
    terms.set(contractId, found);
    return found;
  };
  /** The terms that set this set's lease: those of any of its contracts, which agree. */
  const leaseTerms = async (set: SetRecord, from: EdgeId): Promise<ContractTerms | undefined> => {
    for (const contractId of [...set.contracts].reverse()) {
      const found = await termsOf(contractId);
      if (found !== undefined && (found.customer === from || found.provider === from)) return found;
    }
    return undefined;
  };
  return {
    termsOf,
    setOf,
    lastPromise: (setId) => promises.get(setId),
    taken: (setId) => void promises.delete(setId),
    mayTake(set, setId, expected, leaseMs) {
      return takeable(recordOf(set), promises.get(setId), expected, leaseMs, startedAt, clock.monotonic());
    },
    async lease(from, { setId, epoch, nonce, reserve }) {
      // Counted from here: what follows may wait for the ledger.
      const receivedAt = clock.monotonic();
      const set = await setOf(setId);
      if (set === undefined) return undefined;
      const agreed = await leaseTerms(set, from);
      const leaseMs = agreed?.leaseMs ?? DEFAULT_LEASE_MS;
      const slot =
        agreed === undefined
          ? undefined
          : from === agreed.customer
            ? agreed.slots.customer
            : agreed.slots.provider;
      const answer = promise(
        recordOf(set),
        promises.get(setId),
        { epoch, by: from, leaseMs },
        startedAt,
        receivedAt,
      );
      if (!answer.ok) {
        if (answer.reason === 'restarted') return undefined;
        const body = { setId, epoch, nonce, reason: answer.reason, current: set.epoch, holder: set.holder };
        return { kind: 'leaseRefused', body };
      }
      promises.set(setId, { ...answer.promise, madeAt: receivedAt });
      const blocks = store.reserve(
        setId,
        slot === undefined ? [] : reserve.filter((one) => one.slot === slot),
      );
      return { kind: 'leaseGrant', body: { setId, epoch, nonce, blocks } };
    },
  };
}

const DEFAULT_LEASE_MS = 3000;
