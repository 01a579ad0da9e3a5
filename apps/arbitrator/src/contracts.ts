import { z } from 'zod';
import { AntirioError, describeError, type EdgeId, type SealKey } from '@antirio/kernel';
import {
  addressesOf,
  fencedTerms,
  holdersOf,
  joinedAddresses,
  keepersOf,
  leads,
  providersOf,
  siblingsOf,
  type ContractTerms,
  type LedgerSight,
  type ProtectedDevice,
  type SignedBackAsk,
  type Standing,
} from '@antirio/service-contract';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { checkAddresses, checkRoom, spareOf } from './admission.ts';
import { keptBackAsk } from './asked-back.ts';
import { createBlockDesk, type BlockDesk } from './block-desk.ts';
import { createContractJoins, type ContractJoins } from './contract-joins.ts';
import { createContractDrills, type ContractDrills } from './contract-drills.ts';
import { createFullDrills, type FullDrills } from './full-drills.ts';
import { createDownlinkDrills, type DownlinkDrills } from './downlink-drills.ts';
import { createFenceTurns } from './fence-turns.ts';
import { createAddressTelling, keepAddresses, toldAddresses } from './kept-addresses.ts';
import { ledgerClient, type LedgerClient } from './ledger-client.ts';
import { holdOf } from './operator.ts';
import { partyRooms } from './party-rooms.ts';
import { runParty, type PartyDriver } from './party-driver.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { createPerContract } from './per-contract.ts';
import { peerNamed } from './peers.ts';
import { endingOf } from './retirement.ts';
import { noteVersion, openDisclosures, type Disclosures } from './key-history.ts';
import { VERSIONS_KEPT, checkVersion } from './kept-versions.ts';
import { openOwnKeys, sealingNow, type SealingNow } from './live-sessions.ts';
import { keepSealed } from './own-secrets.ts';
import {
  divideKeys,
  secretsFor,
  withoutRoots,
  readJsonFile,
  type DividedKeys,
  type KeptPackage,
  type KeyPackage,
  type Secrets,
} from './sealed-keys.ts';
import { listeningOf } from './listening.ts';
import { createMacHandback, type MacHandback } from './mac-handback.ts';
import { createMacHome, type MacHome } from './mac-home.ts';
import { createMacSnapshots, forgetSnapshots, keptSnapshots } from './mac-snapshots.ts';
import { createRefetches, type Refetches } from './refetch.ts';
import { createRekeyCounts, type RekeyCounts } from './rekey-count.ts';
import { sealKeysFor } from './seal-keys.ts';
import { createSigning, type Signing } from './signing.ts';
import { createSourceTurns } from './source-turns.ts';
import { turnsAmong } from './takeover-turns.ts';
import { volumeRoot } from './volumes.ts';

/** The contracts of this edge, each with its machine once it is signed. */
export interface Contracts {
  /** The own service's keys, and what keys for its volumes are made of. @throws AntirioError badConfig */
  ownSecrets(): Secrets;
  readonly signing: Signing;
  readonly drivers: ReadonlyMap<string, PartyDriver>;
  readonly ledger: LedgerClient;
  readonly drills: ContractDrills;
  readonly fullDrills: FullDrills;
  /** How customers' devices listen when their providers have served them, and our own when they come home. */
  readonly handback: Pick<MacHandback, 'pageOf'>;
  readonly macHome: Pick<MacHome, 'counts'>;
  readonly joins: ContractJoins;
  readonly downlinkDrills: DownlinkDrills;
  readonly refetches: Refetches;
  /** What others told of their blocks of counters and was not kept. */
  readonly blocks: Pick<BlockDesk, 'counts'>;
  /** @throws AntirioError notFound */
  get(contractId: string): StoredContract;
  /** The set's addresses: those of the terms, and those that joins gave since, as far as this edge knows. */
  addresses(terms: ContractTerms): readonly ProtectedDevice[];
  /**
   * Our ring takes the addresses of these keys, and then they are kept, for openings under way also those before: all durably.
   * @throws AntirioError conflict, busy
   */
  takeKeys(terms: ContractTerms, given: KeyPackage): Promise<void>;
  /** The same of addresses alone, where there are no keys. */
  takeAddresses(terms: ContractTerms, addresses: readonly ProtectedDevice[]): Promise<void>;
  /** Starts the machine of a signed contract; nothing happens where it runs already. */
  drive(contract: StoredContract): void;
  /** One more attempt at every contract that still lacks a signature or its validation. */
  signPending(): Promise<void>;
  /** Keys of this edge that others have seen. */
  readonly disclosures: Disclosures;
  /** Of those, the sessions that devices have left behind. */
  readonly leaveBehind: RekeyCounts['leave'];
  /** What providers lack of the sessions that joins made. */
  sealing(): SealingNow;
  /** Takeovers that wait for others, which began before. */
  waitingForTurn(): readonly string[];
  /** How many are under way: those that are over do not count, whatever they still wait for. */
  live(): number;
  /** @throws AntirioError busy when no more contracts are admitted. */
  admit(): void;
  /** @throws AntirioError storageFull | busy where this machine has no room for another customer. */
  admitCustomer(terms: ContractTerms): Promise<void>;
  /** @throws AntirioError badConfig when this edge has no service to protect. */
  checkProtected(): void;
  stop(): Promise<void>;
}

const DIVIDED = 'divided';
/** The document under which a version of the keys that a customer gave us is kept; the newest is under `keys` as well. */
function packageName(keyVersion: number): string {
  return `keys/${keyVersion}`;
}
/** Documents of the edge itself, not of a contract. */
const OWN = 'own';
const SEEN = 'ledgerSeen';

/** The newest package, or that of one version; what was kept before versions had documents is under `keys` only. */
function keptPackage(store: ContractStore, contractId: string, keyVersion?: number): KeptPackage | undefined {
  const newest = store.document(contractId, 'keys') as KeptPackage | undefined;
  if (keyVersion === undefined || newest?.keyVersion === keyVersion) return newest;
  return store.document(contractId, packageName(keyVersion)) as KeptPackage | undefined;
}

/** Those that a customer has given us, with its keys or, where we have none, by themselves. */
function addressesKept(store: ContractStore, contractId: string): readonly ProtectedDevice[] {
  return toldAddresses(store, contractId) ?? keptPackage(store, contractId)?.addresses ?? [];
}

/** The terms, whose ring would be made anew otherwise, for nothing and for ever. @throws AntirioError gone */
function notOver(store: ContractStore, terms: ContractTerms): ContractTerms {
  if (!endingOf(store, terms.contractId).retired) return terms;
  throw new AntirioError('gone', 'the contract is over: its frames are kept no more');
}

/** A customer's failures in a row are its set's: they outlast a contract. */
function failuresOf(store: ContractStore, setId: string) {
  const name = `failures/${setId}`;
  return {
    failures: () => Number(store.document(OWN, name) ?? 0),
    keepFailures: (count: number) => {
      store.putDocument(OWN, name, count);
    },
  };
}

/** Of a set's contracts of this edge that are not over: their providers, and those of them that only keep frames. */
function providersAmong(drivers: ReadonlyMap<string, Standing>, { set: { setId } }: ContractTerms) {
  return {
    providers: () => providersOf(drivers.values(), setId),
    keepers: () => keepersOf(drivers.values(), setId),
  };
}

/** What a contract's party makes its calls with, but for its rooms and keys. */
function callsOf(terms: ContractTerms, store: ContractStore, ledger: LedgerClient, ports: ArbitratorPorts) {
  const { identity, peers } = ports;
  const askedBack = (epoch: number): SignedBackAsk | undefined => keptBackAsk(store, terms.contractId, epoch);
  return {
    ...{ terms, identity, peers, ledger, ports, askedBack },
    submitPatiently: createPatientSubmit(ledger, ports),
  };
}

export function createContracts(
  options: ArbitratorOptions,
  ports: ArbitratorPorts,
  store: ContractStore,
): Contracts {
  const { identity, clock, peers } = ports;
  const ledger = ledgerClient(
    {
      peer: peerNamed(peers, 'edge2edge'),
      prefix: '/edge2edge/peer/central/ledger',
      identity,
      random: ports.random,
      log: ports.log,
    },
    {
      get: () => store.document(OWN, SEEN) as LedgerSight | undefined,
      put: (seen) => {
        store.putDocument(OWN, SEEN, seen);
      },
    },
    clock,
  );
  const running = createPerContract<PartyDriver>();
  const drivers = running.all;
  const floor = (): number => {
    const own = [...drivers.values()].filter(({ role }) => role === 'customer');
    return Math.max(0, ...own.map((driver) => driver.record()?.keyVersion ?? 0));
  };
  const ownKeys = openOwnKeys({ options, store, log: ports.log, floor });
  const givenAddresses = new Map<string, readonly ProtectedDevice[]>();
  const joinedOf = (terms: ContractTerms): readonly ProtectedDevice[] => {
    if (terms.devAddrRange === undefined) return [];
    if (terms.customer === identity.edgeId) return joinedAddresses(terms, ownKeys.live().sessions);
    const { contractId } = terms;
    const known = givenAddresses.get(contractId) ?? addressesKept(store, contractId);
    givenAddresses.set(contractId, known);
    return joins.withAnswered(contractId, known);
  };
  const versionsTaken = new Map<string, number>();
  const joinsSeen = ({ contractId, customer, devAddrRange }: ContractTerms): number => {
    if (devAddrRange === undefined) return 0;
    if (customer === identity.edgeId) return ownKeys.live().serial;
    return (versionsTaken.get(contractId) ?? 0) + joins.ofRooms.answered(contractId);
  };
  const joins = createContractJoins({
    ...{ ...ports, self: identity.edgeId, store, drivers },
    cover: (terms) => rooms.cover(terms),
    addresses: (terms) => addresses(terms),
  });
  const rooms = partyRooms(
    peers,
    () => clock.now(),
    joinedOf,
    (id) => keptSnapshots(store, id),
    joins.ofRooms,
  );
  const signing = createSigning(ports, store, ledger);
  const sources = createSourceTurns(() => clock.monotonic());
  const turns = turnsAmong(drivers, options.takeoversAtOnce, ports, () => ledger.watch.heardAt());
  const refetches = createRefetches({ ...ports, store, ledger, rooms, sources, options, drivers });
  const inTurn = createFenceTurns();

  const protectedFiles = (): NonNullable<ArbitratorOptions['protectedService']> => {
    if (options.protectedService !== undefined) return options.protectedService;
    throw new AntirioError('badConfig', 'arbitrator.protectedService names no device service to protect');
  };
  const root = volumeRoot(store, identity, ports.random);
  const ownSecrets = (): Secrets => ({ ...ownKeys.secrets(), volumes: { key: root() } });
  const made = (): Secrets['sessions'] => ownKeys.live().sessions.filter((one) => one.broughtHome === true);
  const disclosures = openDisclosures(store, ownSecrets, made);
  const rekeyCounts = createRekeyCounts(ownKeys, disclosures);

  const ownService = () => readJsonFile(protectedFiles().configFile, z.record(z.string(), z.unknown()));
  const ownKeyVersion = (): { readonly keyVersion?: number } => ownKeys.keyVersion();
  const drills = createContractDrills({ ports, store, ledger, rooms, service: ownService, ownKeyVersion });

  const addresses = (terms: ContractTerms): readonly ProtectedDevice[] => addressesOf(terms, joinedOf(terms));
  const blocks = createBlockDesk({ store, addresses, joinsSeen });
  const fullDrills = createFullDrills({ ports, store, ledger, rooms, drivers, rekeyCounts });
  const downlinkDrills = createDownlinkDrills({ ports, store, ledger, addresses });

  const sealKeyOf = (edge: EdgeId): Promise<SealKey> => ledger.sealKeyOf(edge);
  const macs = createMacSnapshots({ peers, clock, log: ports.log, sealKeyOf });
  const macHome = createMacHome({ peers, identity, store, joins: joins.home, clock, log: ports.log });
  const handback = createMacHandback({ ...ports, store, sealKeyOf });
  const telling = createAddressTelling({ ...ports, joined: joinedOf });
  const perContract = [drills, fullDrills, downlinkDrills, macs, handback, telling];
  const listeningPorts = { store, clock, drivers, macs, macHome, handback };

  /** Only where nothing is open that has not been stated: what was opened is of one that the provider had last. */
  const forgetOlder = (
    contractId: string,
    version: number,
    phase: string,
    kinds: readonly string[],
  ): void => {
    if (drivers.get(contractId)?.phase().at !== phase) return;
    for (const kind of kinds) store.forgetVersions(contractId, kind, version - VERSIONS_KEPT);
  };

  // Divided once for each version and kept: the parts of two divisions would open nothing.
  const divisions = new Map<string, Promise<DividedKeys>>();
  const divide = async (terms: ContractTerms, own: Secrets, name: string): Promise<DividedKeys> => {
    const there = store.document(terms.contractId, name);
    if (there !== undefined) return there as DividedKeys;
    const service = ownService();
    const sealKeyOf = await sealKeysFor(ledger, [terms.provider, ...holdersOf(terms)]);
    const since = noteVersion(store, terms.contractId, secretsFor(terms, own));
    const divided = await divideKeys(identity, terms, service, own, sealKeyOf, ports.random, since);
    keepSealed(store, identity, terms.contractId, terms.rootKeys === true ? own : withoutRoots(own));
    store.putDocument(terms.contractId, name, divided);
    forgetOlder(terms.contractId, own.keyVersion, 'guarded', [DIVIDED, 'sealedSecrets']);
    return divided;
  };
  const dividedFor = (terms: ContractTerms): Promise<DividedKeys> => {
    const own = ownSecrets();
    const name = `${DIVIDED}/${own.keyVersion}`;
    const key = `${terms.contractId}/${name}`;
    const under = divisions.get(key) ?? divide(terms, own, name).finally(() => divisions.delete(key));
    divisions.set(key, under);
    return under;
  };

  const retire = (contractId: string): void => {
    const driver = drivers.get(contractId);
    if (driver === undefined) return;
    // a disk that takes nothing now is asked again: the machine is there until then
    forgetSnapshots(store, contractId);
    joins.leave(contractId);
    const about = { contract: contractId, role: driver.role };
    ports.log.info(about, 'nothing is left of the ended contract but its evidence');
    const end = () =>
      Promise.all([driver.stop(), ...[...perContract, blocks].map((one) => one.leave(contractId))]);
    running.leave(contractId, end).catch((error: unknown) => {
      ports.log.warn({ ...about, error: describeError(error) }, 'what an ended contract used is not forgotten');
    });
  };

  const keepKeys = (given: KeyPackage): void => {
    const newest = store.document(given.contractId, 'keys') as KeyPackage | undefined;
    store.putDocument(given.contractId, packageName(given.keyVersion), given);
    forgetOlder(given.contractId, given.keyVersion, 'ready', ['keys', 'genuine']);
    if ((newest?.keyVersion ?? 0) <= given.keyVersion) store.putDocument(given.contractId, 'keys', given);
  };
  const coverAlso = async (terms: ContractTerms, given: readonly ProtectedDevice[]): Promise<void> => {
    if (given.length === 0 && joinedOf(terms).length === 0) return;
    await rooms.ring(notOver(store, terms));
    await rooms.cover(terms, joins.withAnswered(terms.contractId, given));
  };
  const live = (): number => [...drivers.values()].filter((driver) => driver.phase().at !== 'ended').length;

  const drive = (contract: StoredContract): void => {
    const { terms, phase } = contract;
    const { contractId } = terms;
    const { retired } = endingOf(store, contractId);
    if (retired) blocks.leave(contractId);
    if (phase === undefined || retired) return;
    const given = (keyVersion?: number): KeptPackage | undefined =>
      keptPackage(store, contractId, keyVersion);
    const calls = { ...callsOf(terms, store, ledger, ports), rooms, given, divided: () => dividedFor(terms) };
    // a stored role and phase were written together, by the machine of that role
    const party = { terms, role: contract.role, phase } as Parameters<typeof runParty>[0];
    const shared = {
      ...{ sources, joinsSeen: () => joinsSeen(terms) },
      withJoins: (secrets: Secrets) => joins.withSessions(terms, secrets),
      listening: listeningOf(listeningPorts, terms),
      believed: () => ledger.watch.believed(),
      leads: (one: Standing) => leads(one, drivers.values()),
      fenced: (one: Standing) => fencedTerms(one, drivers.values()),
      inTurn: (work: () => Promise<void>) => inTurn(terms.set.setId, work),
      retired: () => retire(contractId),
      blocksRefused: blocks.refused,
      host: {
        ...failuresOf(store, terms.set.setId),
        blocks: blocks.bookOf(terms),
        mayBegin: () => turns.mayBegin(contractId),
        ...providersAmong(drivers, terms),
        siblings: () => siblingsOf(contract, drivers.values()).map((one) => one.seen.asSibling()),
      },
    };
    const driver = running.begin(contractId, () =>
      runParty(party, {
        options,
        ports,
        store,
        rooms,
        calls,
        ownSecrets,
        ownKeyVersion: () => ({
          ...ownKeyVersion(),
          ...rekeyCounts.of(terms, drivers.get(contractId)?.record()),
        }),
        ...shared,
      }),
    );
    if (driver === undefined) return;
    for (const one of perContract) one.drive(driver);
    if (holdOf(store, contractId) !== undefined) driver.post({ type: 'held', held: true });
  };

  return {
    signing,
    ledger,
    ownSecrets,
    drills,
    fullDrills,
    handback,
    macHome,
    joins,
    drivers,
    drive,
    addresses,
    ...{ downlinkDrills, refetches },
    blocks,
    async takeKeys(terms, given) {
      const { contractId, addresses = [] } = given;
      const forgets = drivers.get(contractId)?.phase().at === 'ready';
      checkVersion(store, { contractId, kind: 'keys', forgets }, given.keyVersion);
      const isNewest = (keptPackage(store, contractId)?.keyVersion ?? 0) <= given.keyVersion;
      if (isNewest) await coverAlso(terms, addresses);
      keepKeys(given);
      if (!isNewest) return;
      givenAddresses.set(contractId, addresses);
      versionsTaken.set(contractId, given.keyVersion);
    },
    async takeAddresses(terms, addresses) {
      await coverAlso(terms, addresses);
      const { contractId } = terms;
      keepAddresses(store, contractId, addresses);
      givenAddresses.set(contractId, addresses);
      versionsTaken.set(contractId, (versionsTaken.get(contractId) ?? 0) + 1);
    },
    ...{ waitingForTurn: turns.waiting, live },
    disclosures,
    leaveBehind: rekeyCounts.leave,
    sealing: () => ({
      ...sealingNow(drivers.values(), store, ownKeys),
      ...{ disclosed: disclosures.all(), rootKeysSeen: disclosures.rootKeys() },
    }),
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
    async admitCustomer(terms) {
      const kept = await rooms.keptBytes();
      const alive = [...drivers.values()].filter((driver) => driver.phase().at !== 'ended');
      checkAddresses(
        terms,
        alive.map((driver) => driver.terms),
      );
      const serving = alive.filter((driver) => driver.role === 'provider');
      checkRoom(
        terms,
        serving.map((driver) => driver.terms),
        spareOf(options.dataDir, kept),
      );
    },
    async stop() {
      await Promise.all([...perContract, macHome, joins.home, refetches].map((one) => one.stop()));
      await running.stop();
    },
  };
}
