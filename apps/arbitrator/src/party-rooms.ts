import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';
import {
  addressesOf,
  type ContractTerms,
  type Desired,
  type DownCounters,
  type Observed,
  type ProtectedDevice,
} from '@antirio/service-contract';
import { createLoadMeter } from './machine-load.ts';
import { peerNamed } from './peers.ts';
import { senseEdge, type Sensed } from './room-senses.ts';
import type { KeptPackage, Secrets } from './sealed-keys.ts';
import { takeVolumesHome, volumeKeyIn, volumesAtHome, type Volumes } from './volumes.ts';

const ringStatus = z.looseObject({
  next: z.int(),
  acknowledged: z.int(),
  incarnation: z.string().max(64).optional(),
});

/** The first record that the customer has not acknowledged, the next to come, and of which life of the ring. */
export interface RingRange {
  readonly from: number;
  readonly next: number;
  readonly incarnation?: string | undefined;
}

const sourceStatus = z.looseObject({
  edgeId: z.string(),
  ringId: z.string(),
  pulledThrough: z.int(),
  remoteNext: z.int(),
  lastSuccessAt: z.number().nullish(),
  gone: z.int().min(0).default(0),
  /** Of older bridges there are none. */
  remoteJoins: z.int().default(0),
});
type Filled = NonNullable<Observed['source']> & {
  /** Frames that had left the provider's ring before they were read, as far as the bridge has counted since it began with it. */
  readonly gone?: number;
};
const keptStatus = z.looseObject({
  rings: z.array(z.looseObject({ bytes: z.int(), kept: z.looseObject({}).optional() })),
});
const serviceStatus = z.looseObject({
  role: z.string().optional(),
  archive: z.string().optional(),
  observed: z.enum(['absent', 'loading', 'standby', 'active', 'failed', 'needsSecrets']),
});
type ServiceStatus = z.output<typeof serviceStatus>;
const fetchStatus = z.looseObject({
  state: z.string(),
  archive: z.string().optional(),
  configuration: z.unknown().optional(),
});
const fenceStatus = z.looseObject({ counters: z.record(z.string(), z.int()).default({}) });

/** What a service is made of; without a configuration it keeps the one that it has. */
interface Runnable {
  readonly state: string;
  readonly terms: { readonly archive: string | undefined; readonly configuration?: unknown };
}

/** The rooms of this edge that a contract moves: radio, runtime, migration. */
export interface PartyRooms {
  fence(terms: ContractTerms, fence: Desired['fence']): Promise<void>;
  grantBlock(
    terms: ContractTerms,
    devAddr: string,
    block: { readonly first: number; readonly last: number },
  ): Promise<void>;
  /** Highest FCntDown used, by DevEUI. */
  counters(terms: ContractTerms): Promise<DownCounters>;
  /** What the rooms of this edge say of themselves, its gateways, and how much there is to do. */
  senses(): Promise<Sensed>;
  /** The contract's ring, made where it is not there yet; it takes over the trial's. */
  ring(terms: ContractTerms): Promise<RingRange>;
  /** @throws AntirioError invalidInput where the ring does not reach so far, gone where it does not reach back */
  ringRoot(ringId: string, through: number): Promise<RingTree>;
  /** `anew`: from its first frame on, under this name, and the provider lets go of nothing for it. */
  fillFrom(terms: ContractTerms, anew?: string): Promise<Filled>;
  /** The own ring is filled from the provider's no more. */
  endFilling(terms: ContractTerms): Promise<void>;
  /** The contract's ring takes these addresses as well (those known by now where none are named), durably; what is not named any more it takes no longer. */
  cover(terms: ContractTerms, joined?: readonly ProtectedDevice[]): Promise<void>;
  /** The contract's ring, undefined where there is none. @throws AntirioError unavailable where it cannot be opened now */
  ringIfThere(contractId: string): Promise<{ readonly from: number; readonly next: number } | undefined>;
  removeRing(contractId: string): Promise<void>;
  /** The ring takes nothing more, and its frames stay for their owner for so long, as far as living rings leave room. */
  keepRing(contractId: string, forS: number): Promise<void>;
  /** Bytes on the disk that are kept so; none where the bridge does not answer. */
  keptBytes(): Promise<number>;
  /** What the ring holds lasts for a while more: statements are to be made of it. Told once a minute, however often it is called. */
  hold(ringId: string): Promise<void>;
  /** The set's sensors are in no set any more. */
  removeFence(terms: ContractTerms): Promise<void>;
  service(
    terms: ContractTerms,
    given: KeptPackage,
    desired: Desired['service'],
    secrets?: Secrets,
    /** Of one that stands by: nothing of what it wrote is to go home any more. */
    startsAnew?: boolean,
  ): Promise<Observed['service']>;
  /** Of a provider's service that hands back: what its volumes hold is sealed, for the statement. */
  takeVolumesHome(terms: ContractTerms, epoch: number, keys: Secrets): Promise<Volumes>;
  /** At the customer: what of them came home. @throws AntirioError unavailable while it is on its way */
  volumesAtHome(terms: ContractTerms, epoch: number): Promise<Volumes>;
  /** Ends the service, whatever it does. */
  endService(terms: ContractTerms): Promise<Observed['service']>;
  sendImages(terms: ContractTerms): Promise<void>;
  endSending(terms: ContractTerms): Promise<void>;
  /** What migration fetched for the contract is let go. */
  endFetch(contractId: string): Promise<void>;
}

/** The root over a ring; `incarnation`: of which life of it. */
const ringTree = z.object({
  root: z.string(),
  count: z.int(),
  incarnation: z.string().min(1).max(64).optional(),
});
type RingTree = z.output<typeof ringTree>;

const leavingNothing = (desired: Desired['service'], startsAnew?: boolean): { readonly startsAnew?: true } =>
  desired === 'standby' && startsAnew === true ? { startsAnew } : {};

/** A room takes no more in one request. */
const MOST_BYTES = 1_000_000;

/**
 * What the service itself is given: who it would be at the customer's cloud is not its concern. `mac`: how the devices listen, where
 * there is room for it; without it the service goes by its configuration.
 */
function withSecrets(json: object, all: Secrets | undefined, mac: () => string | undefined): object {
  if (all === undefined) return json;
  const { forwarding: _cloud, volumes: _snapshots, ...own } = all;
  const told = { ...json, secrets: { ...own, mac: mac() } };
  return JSON.stringify(told).length <= MOST_BYTES ? told : { ...json, secrets: own };
}

const SENSES_EVERY_MS = 2000;
/** Longer than a bridge or an arbitrator takes to start anew. */
const HELD_FOR_S = 900;
const HOLD_EVERY_MS = 60_000;
const OWN_SOURCE = '/api/v3/ring/own/source';

/** Undefined where the other side has no such thing. */
async function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return undefined;
    throw error;
  }
}

/** Removes what is there; that it is gone already is as good. */
async function remove(peer: HttpPeer, path: string): Promise<void> {
  await ifThere(callJson(peer, { method: 'DELETE', path }));
}

/** Addresses of one device have its share of the ring together; one that several devices have stands for itself. */
function sharingOf(addresses: readonly ProtectedDevice[]): readonly (readonly string[])[] {
  const devices = Map.groupBy(addresses, ({ devAddr }) => devAddr);
  const own = addresses.filter(({ devAddr }) => devices.get(devAddr)?.length === 1);
  const groups = [...Map.groupBy(own, ({ devEui }) => devEui).values()];
  return groups.filter(({ length }) => length > 1).map((group) => group.map(({ devAddr }) => devAddr));
}

function ringOf(
  terms: ContractTerms,
  joined: readonly ProtectedDevice[],
  answered: number,
): Record<string, unknown> {
  const { contractId, customer, ringBudgetBytes: budgetBytes, matchId: adopt } = terms;
  const addresses = addressesOf(terms, joined);
  const devAddrs = [...new Set(addresses.map(({ devAddr }) => devAddr))];
  const prefix = `contract/${contractId}/`;
  // with their addresses: whoever reads a frame of one is told first
  const joins = terms.rootKeys === true ? { joins: answered } : {};
  const ring = { devAddrs, budgetBytes, prefix, deliver: true, owner: customer, adopt, ...joins };
  if (terms.devAddrRange === undefined) return ring;
  // who joins in an outage is at least counted
  const devEuis = terms.set.devices.map(({ devEui }) => devEui);
  return joined.length === 0 ? { ...ring, devEuis } : { ...ring, devEuis, sharing: sharingOf(addresses) };
}

function rangeOf(status: unknown): RingRange {
  const { next, acknowledged, incarnation } = parseInput(ringStatus, status);
  return { from: acknowledged + 1, next, incarnation };
}

/** Joins that providers answer. */
export interface JoinsOfContracts {
  /** As a provider: the number of the last one that was answered here, 0 before. */
  answered(contractId: string): number;
  /** As a customer: the provider's are known here up to this number. */
  known(contractId: string): number;
  /** The provider's ring tells of them up to this number. */
  told(terms: ContractTerms, joins: number): void;
}

const NO_JOINS: JoinsOfContracts = { answered: () => 0, known: () => 0, told: () => undefined };

export function partyRooms(
  peers: Readonly<Record<string, HttpPeer>>,
  monotonicToWall: () => number,
  joinedOf: (terms: ContractTerms) => readonly ProtectedDevice[],
  /** What the customer's service knew last of how the devices listen. */
  macOf: (contractId: string) => string | undefined = () => undefined,
  joins: JoinsOfContracts = NO_JOINS,
): PartyRooms {
  const bridge = peerNamed(peers, 'gatewayBridge');
  const orchestrator = peerNamed(peers, 'orchestrator');
  const migration = peerNamed(peers, 'migration');
  const lastPut = new Map<string, string>();
  const heldAt = new Map<string, number>();
  let sensedAt = -Infinity;
  let sensed: Sensed = {};
  const measure = createLoadMeter();

  const ringNow = (terms: ContractTerms, joined = joinedOf(terms)): Record<string, unknown> =>
    ringOf(terms, joined, joins.answered(terms.contractId));
  const seen = async (contractId: string): Promise<ServiceStatus | undefined> => {
    const status = await ifThere(callJson(orchestrator, { path: `/orchestrator/v1/service/${contractId}` }));
    return status === undefined ? undefined : parseInput(serviceStatus, status);
  };
  const observe = async (contractId: string): Promise<Observed['service']> =>
    (await seen(contractId))?.observed ?? 'absent';
  /** The version that acts is the orchestrator's to know; migration is asked only until there is one. */
  const runnable = async (contractId: string, service: ServiceStatus | undefined): Promise<Runnable> => {
    if (service?.role === 'current' && service.archive !== undefined)
      return { state: 'DOWNLOADED', terms: { archive: service.archive } };
    const path = `/migration/v1/fetch/${contractId}`;
    const { state, archive, configuration } = parseInput(fetchStatus, await callJson(migration, { path }));
    return { state, terms: { archive, configuration } };
  };
  const ringIfThere: PartyRooms['ringIfThere'] = async (contractId) => {
    const status = await ifThere(callJson(bridge, { path: `/api/v3/ring/${contractId}` }));
    return status === undefined ? undefined : rangeOf(status);
  };
  const endService: PartyRooms['endService'] = async ({ contractId, standby, image }) => {
    const path = `/orchestrator/v1/service/${contractId}`;
    // Once for each start of ours: where there is no service, this lets go of what was fetched for one.
    if (lastPut.get(path) !== 'absent') {
      const json = { desired: 'absent', standby, imageCid: image.imageCid };
      await callJson(orchestrator, { method: 'PUT', path, json });
      lastPut.set(path, 'absent');
    }
    return observe(contractId);
  };
  return {
    async fence(terms, fence) {
      const path = `/api/v3/fence/${terms.set.setId}`;
      const fenced = {
        devAddrs: [...new Set(addressesOf(terms, joinedOf(terms)).map(({ devAddr }) => devAddr))],
        devEuis: terms.set.devices.map(({ devEui }) => devEui),
      };
      if (fence.state === 'shut') {
        await callJson(bridge, { method: 'POST', path: `${path}/close`, json: fenced });
        return;
      }
      const { epoch, slot, actFrom, actUntil } = fence;
      await callJson(bridge, { method: 'PUT', path, json: { ...fenced, epoch, slot, actFrom, actUntil } });
    },
    async grantBlock(terms, devAddr, block) {
      const path = `/api/v3/fence/${terms.set.setId}/block`;
      await callJson(bridge, { method: 'PUT', path, json: { devAddr, ...block } });
    },
    async counters(terms) {
      const path = `/api/v3/fence/${terms.set.setId}`;
      const { counters } = parseInput(fenceStatus, await callJson(bridge, { path }));
      const out: DownCounters = {};
      for (const { devEui, devAddr } of addressesOf(terms, joinedOf(terms))) {
        const counter = counters[devAddr];
        if (counter !== undefined) out[devEui] = Math.max(counter, out[devEui] ?? 0);
      }
      return out;
    },
    async ring(terms) {
      const path = `/api/v3/ring/${terms.contractId}`;
      // made anew around its frames where it cannot be opened
      const there = await ringIfThere(terms.contractId).catch((error: unknown) => {
        if (!isAntirioError(error, 'unavailable')) throw error;
      });
      return there ?? rangeOf(await callJson(bridge, { method: 'PUT', path, json: ringNow(terms) }));
    },
    async cover(terms, joined) {
      const path = `/api/v3/ring/${terms.contractId}`;
      await callJson(bridge, { method: 'PUT', path, json: ringNow(terms, joined) });
    },
    ringIfThere,
    async hold(ringId) {
      const now = monotonicToWall();
      if (Math.abs(now - (heldAt.get(ringId) ?? -Infinity)) < HOLD_EVERY_MS) return;
      const path = `/api/v3/ring/${ringId}/hold`;
      await ifThere(callJson(bridge, { method: 'PUT', path, json: { forS: HELD_FOR_S } }));
      heldAt.set(ringId, now);
    },
    removeRing: (contractId) => remove(bridge, `/api/v3/ring/${contractId}`),
    async keepRing(contractId, forS) {
      const path = `/api/v3/ring/${contractId}/kept`;
      await ifThere(callJson(bridge, { method: 'PUT', path, json: { forS } }));
    },
    async keptBytes() {
      try {
        const { rings } = parseInput(keptStatus, await callJson(bridge, { path: '/api/v3/ring' }));
        return rings.reduce((sum, { kept, bytes }) => sum + (kept === undefined ? 0 : bytes), 0);
      } catch {
        return 0;
      }
    },
    removeFence: ({ set }) => remove(bridge, `/api/v3/fence/${set.setId}`),
    async senses() {
      const now = monotonicToWall();
      if (Math.abs(now - sensedAt) >= SENSES_EVERY_MS) {
        sensedAt = now;
        sensed = await senseEdge(peers, bridge, measure);
      }
      return sensed;
    },
    async ringRoot(ringId, through) {
      const answer = await callJson(bridge, { path: `/api/v3/ring/${ringId}/root?through=${through}` });
      return parseInput(ringTree, answer);
    },
    async fillFrom(terms, anew) {
      const { contractId, provider, rootKeys } = terms;
      const path = OWN_SOURCE;
      const known = rootKeys === true ? { joins: joins.known(contractId) } : {};
      const wanted = JSON.stringify({ edgeId: provider, ringId: contractId, ...known, anew });
      if (lastPut.get(path) !== wanted) {
        await callJson(bridge, { method: 'PUT', path, json: JSON.parse(wanted) as unknown });
        lastPut.set(path, wanted);
      }
      let status: z.output<typeof sourceStatus>;
      try {
        status = parseInput(sourceStatus, await callJson(bridge, { path }));
      } catch (error) {
        lastPut.delete(path);
        throw error;
      }
      if (rootKeys === true) joins.told(terms, status.remoteJoins);
      const recent = monotonicToWall() - (status.lastSuccessAt ?? 0) < 3000;
      return {
        pulledThrough: status.pulledThrough,
        caughtUp: recent && status.pulledThrough >= status.remoteNext - 1,
        gone: status.gone,
      };
    },
    async endFilling({ contractId, provider }) {
      lastPut.delete(OWN_SOURCE);
      const there = await ifThere(callJson(bridge, { path: OWN_SOURCE }));
      if (there === undefined) return;
      const { edgeId, ringId } = parseInput(sourceStatus, there);
      if (edgeId === provider && ringId === contractId) await remove(bridge, OWN_SOURCE);
    },
    endService,
    async service(terms, given, desired, secrets, startsAnew) {
      const { contractId, standby } = terms;
      const path = `/orchestrator/v1/service/${contractId}`;
      if (desired === 'absent') return endService(terms);
      const before = await seen(contractId);
      const image = await runnable(contractId, before);
      if (image.state !== 'DOWNLOADED') return image.state === 'FAILED' ? 'failed' : 'loading';
      const { archive, ...configured } = image.terms;
      const service = { ...given.service, ...configured };
      const running = { desired, standby, imageCid: terms.image.imageCid, archive, service };
      const anew = leavingNothing(desired, startsAnew);
      const wish = { ...running, ...anew, ...volumeKeyIn(secrets) };
      // Idempotent, so it is sent again only when something changed or the room forgot.
      const state = before?.observed ?? 'absent';
      const key = JSON.stringify({ desired, archive, ...anew, secrets: secrets !== undefined });
      if (
        lastPut.get(path) !== key ||
        state === 'absent' ||
        (state === 'needsSecrets' && secrets !== undefined)
      ) {
        const json = withSecrets(wish, secrets, () => macOf(contractId));
        await callJson(orchestrator, { method: 'PUT', path, json });
        lastPut.set(path, key);
      }
      return observe(contractId);
    },
    takeVolumesHome: (terms, epoch, keys) => takeVolumesHome(orchestrator, terms, epoch, keys),
    volumesAtHome: (terms, epoch) => volumesAtHome(orchestrator, terms, epoch),
    async sendImages({ contractId, provider, image }) {
      const path = `/migration/v1/contracts/${contractId}/send`;
      await callJson(migration, { method: 'POST', path, json: { providerEdgeId: provider, ...image } });
    },
    endSending: ({ contractId }) => remove(migration, `/migration/v1/contracts/${contractId}`),
    endFetch: (contractId) => remove(migration, `/migration/v1/fetch/${contractId}`),
  };
}
