import type { HttpPeer, Log } from '@antirio/host';
import {
  canonicalJson,
  describeError,
  isAntirioError,
  parseEdgeId,
  type Clock,
  type EdgeId,
  type Identity,
} from '@antirio/kernel';
import {
  RING_ROOT_KIND,
  keys,
  type ContractRecord,
  type OpeningRecord,
  type RecordedRoot,
  type RingRoot,
  type SetRecord,
  type SpeakerRecord,
} from '@antirio/ledger-machine';
import { isEnded, type ContractTerms } from '@antirio/service-contract';
import type { CustomerBook } from './customer-book.ts';
import { ledgerTerms } from './escrow-holder.ts';
import type { LedgerClient } from './ledger-client.ts';
import { ledgerClock } from './ledger-clock.ts';
import type { PatientSubmit } from './patient-submit.ts';
import { neighbourCall } from './peers.ts';
import { whatToSay, type Saying, type Sight } from './speech.ts';
import type { ContractReport } from './speaker-report.ts';

type SignedRoot = ContractReport['roots'][number];

export interface CustomerFollowPorts {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly log: Log;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: Pick<LedgerClient, 'entries' | 'fetch' | 'read' | 'time'>;
  /** What the ledger refuses is not said again and again. */
  readonly submit: PatientSubmit;
  readonly book: CustomerBook;
  /** The edges whose arbitrator this is. */
  readonly customers: readonly EdgeId[];
}

export interface CustomerFollow {
  /** Once over all contracts of the customers: what is new goes into the book, and what is to be said is said. */
  look(): Promise<void>;
  /** The edge has told us something itself. */
  heard(edge: EdgeId): void;
  /** For how long it has not, ms, at most for as long as we are up; and whom it has appointed, as the ledger said last. */
  silenceOf(edge: EdgeId): { readonly unheardMs: number; readonly appointed: SpeakerRecord | undefined };
  /** Contracts for which there was no room in the book at the last look. */
  left(): number;
}

/** A claim that the centre has refused is brought again so much later. */
const CLAIM_AGAIN_MS = 600_000;
const TERMS_KEPT = 1000;
/** Records of which a contract may have several, and that its own record tells of. */
const FAMILIES = ['opening', 'activation', 'coverage'];
const STATED_IN: ReadonlySet<string> = new Set(['ACTIVE', 'RETURNING', 'HANDED_BACK']);

/** Follows the public ledger for its customers, so that what comes after an edge's end is known here too, and speaks for them. */
export function createCustomerFollow(ports: CustomerFollowPorts): CustomerFollow {
  const { identity, clock, log, peers, ledger, submit, book, customers } = ports;
  const self = parseEdgeId(identity.edgeId);
  const startedAt = clock.monotonic();
  const heardAt = new Map<string, number>();
  const appointments = new Map<string, SpeakerRecord | undefined>();
  const claimedAt = new Map<string, number>();
  const terms = new Map<string, ContractTerms>();
  const timeNow = ledgerClock(clock);
  let left = 0;

  const termsOf = async (contractId: string): Promise<ContractTerms> => {
    const found = terms.get(contractId) ?? (await ledgerTerms(ledger, contractId));
    if (terms.size >= TERMS_KEPT) terms.clear();
    terms.set(contractId, found);
    return found;
  };
  const noteAll = async (contractId: string, families: readonly string[]): Promise<void> => {
    const at = clock.now();
    for (const family of families)
      for (const [name, value] of await ledger.entries(`${family}/${contractId}/`))
        book.note(contractId, { name, at, value });
  };
  /** Of its newest epoch: those of epochs before are in the book. Each may be bettered, and the contract's record says nothing of it. */
  const noteStatements = async ({ id, activation }: ContractRecord): Promise<void> => {
    if (activation === undefined) return;
    for (const role of ['customer', 'provider'] as const) {
      const name = keys.statement(id, activation.epoch, role);
      const value = await ledger.fetch(name);
      if (value !== undefined) book.note(id, { name, at: clock.now(), value });
    }
  };
  const noteEpoch = (id: string, { epoch, holder, takenAt, released }: SetRecord): void =>
    book.note(id, {
      ...{ name: `epoch/${epoch}`, at: clock.now() },
      value: { holder, takenAt, released: released ?? null },
    });
  const rootsOf = (contractId: string, provider: EdgeId, recorded?: RecordedRoot): SignedRoot[] => {
    const signed = (body: RingRoot, signature: string): SignedRoot => ({
      ...{ kind: RING_ROOT_KIND, by: provider, body, signature },
    });
    const facts = book.facts(contractId);
    const told = facts.filter(({ name }) => name.startsWith('root/')).map(({ value }) => value as SignedRoot);
    const shown = facts
      .filter(({ name }) => name.startsWith('opening/'))
      .map(({ value }) => value as OpeningRecord)
      .map(({ root, rootSignature }) => signed(root, rootSignature));
    return [...told, ...shown, ...(recorded ? [signed(recorded.root, recorded.signature)] : [])];
  };
  const silenceOf: CustomerFollow['silenceOf'] = (edge) => ({
    unheardMs: clock.monotonic() - (heardAt.get(edge) ?? startedAt),
    appointed: appointments.get(edge),
  });

  const sightOf = async (contract: ContractRecord, set: SetRecord | undefined): Promise<Sight> => {
    const { id, provider, customer, openings, activation, coverage } = contract;
    const [its, opening, statement, recorded, claim, time] = await Promise.all([
      termsOf(id),
      openings === 0 ? undefined : ledger.fetch(keys.opening(id, openings)),
      activation && ledger.fetch(keys.statement(id, activation.epoch, 'provider')),
      ledger.fetch(keys.ringRoot(id)),
      coverage && ledger.fetch(keys.coverageClaim(id, coverage.epoch)),
      ledger.time(),
    ]);
    const roots = rootsOf(id, provider, recorded);
    const about = { contract, terms: its, set, opening, statement, claim, roots };
    return { ...about, ...silenceOf(customer), self, now: timeNow(time) };
  };
  const isSilent = (edge: EdgeId): boolean => {
    const { unheardMs, appointed } = silenceOf(edge);
    return appointed !== undefined && unheardMs >= appointed.silentMs;
  };
  const say = async ({ id, customer }: ContractRecord, saying: Saying): Promise<void> => {
    if (saying.to === 'ledger') {
      const { act } = saying;
      await submit(`${act.type} ${id}`, { type: 'speaker/speak', edge: customer, act });
      log.warn({ contract: id, edge: customer, act: act.type }, 'said for an edge that is silent');
      return;
    }
    const now = clock.monotonic();
    if (now - (claimedAt.get(id) ?? -Infinity) < CLAIM_AGAIN_MS) return;
    claimedAt.set(id, now);
    const { to: _to, about, ...evidence } = saying;
    const path = `/arbitrator/v1/central/${about}`;
    const call = { method: 'POST', path, json: { contractId: id, ...evidence } } as const;
    await neighbourCall(peers, 'central', 'arbitrator', call);
    log.warn(
      { contract: id, edge: customer, about },
      'claimed for an edge that is silent: its provider is in breach',
    );
  };
  /** What is refused is no reason to leave the others alone. */
  const speak = async (contract: ContractRecord, set: SetRecord | undefined): Promise<void> => {
    if (!isSilent(contract.customer)) return;
    const saying = whatToSay(await sightOf(contract, set));
    if (saying === undefined) return;
    try {
      await say(contract, saying);
    } catch (error) {
      if (!isAntirioError(error)) throw error;
      const level = error.code === 'busy' ? 'debug' : 'warn';
      log[level](
        { contract: contract.id, error: describeError(error) },
        'what was said for an edge is refused',
      );
    }
  };
  /** What the ledger has of it and the book has not. */
  const note = async (contract: ContractRecord, isNew: boolean, changed: boolean): Promise<void> => {
    const { id, life } = contract;
    if (changed) await noteAll(id, FAMILIES);
    if (isNew || isEnded(life)) await noteAll(id, ['statement']);
    else if (STATED_IN.has(life.state)) await noteStatements(contract);
  };
  const lookAt = async (contract: ContractRecord): Promise<void> => {
    const { id: contractId, customer, life, setId } = contract;
    const known = book.get(contractId);
    if (known?.closed === true) return;
    if (!book.admit(contractId)) {
      left += 1;
      return;
    }
    const closed = isEnded(life);
    const changed = known === undefined || canonicalJson(known.record) !== canonicalJson(contract);
    await note(contract, known === undefined, changed);
    const set = await ledger.fetch(keys.set(setId));
    if (set !== undefined) noteEpoch(contractId, set);
    // last: what could not be read now is read at the next look
    if (changed) book.put({ contractId, customer, record: contract, closed });
    if (closed) claimedAt.delete(contractId);
    else await speak(contract, set);
  };
  /** What is wrong with one contract keeps nobody from looking at the others. */
  const tryLookAt = async (contract: ContractRecord): Promise<void> => {
    try {
      await lookAt(contract);
    } catch (error) {
      if (isAntirioError(error, 'unavailable') || isAntirioError(error, 'timeout')) throw error;
      log.warn({ contract: contract.id, error: describeError(error) }, 'a contract cannot be followed');
    }
  };

  return {
    silenceOf,
    left: () => left,
    heard: (edge) => void heardAt.set(edge, clock.monotonic()),
    async look() {
      if (customers.length === 0) return;
      left = 0;
      // from now on: who is first asked for once an edge is silent may find a newest block that is as old as that silence
      timeNow(await ledger.time());
      for (const edge of customers) appointments.set(edge, await ledger.fetch(keys.speaker(edge)));
      for (const [, value] of await ledger.entries('contract/')) {
        const contract = value as ContractRecord;
        if (customers.includes(contract.customer)) await tryLookAt(contract);
      }
    },
  };
}
