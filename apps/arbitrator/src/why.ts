import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { AntirioError, describeError, type Clock, type EdgeId } from '@antirio/kernel';
import {
  BLOCKS_ON_PROMISES,
  gapState,
  keepsOnly,
  neverTakesOver,
  windowAfter,
  windowAt,
  type ContractTerms,
  type ProtectedDevice,
} from '@antirio/service-contract';
import { beatIn } from './beat-evidence.ts';
import type { Contracts } from './contracts.ts';
import type { CounterGaps } from './counter-gaps.ts';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { shareView } from './downlink-shares.ts';
import type { PartyDriver } from './party-driver.ts';
import type { LedgerClient } from './ledger-client.ts';
import { holdOf } from './operator.ts';
import { volumesNow } from './volume-alarms.ts';

const setRecord = z.looseObject({
  epoch: z.int(),
  holder: z.string(),
  takenAt: z.number(),
  released: z.looseObject({ epoch: z.int(), at: z.number() }).optional(),
});
const keysRecord = z.looseObject({ exposedAt: z.number().optional() });
const contractRecord = z.looseObject({
  life: z.looseObject({ state: z.string() }),
  openings: z.int().default(0),
  dispute: z.array(z.string()).optional(),
});
const opening = z.looseObject({ at: z.number(), keyVersion: z.int(), evidence: z.unknown() });
const fenceSet = z.looseObject({
  epoch: z.int(),
  slot: z.int(),
  open: z.boolean(),
  devAddrs: z.array(z.string()).default([]),
  collides: z.string().optional(),
  actFrom: z.number(),
  actUntil: z.number(),
  counters: z.record(z.string(), z.int()).default({}),
});
const fence = z.looseObject({
  sets: z.array(z.looseObject({ setId: z.string() })),
  refused: z.record(z.string(), z.int()).default({}),
});

/** Milestones that say why somebody acts. */
const telling: ReadonlySet<string> = new Set([
  'ready',
  'suspected',
  'confirmed',
  'opened',
  'activated',
  'yielding',
  'yielded',
  'yieldFailed',
  'fenced',
  'leaseBy',
  'released',
  'retaken',
  'rootsClaimed',
  'coverageClaimed',
  'rentDoubted',
  'rentDoubtAnswered',
  'coverageAnswered',
  'coverageRuled',
  'operator',
  'notForwarded',
  'drill',
  'coverage',
]);
const NOTES_SHOWN = 8;
const padded = (n: number): string => String(n).padStart(12, '0');

export interface WhyPorts {
  readonly edgeId: EdgeId;
  readonly clock: Clock;
  readonly contracts: Contracts;
  readonly store: ContractStore;
  readonly ledger: Pick<LedgerClient, 'read'>;
  readonly bridge: HttpPeer;
  readonly orchestrator?: HttpPeer | undefined;
  readonly counterGaps: Pick<CounterGaps, 'found'>;
}

/** What is not to be had now is said in its place. */
async function orWhyNot<T>(found: Promise<T>): Promise<T | { readonly unknown: string }> {
  try {
    return await found;
  } catch (error) {
    return { unknown: describeError(error) };
  }
}

/** With what its evidence says of the customer's last beat in plain words. */
function openingView(found: z.output<typeof opening>, terms: ContractTerms) {
  return { ...found, lastBeat: beatIn(found.evidence, terms) };
}

async function ledgerView(ledger: WhyPorts['ledger'], { terms }: StoredContract) {
  const { contractId, set } = terms;
  const [foundSet, foundContract, foundKeys] = await Promise.all([
    ledger.read(`set/${set.setId}`),
    ledger.read(`contract/${contractId}`),
    ledger.read(`keys/${contractId}`),
  ]);
  if (foundSet === undefined || foundContract === undefined)
    throw new AntirioError('notFound', 'the ledger does not know the contract yet');
  const { epoch, holder, takenAt, released } = parseInput(setRecord, foundSet);
  const { life, openings, dispute } = parseInput(contractRecord, foundContract);
  const newest = openings === 0 ? undefined : await ledger.read(`opening/${contractId}/${padded(openings)}`);
  const exposed = parseInput(keysRecord.default({}), foundKeys).exposedAt !== undefined;
  const keys = newest === undefined ? undefined : openingView(parseInput(opening, newest), terms);
  return {
    state: life.state,
    differs: dispute,
    epoch,
    holder,
    since: takenAt,
    released,
    openings,
    newestOpening: keys,
    exposed,
  };
}

/** Why nothing of the device goes on air from this edge now; undefined where it does. */
function refusalOf(seen: z.output<typeof fenceSet>, devAddr: string, now: number): string | undefined {
  if (seen.collides !== undefined && !seen.devAddrs.includes(devAddr))
    return `another set here has the DevAddr ${devAddr}`;
  if (!seen.open) return 'shut';
  if (now < seen.actFrom) return 'notYet';
  return now < seen.actUntil ? undefined : 'leaseEnded';
}

async function fenceView({ bridge, clock }: WhyPorts, setId: string, devAddr: string) {
  const found = parseInput(fence, await callJson(bridge, { path: '/api/v3/fence' }));
  const { refused } = found;
  const there = found.sets.find((one) => one.setId === setId);
  if (there === undefined) return { inNoSet: true as const, refusedSinceStart: refused };
  const seen = parseInput(fenceSet, there);
  const now = clock.monotonic();
  return {
    ...{ open: seen.open, epoch: seen.epoch, slot: seen.slot },
    leaseLeftMs: Math.max(0, Math.floor(seen.actUntil - now)),
    waitsMs: Math.max(0, Math.ceil(seen.actFrom - now)),
    fCntDown: seen.counters[devAddr],
    refuses: refusalOf(seen, devAddr, now),
    refusedSinceStart: refused,
  };
}

/** At what the service changes hands; windows by this host's clock, which is near the ledger's. */
function movesOn({ activation }: ContractTerms, now: number) {
  const { events, windows, takeovers } = activation;
  if (windows.length === 0) return { events, takeovers };
  return { events, takeovers, window: windowAt(windows, now), nextWindow: windowAfter(windows, now) };
}

const ringDrops = z.looseObject({
  rings: z.array(z.looseObject({ ringId: z.string(), dropped: z.record(z.string(), z.int()).optional() })),
  droppedElsewhere: z.record(z.string(), z.record(z.string(), z.int())).default({}),
});

/** What had no room in the ring that the provider keeps of the contract, by reason; undefined where nobody has told yet. */
async function dropsView({ bridge }: WhyPorts, contractId: string) {
  const { rings, droppedElsewhere } = parseInput(ringDrops, await callJson(bridge, { path: '/api/v3/ring' }));
  return rings.find(({ ringId }) => ringId === contractId)?.dropped ?? droppedElsewhere[contractId];
}

/** What of the device's keys its provider lacks, and whether somebody has seen them. */
function deviceKeys(contracts: WhyPorts['contracts'], contractId: string, devEui: string) {
  const { unsealed, disclosed = [], rootKeysSeen = [] } = contracts.sealing();
  return {
    unsealed: unsealed.filter((one) => one.contractId === contractId && one.devEui === devEui),
    disclosed: disclosed.some((one) => one.devEui === devEui),
    rootKeySeen: rootKeysSeen.some((one) => one.devEui === devEui),
  };
}

function actingOf({ seen, activeLeftMs }: PartyDriver) {
  return { leaseBy: seen.leaseBy(), providerActsForMs: activeLeftMs(), comesBack: seen.comesBack?.() };
}

/** What of the service's state is at the provider, and how old it is. */
async function volumesView({ orchestrator }: WhyPorts, { contractId, volumes }: ContractTerms) {
  if (volumes === undefined) return undefined;
  return (await volumesNow(orchestrator)).find((one) => one.contractId === contractId);
}

async function explain(ports: WhyPorts, contract: StoredContract, { devEui, devAddr }: ProtectedDevice) {
  const { store, contracts, edgeId, clock } = ports;
  const { terms, role } = contract;
  const { contractId, set } = terms;
  const driver = contracts.drivers.get(contractId);
  const [ledger, seen] = await Promise.all([
    orWhyNot(ledgerView(ports.ledger, contract)),
    orWhyNot(fenceView(ports, set.setId, devAddr)),
  ]);
  const acts = 'holder' in ledger ? (ledger.released === undefined ? ledger.holder : 'nobody') : 'unknown';
  const notes = store.notes(contractId).filter(({ milestone }) => telling.has(milestone));
  return {
    ...{ contractId, role, setId: set.setId, phase: driver?.phase().at ?? 'over' },
    acts: { edge: acts, isThisEdge: acts === edgeId },
    neverTakesOver: neverTakesOver(terms),
    ledger,
    fence: seen,
    keys:
      'openings' in ledger
        ? { exposed: ledger.exposed, openings: ledger.openings, newest: ledger.newestOpening }
        : undefined,
    ...deviceKeys(contracts, contractId, devEui),
    held: holdOf(store, contractId),
    movesOn: keepsOnly(terms) ? undefined : movesOn(terms, clock.now()),
    ...(driver === undefined ? {} : actingOf(driver)),
    waitsForItsTurn: contracts.waitingForTurn().includes(contractId) || undefined,
    drills: contracts.drills.view(contractId),
    fullDrills: contracts.fullDrills.view(contractId),
    hearsProvider: shareView(store, contractId, devEui),
    dropped: await orWhyNot(dropsView(ports, contractId)),
    volumes: await volumesView(ports, terms),
    evidence: notes.slice(-NOTES_SHOWN),
  };
}

/** How far the device's counters run ahead of what it heard, and how many blocks of them no grantor has recorded. */
function countersView({ counterGaps, contracts }: WhyPorts, devAddr: string) {
  const gap = counterGaps.found().find((one) => one.devAddr === devAddr);
  const standing = [...contracts.drivers.values()].flatMap(({ seen }) => seen.onPromises());
  const found = standing.find((one) => one.devAddr === devAddr);
  if (gap === undefined && found === undefined) return undefined;
  const near = gap && { ...gap, state: gapState(gap) };
  const { blocks = 0, isSpent = false } = found ?? {};
  const onPromises = found && { blocks, limit: BLOCKS_ON_PROMISES, waitsForGrantor: isSpent };
  return { ...near, onPromises };
}

/** Who acts for a device, since when, on what evidence, and what is refused and why. @throws AntirioError notFound */
export async function whyDevice(ports: WhyPorts, device: string): Promise<unknown> {
  const wanted = device.toLowerCase();
  const found = ports.store.all().flatMap((contract) => {
    const one = ports.contracts
      .addresses(contract.terms)
      .findLast(({ devEui, devAddr }) => devEui === wanted || devAddr === wanted);
    return one === undefined ? [] : [{ contract, one }];
  });
  const live = found.filter(({ contract }) => ports.contracts.drivers.has(contract.terms.contractId));
  const newest = live.length > 0 ? live : found.slice(-1);
  const [first] = newest;
  if (first === undefined)
    throw new AntirioError('notFound', `no contract of this edge names the device ${device}: it acts alone`);
  const { devEui, devAddr } = first.one;
  const explained = await Promise.all(newest.map(({ contract }) => explain(ports, contract, first.one)));
  const shown = { devEui, devAddr, downlinkCounters: countersView(ports, devAddr) };
  return { device: shown, contracts: explained };
}
