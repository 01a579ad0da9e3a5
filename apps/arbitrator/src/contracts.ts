import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { leads, type ContractTerms, type Standing } from '@antirio/service-contract';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { ledgerClient, type LedgerClient } from './ledger-client.ts';
import { holdOf } from './operator.ts';
import { partyRooms } from './party-rooms.ts';
import { runParty, type PartyDriver } from './party-driver.ts';
import { peerNamed } from './peers.ts';
import { endingOf } from './retirement.ts';
import { divideKeys, readJsonFile, secrets, type DividedKeys } from './sealed-keys.ts';
import { createSigning, type Signing } from './signing.ts';
import { createSourceTurns } from './source-turns.ts';

/** The contracts of this edge, each with its machine once it is signed. */
export interface Contracts {
  readonly signing: Signing;
  readonly drivers: ReadonlyMap<string, PartyDriver>;
  readonly ledger: LedgerClient;
  /** @throws AntirioError notFound */
  get(contractId: string): StoredContract;
  /** Starts the machine of a signed contract; nothing happens where it runs already. */
  drive(contract: StoredContract): void;
  /** One more attempt at every contract that still lacks a signature or its validation. */
  signPending(): Promise<void>;
  /** How many are under way: those that are over do not count, whatever they still wait for. */
  live(): number;
  /** @throws AntirioError busy when no more contracts are admitted. */
  admit(): void;
  /** @throws AntirioError badConfig when this edge has no service to protect. */
  checkProtected(): void;
  stop(): Promise<void>;
}

const DIVIDED = 'divided';

export function createContracts(
  options: ArbitratorOptions,
  ports: ArbitratorPorts,
  store: ContractStore,
): Contracts {
  const { identity, clock, peers } = ports;
  const ledger = ledgerClient({
    peer: peerNamed(peers, 'edge2edge'),
    prefix: '/edge2edge/peer/central/ledger',
    identity,
    random: ports.random,
    log: ports.log,
  });
  const rooms = partyRooms(peers, () => clock.now());
  const signing = createSigning(ports, store, ledger);
  const drivers = new Map<string, PartyDriver>();
  const sources = createSourceTurns(() => clock.monotonic());
  const fenceTurns = new Map<string, Promise<void>>();
  const ending = new Set<Promise<void>>();

  const protectedFiles = (): NonNullable<ArbitratorOptions['protectedService']> => {
    if (options.protectedService !== undefined) return options.protectedService;
    throw new AntirioError('badConfig', 'arbitrator.protectedService names no device service to protect');
  };
  const ownSecrets = (): z.output<typeof secrets> => readJsonFile(protectedFiles().secretsFile, secrets);

  // Divided once and kept: the parts of two divisions would open nothing.
  const dividedFor = async (terms: ContractTerms): Promise<DividedKeys> => {
    const there = store.document(terms.contractId, DIVIDED);
    if (there !== undefined) return there as DividedKeys;
    const service = readJsonFile(protectedFiles().configFile, z.record(z.string(), z.unknown()));
    const provider = await ledger.sealKeyOf(terms.provider);
    const central = await ledger.sealKeyOf(terms.central);
    const divided = divideKeys(terms, service, ownSecrets(), { provider, central }, ports.random);
    store.putDocument(terms.contractId, DIVIDED, divided);
    return divided;
  };

  const inTurn = (setId: string, work: () => Promise<void>): Promise<void> => {
    const turn = (fenceTurns.get(setId) ?? Promise.resolve()).then(work);
    const over = turn
      .catch(() => undefined)
      .then(() => {
        if (fenceTurns.get(setId) === over) fenceTurns.delete(setId);
      });
    fenceTurns.set(setId, over);
    return turn;
  };
  const retire = (contractId: string): void => {
    const driver = drivers.get(contractId);
    drivers.delete(contractId);
    if (driver === undefined) return;
    ports.log.info(
      { contract: contractId, role: driver.role },
      'nothing is left of the ended contract but its evidence',
    );
    const stopping = driver.stop().finally(() => ending.delete(stopping));
    ending.add(stopping);
  };

  const live = (): number => [...drivers.values()].filter((driver) => driver.phase().at !== 'ended').length;

  const drive = (contract: StoredContract): void => {
    const { terms, phase } = contract;
    const { contractId } = terms;
    if (phase === undefined || drivers.has(contractId) || endingOf(store, contractId).retired) return;
    const calls = { terms, identity, peers, ledger, rooms, ports, divided: () => dividedFor(terms) };
    // a stored role and phase were written together, by the machine of that role
    const party = { terms, role: contract.role, phase } as Parameters<typeof runParty>[0];
    const shared = {
      sources,
      leads: (one: Standing) => leads(one, drivers.values()),
      inTurn: (work: () => Promise<void>) => inTurn(terms.set.setId, work),
      retired: () => retire(contractId),
    };
    const driver = runParty(party, { options, ports, store, rooms, calls, ownSecrets, ...shared });
    drivers.set(contractId, driver);
    if (holdOf(store, contractId) !== undefined) driver.post({ type: 'held', held: true });
  };

  return {
    signing,
    ledger,
    drivers,
    drive,
    live,
    checkProtected: () => void protectedFiles(),
    get(contractId) {
      const contract = store.get(contractId);
      if (contract === undefined) throw new AntirioError('notFound', `no contract ${contractId}`);
      return contract;
    },
    async signPending() {
      for (const contract of store.all()) {
        const pending =
          contract.role === 'customer' && contract.phase === undefined && contract.refused === undefined;
        if (pending) drive(await signing.advance(contract));
      }
    },
    admit() {
      if (live() >= options.maxContracts)
        throw new AntirioError('busy', `at most ${options.maxContracts} contracts at once`);
    },
    async stop() {
      await Promise.all([...[...drivers.values()].map((driver) => driver.stop()), ...ending]);
      drivers.clear();
    },
  };
}
