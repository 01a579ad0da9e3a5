import { callJson, parseInput } from '@antirio/host';
import {
  AntirioError,
  describeError,
  fromBase64,
  isAntirioError,
  signDocument,
  verifyDocument,
  type EdgeId,
} from '@antirio/kernel';
import {
  TERMS_KIND,
  contractTerms,
  drillProblem,
  escrowProblem,
  nothingDelivered,
  outageProblem,
  relayProblem,
  rootKeysProblem,
  termsHash,
  type ContractTerms,
} from '@antirio/service-contract';
import { z } from 'zod';
import type { ArbitratorPorts } from './options.ts';
import type { ContractStore, StoredContract } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { neighbourCall, peerNamed } from './peers.ts';

export const signRequest = z.strictObject({ terms: contractTerms, signature: z.string().max(128) });
const signAnswer = z.object({ signature: z.string() });

export interface Signing {
  /** Takes agreed terms on, durably, with our signature. The rest follows by `advance`. */
  propose(terms: ContractTerms): StoredContract;
  /** Our signature under terms that our own DMU agreed to. @throws AntirioError forbidden | conflict */
  countersign(peer: string, request: z.output<typeof signRequest>): Promise<StoredContract>;
  /** One more attempt to collect what a customer's contract still lacks. */
  advance(contract: StoredContract): Promise<StoredContract>;
}

function isSignature(by: EdgeId, terms: ContractTerms, signature: string): boolean {
  if (signature.length > 128 || fromBase64(signature).length !== 64) return false;
  return verifyDocument({ kind: TERMS_KIND, by, body: terms, signature }, TERMS_KIND);
}

function checkParties(terms: ContractTerms, ours: EdgeId, role: 'customer' | 'provider', now: number): void {
  if (terms[role] !== ours)
    throw new AntirioError('forbidden', `this edge is not the ${role} of these terms`);
  if (terms.customer === terms.provider) throw new AntirioError('invalidInput', 'a contract takes two edges');
  const problem =
    relayProblem(terms) ?? escrowProblem(terms) ?? drillProblem(terms) ?? rootKeysProblem(terms);
  if (problem !== undefined) throw new AntirioError('invalidInput', problem);
  if (terms.expiresAt <= now)
    throw new AntirioError('gone', 'these terms have expired', { expiresAt: terms.expiresAt });
}

/** Of terms that nobody has signed here yet. */
function checkNew(terms: ContractTerms): void {
  const problem = outageProblem(terms);
  if (problem !== undefined) throw new AntirioError('invalidInput', problem);
}

/** Two signatures over one canonical document, then the ledger's validation with both stakes. */
export function createSigning(ports: ArbitratorPorts, store: ContractStore, ledger: LedgerClient): Signing {
  const { identity, clock } = ports;
  const ours = (terms: ContractTerms): string => signDocument(identity, TERMS_KIND, terms).signature;

  const known = (terms: ContractTerms): StoredContract | undefined => {
    const contract = store.get(terms.contractId);
    if (contract !== undefined && termsHash(contract.terms) !== termsHash(terms))
      throw new AntirioError('conflict', 'a contract of this id has other terms', {
        contractId: terms.contractId,
      });
    return contract;
  };
  return {
    propose(terms) {
      checkParties(terms, identity.edgeId, 'customer', clock.now());
      const there = known(terms);
      if (there !== undefined) return there;
      checkNew(terms);
      const contract: StoredContract = { terms, role: 'customer', signatures: { customer: ours(terms) } };
      store.put(contract);
      return contract;
    },
    async countersign(peer, { terms, signature }) {
      checkParties(terms, identity.edgeId, 'provider', clock.now());
      if (peer !== terms.customer)
        throw new AntirioError('forbidden', 'only the customer may ask for our signature', { peer });
      if (!isSignature(terms.customer, terms, signature))
        throw new AntirioError('unauthenticated', 'the customer’s signature does not verify');
      const there = known(terms);
      if (there !== undefined) return there;
      checkNew(terms);
      try {
        await callJson(peerNamed(ports.peers, 'dmu'), { path: `/dmu/v1/agreed/${termsHash(terms)}` });
      } catch (error) {
        if (isAntirioError(error, 'notFound'))
          throw new AntirioError('forbidden', 'our DMU never agreed to these terms');
        throw error;
      }
      const contract: StoredContract = {
        terms,
        role: 'provider',
        signatures: { customer: signature, provider: ours(terms) },
        phase: { at: 'preparing' },
      };
      store.put(contract);
      return contract;
    },
    async advance(contract) {
      const { terms, signatures } = contract;
      const { contractId, provider } = terms;
      let { provider: theirs } = signatures;
      const { customer = ours(terms) } = signatures;
      try {
        if (theirs === undefined) {
          const path = `/arbitrator/v1/contract/${contractId}/sign`;
          const json = { terms, signature: customer };
          const answer = await neighbourCall(ports.peers, provider, 'arbitrator', {
            method: 'POST',
            path,
            json,
          });
          theirs = parseInput(signAnswer, answer).signature;
          if (!isSignature(provider, terms, theirs))
            throw new AntirioError('forbidden', 'the provider’s signature does not verify');
          store.put({ ...contract, signatures: { customer, provider: theirs } });
        }
        // Only the central arbitrator may: it is the one that holds the stakes.
        await neighbourCall(ports.peers, 'central', 'arbitrator', {
          method: 'POST',
          path: '/arbitrator/v1/central/validate',
          json: { terms, signatures: { customer, provider: theirs } },
        });
      } catch (error) {
        return refusedForGood(error, contract, theirs);
      }
      return armed({ ...contract, signatures: { customer, provider: theirs } });
    },
  };

  function armed(contract: StoredContract): StoredContract {
    const next: StoredContract = {
      ...contract,
      phase: { at: 'arming', keys: nothingDelivered },
    };
    store.put(next);
    return next;
  }

  async function refusedForGood(
    error: unknown,
    contract: StoredContract,
    theirs: string | undefined,
  ): Promise<StoredContract> {
    const there =
      theirs === undefined ? undefined : await ledger.read(`contract/${contract.terms.contractId}`);
    // Our validation went through before and only its answer was lost.
    if (there !== undefined) return armed(store.get(contract.terms.contractId) ?? contract);
    const final =
      error instanceof AntirioError &&
      ['forbidden', 'conflict', 'gone', 'invalidInput', 'unauthenticated'].includes(error.code);
    if (!final) throw error;
    const next: StoredContract = { ...contract, refused: describeError(error) };
    store.put(next);
    return next;
  }
}
