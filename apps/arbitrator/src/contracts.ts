import { z } from 'zod';
import { AntirioError, describeError, type EdgeId, type SealKey } from '@antirio/kernel';
import {
  fencedTerms,
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
import { createAdmission, type Admission } from './admission.ts';
import { keptBackAsk } from './asked-back.ts';
import { createBlockDesk, type BlockDesk } from './block-desk.ts';
import { createContractJoins, type ContractJoins } from './contract-joins.ts';
import { createContractDrills, type ContractDrills } from './contract-drills.ts';
import { createFullDrills, type FullDrills } from './full-drills.ts';
import { createDivisions } from './divided-keys.ts';
import { createDownlinkDrills, type DownlinkDrills } from './downlink-drills.ts';
import { createFenceTurns } from './fence-turns.ts';
import { createAddressTelling } from './kept-addresses.ts';
import { keptPackage } from './kept-packages.ts';
import { ledgerClient, type LedgerClient } from './ledger-client.ts';
import { holdOf } from './operator.ts';
import { partyRooms } from './party-rooms.ts';
import { runParty, type PartyDriver } from './party-driver.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { createPerContract } from './per-contract.ts';
import { peerNamed } from './peers.ts';
import { endingOf } from './retirement.ts';
import { openDisclosures, type Disclosures } from './key-history.ts';
import { openOwnKeys, sealingNow, type SealingNow } from './live-sessions.ts';
import { readJsonFile, type KeptPackage, type Secrets } from './sealed-keys.ts';
import { createSetAddresses } from './set-addresses.ts';
import { listeningOf } from './listening.ts';
import { createMacHandback, type MacHandback } from './mac-handback.ts';
import { createMacHome, type MacHome } from './mac-home.ts';
import { createMacSnapshots, forgetSnapshots, keptSnapshots } from './mac-snapshots.ts';
import { createRefetches, type Refetches } from './refetch.ts';
import { createRekeyCounts, type RekeyCounts } from './rekey-count.ts';
import { createSigning, type Signing } from './signing.ts';
import { createSourceTurns } from './source-turns.ts';
import { turnsAmong } from './takeover-turns.ts';
import { createTakenKeys, type TakenKeys } from './taken-keys.ts';
import { volumeRoot } from './volumes.ts';

/** The contracts of this edge, each with its machine once it is signed. */
export interface Contracts extends TakenKeys, Admission {
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
  /** @throws AntirioError badConfig when this edge has no service to protect. */
  checkProtected(): void;
  stop(): Promise<void>;
}

/** Documents of the edge itself, not of a contract. */
const OWN = 'own';
const SEEN = 'ledgerSeen';

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
  const addresses = createSetAddresses({ self: identity.edgeId, store, ownKeys, joins: () => joins });
  const joins = createContractJoins({
    ...{ ...ports, self: identity.edgeId, store, drivers },
    cover: (terms) => rooms.cover(terms),
    addresses: addresses.of,
  });
  const rooms = partyRooms(
    peers,
    () => clock.now(),
    addresses.joined,
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

  const blocks = createBlockDesk({ store, addresses: addresses.of, joinsSeen: addresses.joinsSeen });
  const fullDrills = createFullDrills({ ports, store, ledger, rooms, drivers, rekeyCounts });
  const downlinkDrills = createDownlinkDrills({ ports, store, ledger, addresses: addresses.of });

  const sealKeyOf = (edge: EdgeId): Promise<SealKey> => ledger.sealKeyOf(edge);
  const macs = createMacSnapshots({ peers, clock, log: ports.log, sealKeyOf });
  const macHome = createMacHome({ peers, identity, store, joins: joins.home, clock, log: ports.log });
  const handback = createMacHandback({ ...ports, store, sealKeyOf });
  const telling = createAddressTelling({ ...ports, joined: addresses.joined });
  const perContract = [drills, fullDrills, downlinkDrills, macs, handback, telling];
  const listeningPorts = { store, clock, drivers, macs, macHome, handback };

  const phaseOf = (contractId: string): string | undefined => drivers.get(contractId)?.phase().at;
  const owns = { ...ports, store, ledger, phaseOf };
  const dividedFor = createDivisions({ ...owns, ownSecrets, service: ownService });
  const taken = createTakenKeys({ ...owns, rooms, joins, addresses });
  const admission = createAdmission({ options, rooms, drivers });

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
      ports.log.warn(
        { ...about, error: describeError(error) },
        'what an ended contract used is not forgotten',
      );
    });
  };

  const machineOf = (contract: StoredContract): PartyDriver => {
    const { terms, role, phase } = contract;
    const { contractId } = terms;
    const given = (keyVersion?: number): KeptPackage | undefined =>
      keptPackage(store, contractId, keyVersion);
    const calls = { ...callsOf(terms, store, ledger, ports), rooms, given, divided: () => dividedFor(terms) };
    // a stored role and phase were written together, by the machine of that role
    const party = { terms, role, phase } as Parameters<typeof runParty>[0];
    return runParty(party, {
      ...{ options, ports, store, rooms, calls, ownSecrets, sources },
      ownKeyVersion: () => ({
        ...ownKeyVersion(),
        ...rekeyCounts.of(terms, drivers.get(contractId)?.record()),
      }),
      joinsSeen: () => addresses.joinsSeen(terms),
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
    });
  };
  const drive = (contract: StoredContract): void => {
    const { contractId } = contract.terms;
    const { retired } = endingOf(store, contractId);
    if (retired) blocks.leave(contractId);
    if (contract.phase === undefined || retired) return;
    const driver = running.begin(contractId, () => machineOf(contract));
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
    addresses: addresses.of,
    ...taken,
    ...admission,
    ...{ downlinkDrills, refetches },
    blocks,
    waitingForTurn: turns.waiting,
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
    async stop() {
      await Promise.all([...perContract, macHome, joins.home, refetches].map((one) => one.stop()));
      await running.stop();
    },
  };
}
