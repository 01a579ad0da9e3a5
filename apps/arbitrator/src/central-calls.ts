import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { AntirioError, parseEdgeId, type Clock, type EdgeId, type Identity } from '@antirio/kernel';
import {
  awaitsOpening,
  fullDrillCounts,
  keys,
  rentSoFar,
  SILENCE_MS,
  signedEpochRequest,
  signedRingRoot,
} from '@antirio/ledger-machine';
import {
  RELEASE_WINDOW_MS,
  actsWord,
  contractTerms,
  DEFAULT_LEASE_MS,
  disputeEndsAt,
  evidence,
  grantorChallenge,
  handbackStatement,
  holdersOf,
  isActsWordOf,
  isDrillWord,
  isWordNow,
  keepsOnly,
  shownBeat,
  signedWord,
  leaseRuns,
  quietMs,
  type CentralAnswer,
  type ContractRecord,
  type ContractTerms,
  type EpochRecord,
  type SignedWord,
  type Submission,
} from '@antirio/service-contract';
import { beatEvidence } from './beat-evidence.ts';
import { recordOf, type CentralFacts, type ContractRecord as LedgerContract } from './central-facts.ts';
import type { CentralHost } from './central-host.ts';
import type { EscrowHolder } from './escrow-holder.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { ReleasedShare } from './sealed-keys.ts';
import { judgeWrongKeys, readClaim, type claimRequest } from './wrong-keys.ts';

export const validateRequest = z.strictObject({
  terms: contractTerms,
  signatures: z.strictObject({ customer: z.string().max(128), provider: z.string().max(128) }),
});
export const witnessRequest = z.strictObject({ contractId: z.uuid() });
export const openRequest = z.strictObject({
  contractId: z.uuid(),
  root: signedRingRoot,
  evidence: evidence.extend({ from: z.int().min(0) }),
  /** The customer's, where it gave its service away. */
  word: signedWord.optional(),
  beat: shownBeat.optional(),
  /** Of the package that the provider holds. */
  keyVersion: z.int().min(1).default(1),
});
export const actsRequest = z.strictObject({ contractId: z.uuid(), word: actsWord });
export const takeRequest = z.strictObject({ contractId: z.uuid(), request: signedEpochRequest });
const statementRecord = z.looseObject({ statement: handbackStatement, at: z.number() });

/** Refusals that are part of the protocol: the asking machine knows what to make of them. */
export interface Refused {
  readonly refused: string;
  readonly retryInMs?: number;
}

export interface CentralDependencies {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly ledger: LedgerClient;
  readonly facts: CentralFacts;
  readonly host: CentralHost;
  readonly escrow: EscrowHolder;
}

/** The opening's number on the ledger, and the shares that we hold ourselves. */
export interface Opened {
  readonly opening: number;
  readonly releases: readonly { readonly holder: EdgeId; readonly share: ReleasedShare }[];
}

export interface CentralCalls {
  /** Brings terms that both signed to the ledger, which holds both stakes from then on. */
  validate(
    peer: string,
    request: z.output<typeof validateRequest>,
  ): Promise<Readonly<Record<string, unknown>>>;
  witness(peer: string, request: z.output<typeof witnessRequest>): Promise<{ readonly heard: boolean }>;
  open(peer: string, request: z.output<typeof openRequest>): Promise<Opened | Refused>;
  take(
    peer: string,
    request: z.output<typeof takeRequest>,
  ): Promise<{ readonly epoch: number; readonly actAfterMs: number } | Refused>;
  /**
   * Takes note that the customer, whom we may not hear, acts by this provider's promise among others.
   * @throws AntirioError forbidden where its word does not say so
   */
  acts(peer: string, request: z.output<typeof actsRequest>): Promise<{ readonly noted: true }>;
  /** Rules where the claim shows a breach. @throws AntirioError forbidden where it does not */
  wrongKeys(peer: string, request: z.output<typeof claimRequest>): Promise<{ readonly ruled: string }>;
  record(peer: string | undefined, contractId: string): Promise<ContractRecord>;
}

const padded = (n: number): string => String(n).padStart(12, '0');

/** How long new keys are still waited for, and how many there are. */
function rekeyingNow({ until, counted }: NonNullable<LedgerContract['rekeying']>, now: number) {
  const settlesInMs = Math.max(0, Math.ceil(until - now));
  return { closesInMs: settlesInMs, rekeying: { settlesInMs, counted } };
}

function refusalOf(answer: CentralAnswer): Refused {
  if (answer.kind !== 'refused')
    throw new AntirioError('internal', `an answer of another kind: ${answer.kind}`);
  const { reason, retryInMs } = answer;
  return { refused: reason, ...(retryInMs === undefined ? {} : { retryInMs }) };
}

export function createCentralCalls(deps: CentralDependencies): CentralCalls {
  const { identity, clock, ledger, facts, host, escrow } = deps;
  const self = parseEdgeId(identity.edgeId);

  /** Our own share, where we hold one: the opening on the ledger is signed by us, and is our release. */
  const ownShares = async (terms: ContractTerms, keyVersion: number): Promise<Opened['releases']> => {
    const holders = holdersOf(terms);
    if (!holders.includes(self)) return [];
    const share = await escrow.shareFor(terms, keyVersion);
    if (share !== undefined) return [{ holder: self, share }];
    if (holders.length > 1) return [];
    throw new AntirioError('conflict', 'the customer has not given its key share to the arbitrator');
  };
  /** The newest opening is of other keys, or too old for the holders to release anything against it. */
  const isStale = async (contractId: string, number: number, keyVersion: number): Promise<boolean> => {
    const opening = await ledger.fetch(keys.opening(contractId, number));
    if (opening === undefined) return false;
    return opening.keyVersion !== keyVersion || clock.now() - opening.at > RELEASE_WINDOW_MS / 2;
  };
  /** An opening for a full drill is one of its own, whatever was opened before: the ledger judges by it. */
  const isDrilledAnew = async (contractId: string, word: SignedWord | undefined): Promise<boolean> => {
    if (word === undefined || !isDrillWord(word)) return false;
    const contract = await ledger.fetch(keys.contract(contractId));
    if (contract === undefined) return false;
    const { started } = fullDrillCounts(contract, clock.now());
    return started > 0 && awaitsOpening(contract, await ledger.fetch(keys.fullDrill(contractId, started)));
  };
  /** Against the newest opening, of the keys that it names: those asked for may be others. */
  const openedNow = async (terms: ContractTerms): Promise<Opened> => {
    const { contractId } = terms;
    const { openings } = await facts.contractOf(contractId);
    const opening = await ledger.fetch(keys.opening(contractId, openings));
    if (opening === undefined) throw new AntirioError('conflict', 'the ledger has no opening of these keys');
    return { opening: openings, releases: await ownShares(terms, opening.keyVersion) };
  };
  /** What we promised, by our own memory. */
  const promised = (setId: string, record: EpochRecord, leaseMs: number) => {
    const { grantor } = host.state();
    const now = clock.monotonic();
    return {
      leaseRuns: leaseRuns(grantor, setId, record, leaseMs, now),
      quietMs: quietMs(grantor, setId, now),
      challenge: grantorChallenge(grantor, now),
    };
  };
  /** READY before the ledger kept versions: that of our share, which goes on opening what the provider has. */
  const oldVersion = (
    contractId: string,
    readyAt: number | undefined,
    terms: ContractTerms | undefined,
  ): number | undefined => {
    const hasNone = readyAt === undefined || (terms !== undefined && keepsOnly(terms));
    return hasNone ? undefined : (escrow.newestVersion(contractId) ?? 0);
  };
  /** How it stands with the provider's newest epoch. */
  const servedUnder = async (
    contractId: string,
    { life: { state }, rekeying, dispute, disputedAt }: LedgerContract,
    activation: { epoch: number; at: number },
    terms: Pick<ContractTerms, 'disputeS'>,
  ) => {
    const now = clock.now();
    const active = {
      activation: activation.epoch,
      activeForMs: Math.max(0, Math.round(now - activation.at)),
    };
    const stated = await ledger.read(`statement/${contractId}/${padded(activation.epoch)}/provider`);
    if (stated === undefined) return active;
    const { statement, at } = parseInput(statementRecord, stated);
    const { epoch, from, through } = statement;
    const closesAt =
      state === 'RETURNING'
        ? at + SILENCE_MS
        : state === 'HANDED_BACK'
          ? disputeEndsAt({ disputedAt }, terms)
          : undefined;
    const alone = closesAt === undefined ? {} : { closesInMs: Math.max(0, Math.ceil(closesAt - now)) };
    const closes = rekeying === undefined ? alone : rekeyingNow(rekeying, now);
    return { ...active, ...closes, dispute, handback: { epoch, from, through } };
  };
  const inLedgerTime = (endedMsAgo: number | null): number | null =>
    endedMsAgo === null ? null : Math.floor(clock.now() - endedMsAgo);

  return {
    async validate(peer, { terms, signatures }) {
      if (peer !== terms.customer && peer !== terms.provider)
        throw new AntirioError('forbidden', 'only a party has its contract validated');
      return ledger.submit({ type: 'contract/validate', terms, signatures });
    },

    async witness(peer, { contractId }) {
      const { customer } = await facts.termsFor(contractId, peer, 'provider');
      const answer = await host.ask({ method: 'witness', customer }, async () => undefined);
      return { heard: answer.kind === 'witness' && answer.heard };
    },

    async open(peer, { contractId, root, evidence: shown, keyVersion, word, beat }) {
      const terms = await facts.termsFor(contractId, peer, 'provider');
      const heard = beatEvidence(beat, terms);
      const [contract, set] = await Promise.all([facts.contractOf(contractId), facts.setOf(terms.set.setId)]);
      const life = contract.life.state;
      if (life === 'SETTLED') throw new AntirioError('gone', 'the contract is settled');
      const record = recordOf(set);
      const said =
        word === undefined ? undefined : isWordNow(word, terms, record, clock.now()) ? 'counts' : 'stale';
      const kept = { ...shown, ...heard, ...(said === 'counts' ? { word: JSON.stringify(word) } : {}) };
      const submit = async (): Promise<unknown> => {
        await ownShares(terms, keyVersion);
        const payload = { type: 'contract/open', contractId, root, keyVersion, evidence: kept } as const;
        return ledger.submitUntilKnown(payload);
      };
      const drilled = said === 'counts' && (await isDrilledAnew(contractId, word));
      const stale = drilled || (await isStale(contractId, contract.openings, keyVersion));
      const question = { method: 'open', terms, life, record, stale } as const;
      const answer = await host.ask(said === undefined ? question : { ...question, word: said }, submit);
      return answer.kind === 'opened' ? openedNow(terms) : refusalOf(answer);
    },

    async take(peer, { contractId, request }) {
      const terms = await facts.termsFor(contractId, peer, 'provider', 'customer');
      const { setId } = terms.set;
      const set = await facts.setOf(setId);
      if (request.by !== peer || request.body.setId !== setId)
        throw new AntirioError('forbidden', 'the request is signed by or for another');
      const submit = async (submission: Submission): Promise<unknown> => {
        if (submission.kind !== 'take') throw new AntirioError('internal', 'a take submits a take');
        return ledger.submitUntilKnown({
          type: 'epoch/take',
          request,
          customerLeaseEndedAt: inLedgerTime(submission.customerLeaseEndedMsAgo),
          holderLeaseEndedAt: inLedgerTime(submission.holderLeaseEndedMsAgo),
          evidence: {},
        });
      };
      const by: EdgeId = request.by;
      const expected = request.body.epoch;
      const servedOut = await facts.hasServedOut(set);
      const question = { method: 'take', terms, record: recordOf(set), by, expected, servedOut } as const;
      const answer = await host.ask(question, submit);
      return answer.kind === 'taken'
        ? { epoch: answer.epoch, actAfterMs: answer.actAfterMs }
        : refusalOf(answer);
    },

    async acts(peer, { contractId, word }) {
      const terms = await facts.termsFor(contractId, peer, 'provider');
      const { customer, leaseMs, set } = terms;
      const { epoch, holder } = await facts.setOf(set.setId);
      const { body } = word;
      if (!isActsWordOf(word, customer, set.setId) || body.epoch !== epoch || holder !== customer)
        throw new AntirioError('forbidden', 'the customer has not said that it acts under this epoch');
      host.post({ type: 'acts', leaseMs, ...body });
      return { noted: true };
    },

    async wrongKeys(peer, { contractId, claim }) {
      const terms = await facts.termsFor(contractId, peer, 'provider');
      const evidence = await judgeWrongKeys(terms, readClaim(identity, claim));
      await ledger.submit({
        type: 'contract/rule',
        contractId,
        ruling: { row: 'customerBreach', evidence },
      });
      return { ruled: evidence.found };
    },

    async record(peer, contractId) {
      if (peer !== undefined) await facts.termsFor(contractId, peer, 'provider', 'customer');
      const terms = await facts.termsOf(contractId);
      const leaseMs = terms?.leaseMs ?? DEFAULT_LEASE_MS;
      const contract = await facts.contractOf(contractId);
      const set = await facts.setOf(contract.setId);
      const { state } = contract.life;
      const known = await ledger.fetch(keys.keys(contractId));
      const promises = promised(contract.setId, recordOf(set), leaseMs);
      const keyVersion = known?.version ?? oldVersion(contractId, contract.readyAt, terms);
      const time = Math.floor(clock.now());
      const parties = await facts.partiesOf(set);
      const rent = terms && rentSoFar(contract, terms, time);
      const held = { state, ...recordOf(set), ...promises, keyVersion, keys: known, time, parties, rent };
      return contract.activation === undefined
        ? held
        : {
            ...held,
            ...(await servedUnder(contractId, contract, contract.activation, terms ?? {})),
          };
    },
  };
}
