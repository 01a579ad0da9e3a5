import { z } from 'zod';
import {
  AntirioError,
  describeError,
  isAntirioError,
  toHex,
  type EdgeId,
  type Identity,
  type Random,
} from '@antirio/kernel';
import { callJson, parseInput, repeat, type Log, type Repeating } from '@antirio/host';
import { keys } from '@antirio/ledger-machine';
import { isEnded, readTerms, type ContractTerms, type Standing } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { peerNamed } from './peers.ts';
import {
  endingIn,
  retireCustomer,
  type Ending,
  type Retirement,
  type RetirementPorts,
} from './retirement.ts';

/** What providers still keep of our ended contracts, fetched once more: our disk was lost, and with it the contract. */
export interface Refetches {
  /**
   * From now on, durably, from the provider's first frame on, until all of it is here that the own ring takes; the provider lets go
   * of nothing for it. `partly`: though the own ring does not take all of the contract's sensors.
   * @throws AntirioError conflict | notFound | forbidden | busy
   */
  begin(
    contractId: string,
    partly?: boolean,
  ): Promise<{ readonly contractId: string; readonly provider: EdgeId }>;
  /** Under way. */
  all(): string[];
  /** What came of those that are over: all, partly (frames had left the provider's ring before), gone, refused, gaveUp. */
  done(): Fetched[];
  start(): void;
  stop(): Promise<void>;
}

interface Fetched extends Pick<Ending, 'outcome' | 'gone'> {
  readonly contractId: string;
}

export type RefetchPorts = Pick<RetirementPorts, 'clock' | 'peers' | 'rooms' | 'sources' | 'options'> & {
  readonly identity: Pick<Identity, 'edgeId'>;
  readonly store: Pick<ContractStore, 'document' | 'documents' | 'putDocument' | 'forgetDocument' | 'get'>;
  readonly ledger: Pick<LedgerClient, 'fetch'>;
  /** Of the contracts whose machines run here. */
  readonly drivers: ReadonlyMap<string, Pick<Standing, 'phase'>>;
  readonly random: Random;
  readonly log: Log;
};

/** A document of the edge itself. */
const OWN = 'own';
const KIND = 'refetch';
const MOST = 64;
const MOST_DONE = 256;
const EVERY_MS = 500;

/** `anew`: the name of this reading. */
const asked = z.object({
  terms: z.custom<ContractTerms>(),
  ending: z.unknown(),
  anew: z.string().default('again'),
  done: z.boolean().default(false),
});
type Asked = z.output<typeof asked>;
const ownRing = z.looseObject({ devAddrs: z.array(z.string()) });

/** The DevAddrs that our own ring takes. */
async function ownAddresses({ peers }: Pick<RefetchPorts, 'peers'>): Promise<ReadonlySet<string>> {
  try {
    const ring = await callJson(peerNamed(peers, 'gatewayBridge'), { path: '/api/v3/ring/own' });
    return new Set(parseInput(ownRing, ring).devAddrs);
  } catch (error) {
    // no device service has made it yet
    if (isAntirioError(error, 'notFound')) return new Set();
    throw error;
  }
}

export function createRefetches(ports: RefetchPorts): Refetches {
  const { store, log, identity, drivers } = ports;
  const running = new Map<string, Retirement>();
  let looping: Repeating | undefined;

  const nameOf = (contractId: string): string => `${KIND}/${contractId}`;
  const every = (): [string, Asked][] =>
    [...store.documents(OWN, KIND)].map(([id, kept]) => [id, asked.parse(kept)]);
  const known = (): [string, Asked][] => every().filter(([, { done }]) => !done);
  const done = (): Fetched[] =>
    every().flatMap(([contractId, one]) => {
      const { outcome, gone } = endingIn(one.ending);
      return one.done ? [{ contractId, outcome, gone }] : [];
    });
  const finish = (contractId: string): void => {
    running.delete(contractId);
    const one = asked.parse(store.document(OWN, nameOf(contractId)));
    const before = done();
    const [oldest] = before;
    if (before.length >= MOST_DONE && oldest !== undefined)
      store.forgetDocument(OWN, nameOf(oldest.contractId));
    store.putDocument(OWN, nameOf(contractId), { ...one, done: true });
    const { outcome, gone } = endingIn(one.ending);
    const facts = { contract: contractId, outcome, gone };
    if (outcome === 'all') log.info(facts, 'what the provider kept of the ended contract is here');
    else log.warn(facts, 'not all that the provider had of the ended contract is here');
  };
  /** How far it has come is kept with it: the contract's own end is another matter. */
  const notes = (contractId: string, { terms, anew }: Asked): RetirementPorts['store'] => ({
    document: () => asked.parse(store.document(OWN, nameOf(contractId))).ending,
    putDocument: (_id, _name, ending) => store.putDocument(OWN, nameOf(contractId), { terms, ending, anew }),
    note: () => undefined,
  });
  const runOf = (contractId: string, one: Asked): Retirement => {
    const { terms, anew } = one;
    const { clock, peers, rooms, sources, options } = ports;
    const there = running.get(contractId);
    if (there !== undefined) return there;
    const fetching = { terms, clock, peers, rooms, sources, options, store: notes(contractId, one), anew };
    const inTurn = (work: () => Promise<void>): Promise<void> => work();
    const made = retireCustomer({ ...fetching, leads: () => false, inTurn });
    running.set(contractId, made);
    return made;
  };
  const advance = async (): Promise<void> => {
    for (const [contractId, one] of known())
      try {
        if (!(await runOf(contractId, one).advance())) continue;
        finish(contractId);
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
  /** On a lost disk no machine of ours knows a contract that still serves. */
  const mustBeOver = async (contractId: string): Promise<void> => {
    const here = drivers.get(contractId)?.phase().at ?? 'ended';
    const life = (await ports.ledger.fetch(keys.contract(contractId)))?.life;
    if (here === 'ended' && life !== undefined && (isEnded(life) || life.state === 'BREACHED')) return;
    throw new AntirioError('conflict', 'the contract is not over on the ledger: fetching is for ended ones', {
      contractId,
      state: life?.state,
    });
  };
  const mustTake = async ({ set }: ContractTerms): Promise<void> => {
    const own = await ownAddresses(ports);
    const lacking = set.devices.map(({ devAddr }) => devAddr).filter((one) => !own.has(one));
    if (lacking.length === 0) return;
    throw new AntirioError(
      'conflict',
      `our own ring does not take ${lacking.length} of the contract's ${set.devices.length} sensors: set them up first, or fetch partly`,
      { lacking: lacking.slice(0, 20) },
    );
  };
  return {
    async begin(contractId, partly = false) {
      const terms = await termsOf(contractId);
      await mustBeOver(contractId);
      if (!partly) await mustTake(terms);
      const under = known();
      if (under.length >= MOST && !under.some(([id]) => id === contractId))
        throw new AntirioError('busy', `${MOST} contracts are fetched already`);
      running.delete(contractId);
      store.putDocument(OWN, nameOf(contractId), {
        ...{ terms, ending: {} },
        anew: toHex(ports.random.bytes(8)),
      });
      looping?.poke();
      return { contractId, provider: terms.provider };
    },
    all: () => known().map(([id]) => id),
    done,
    start() {
      looping = repeat('fetching what was handed back', EVERY_MS, log, advance);
    },
    async stop() {
      await looping?.stop();
    },
  };
}
