import { z } from 'zod';
import { AntirioError, describeError, type EdgeId, type Identity } from '@antirio/kernel';
import { repeat, type Log, type Repeating } from '@antirio/host';
import { keys } from '@antirio/ledger-machine';
import { readTerms, type ContractTerms, type Standing } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { retireCustomer, type Retirement, type RetirementPorts } from './retirement.ts';

/** What providers still keep of our ended contracts, fetched once more: our disk was lost, and with it the contract. */
export interface Refetches {
  /**
   * From now on, durably, until all of it is here. @throws AntirioError conflict | notFound | forbidden | busy
   */
  begin(contractId: string): Promise<{ readonly contractId: string; readonly provider: EdgeId }>;
  /** Under way. */
  all(): string[];
  start(): void;
  stop(): Promise<void>;
}

export type RefetchPorts = Pick<RetirementPorts, 'clock' | 'peers' | 'rooms' | 'sources' | 'options'> & {
  readonly identity: Pick<Identity, 'edgeId'>;
  readonly store: Pick<ContractStore, 'document' | 'documents' | 'putDocument' | 'forgetDocument' | 'get'>;
  readonly ledger: Pick<LedgerClient, 'fetch'>;
  /** Of the contracts whose machines run here. */
  readonly drivers: ReadonlyMap<string, Pick<Standing, 'phase'>>;
  readonly log: Log;
};

/** A document of the edge itself. */
const OWN = 'own';
const KIND = 'refetch';
const MOST = 64;
const EVERY_MS = 500;

const asked = z.object({ terms: z.custom<ContractTerms>(), ending: z.unknown() });
type Asked = z.output<typeof asked>;

export function createRefetches(ports: RefetchPorts): Refetches {
  const { store, log, identity, drivers } = ports;
  const running = new Map<string, Retirement>();
  let looping: Repeating | undefined;

  const nameOf = (contractId: string): string => `${KIND}/${contractId}`;
  const known = (): [string, Asked][] =>
    [...store.documents(OWN, KIND)].map(([id, kept]) => [id, asked.parse(kept)]);
  /** How far it has come is kept with it: the contract's own end is another matter. */
  const notes = (contractId: string, terms: ContractTerms): RetirementPorts['store'] => ({
    document: () => asked.parse(store.document(OWN, nameOf(contractId))).ending,
    putDocument: (_id, _name, ending) => store.putDocument(OWN, nameOf(contractId), { terms, ending }),
    note: () => undefined,
  });
  const runOf = (contractId: string, { terms }: Asked): Retirement => {
    const { clock, peers, rooms, sources, options } = ports;
    const there = running.get(contractId);
    if (there !== undefined) return there;
    const fetching = { terms, clock, peers, rooms, sources, options, store: notes(contractId, terms) };
    const inTurn = (work: () => Promise<void>): Promise<void> => work();
    const made = retireCustomer({ ...fetching, leads: () => false, inTurn });
    running.set(contractId, made);
    return made;
  };
  const advance = async (): Promise<void> => {
    for (const [contractId, one] of known())
      try {
        if (!(await runOf(contractId, one).advance())) continue;
        running.delete(contractId);
        store.forgetDocument(OWN, nameOf(contractId));
        log.info({ contract: contractId }, 'what the provider kept of the ended contract is here');
      } catch (error) {
        log.debug({ contract: contractId, error: describeError(error) }, 'not fetched yet');
      }
  };
  const termsOf = async (contractId: string): Promise<ContractTerms> => {
    const terms = store.get(contractId)?.terms ?? (await ports.ledger.fetch(keys.terms(contractId)))?.terms;
    if (terms === undefined)
      throw new AntirioError('notFound', `neither we nor the ledger know ${contractId}`);
    if (terms.customer !== identity.edgeId)
      throw new AntirioError('forbidden', 'only its customer fetches what was handed back', { contractId });
    // whose devices its joins were is not known here any more: what the own ring takes is read
    const { rootKeys: _joins, ...read } = readTerms(terms);
    return read;
  };
  return {
    async begin(contractId) {
      if ((drivers.get(contractId)?.phase().at ?? 'ended') !== 'ended')
        throw new AntirioError('conflict', 'the contract is not over: what is lacking comes by itself');
      const terms = await termsOf(contractId);
      const under = known();
      if (under.length >= MOST && !under.some(([id]) => id === contractId))
        throw new AntirioError('busy', `${MOST} contracts are fetched already`);
      running.delete(contractId);
      store.putDocument(OWN, nameOf(contractId), { terms, ending: {} });
      looping?.poke();
      return { contractId, provider: terms.provider };
    },
    all: () => known().map(([id]) => id),
    start() {
      looping = repeat('fetching what was handed back', EVERY_MS, log, advance);
    },
    async stop() {
      await looping?.stop();
    },
  };
}
