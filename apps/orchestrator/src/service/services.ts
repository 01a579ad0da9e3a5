import { AntirioError, describeError, fromHex } from '@antirio/kernel';
import { repeat, sleep, waitFor, type Repeating, type Subscription } from '@antirio/host';
import type { OrchestratorStore } from '../store.ts';
import type { ServiceBody, ServiceRecord, ServiceWish, VersionSwitch } from './service-record.ts';
import type { ServiceRoom } from './service-room.ts';
import { ServiceLoop, type ServiceReport, type ServiceWork } from './service-work.ts';
import { fetchedFor } from '../flow/provider-accept.ts';
import { advanceVersions, asWhole, isFresh, versionsOf } from './versions.ts';

/** One version as it is answered to a GET: without its secrets, and without what the customer configured. */
export interface VersionAnswer extends ServiceReport {
  readonly serviceId: string;
  readonly role: ServiceRecord['role'];
  readonly desired: ServiceRecord['desired'];
  readonly standby: ServiceRecord['standby'];
  readonly imageCid: string;
  /** By which a wish names this version. */
  readonly archive: string;
  readonly imageId?: string;
  readonly epoch: number;
  readonly updatedAt: number;
}

export interface NextAnswer extends VersionAnswer {
  /** Whether it goes on from what the version that acts leaves. Otherwise that is lost: as much as `waiting` of that one's status. */
  readonly keepsData: boolean;
  readonly data?: ServiceRecord['data'];
}

/** A contract's service: the version that acts, and the one that is to take its place. */
export interface ServiceAnswer extends VersionAnswer {
  readonly contractId: string;
  readonly next?: NextAnswer;
  readonly lastSwitch?: VersionSwitch;
}

/** All customers' services of this edge. */
export interface Services {
  /** Durable when it returns. @throws AntirioError forbidden | busy */
  want(contractId: string, wish: ServiceBody): void;
  /** @throws AntirioError notFound */
  get(contractId: string): Promise<ServiceAnswer>;
  all(): Promise<ServiceAnswer[]>;
  /** Resolves once nothing of the contract's service runs, and its volumes keep it so. @throws AntirioError unavailable */
  stopped(contractId: string): Promise<void>;
  /** The version that acts for a contract. */
  current(contractId: string): string;
  start(): void;
  stop(): Promise<void>;
}

const LISTEN_AGAIN_MS = 500;
const UNLISTEN_MS = 1000;
const VERSIONS_MS = 500;
const STOP_WITHIN_MS = 15_000;
/** Of first versions, and of later ones, which have a level of their own. */
const STATUS_FILTERS = ['contract/+/antirio/service/+/status', 'contract/+/antirio/service/+/+/status'];

/** A version that was configured stays so where a wish says nothing of it. */
function configured(
  service: ServiceWish['service'],
  before: ServiceRecord | undefined,
): ServiceWish['service'] {
  const configuration = service.configuration ?? before?.service['configuration'];
  return configuration === undefined ? service : { ...service, configuration };
}

/** A twin is configured as the service that it is of: it has the same services beside it. */
function asTwin(store: OrchestratorStore, wish: ServiceWish): ServiceWish {
  if (wish.twinOf === undefined) return wish;
  return { ...wish, service: configured(wish.service, store.services.get(wish.twinOf)) };
}

/** Of the record before, where it is about the same image. */
function kept(
  service: ServiceWish['service'],
  same: ServiceRecord | undefined,
): Pick<ServiceRecord, 'service' | 'imageId'> {
  const imageId = same?.imageId;
  return { service: configured(service, same), ...(imageId === undefined ? {} : { imageId }) };
}

/** What a wish says nothing of: where a change of versions is, and how the last one went. */
function underWay({ halted, lastSwitch }: ServiceRecord): Pick<ServiceRecord, 'halted' | 'lastSwitch'> {
  return { ...(halted === undefined ? {} : { halted }), ...(lastSwitch === undefined ? {} : { lastSwitch }) };
}

function recordOf(
  { serviceId, contractId, imageCid }: { serviceId: string; contractId: string; imageCid: string },
  wish: ServiceWish,
  before: ServiceRecord | undefined,
  now: number,
): ServiceRecord {
  const { desired, standby, archive, service, limits, twinOf } = wish;
  return {
    serviceId,
    contractId,
    role: 'current',
    desired,
    standby,
    imageCid,
    archive,
    ...kept(service, before?.imageCid === imageCid ? before : undefined),
    epoch: wish.epoch ?? before?.epoch ?? 0,
    ...(twinOf === undefined ? {} : { twinOf }),
    ...(limits === undefined ? {} : { limits }),
    ...(before === undefined ? {} : underWay(before)),
    updatedAt: now,
  };
}

/** Which version is meant: whose archive it is. The contract's own terms go on naming the first one's image. */
function meant(store: OrchestratorStore, contractId: string, wish: ServiceWish) {
  const found = fetchedFor(store, contractId).find(({ archive }) => archive === wish.archive);
  const imageCid = found?.versionOf === undefined ? wish.imageCid : found.imageHash;
  return { contractId, serviceId: found?.contractId ?? contractId, imageCid };
}

/** What concerns the contract as a whole, for a version that the wish does not name. */
function asWished(
  record: ServiceRecord,
  { desired, standby, epoch, limits }: ServiceWish,
  now: number,
): ServiceRecord {
  return {
    ...record,
    desired,
    standby,
    ...(epoch === undefined ? {} : { epoch }),
    ...(limits === undefined ? {} : { limits }),
    updatedAt: now,
  };
}

function endVersions({ store, clock }: ServiceRoom, contractId: string): void {
  const { current, next } = versionsOf(store, contractId);
  for (const version of [current, next])
    if (version !== undefined) store.services.put({ ...version, desired: 'absent', updatedAt: clock.now() });
}

/** To those versions that are to read. @throws AntirioError forbidden */
function giveSecrets(
  secrets: ServiceRoom['secrets'],
  wish: ServiceWish,
  versions: readonly ServiceRecord[],
): void {
  if (wish.desired !== 'active' || wish.secrets === undefined) return;
  for (const { serviceId, desired } of versions)
    if (desired === 'active') secrets.hold(serviceId, wish.secrets);
}

/** What opens the snapshots of its volumes, and that they are in use again after they went home. */
function wishVolumes(
  volumes: ServiceRoom['volumes'],
  contractId: string,
  wish: ServiceWish,
  before: ServiceRecord | undefined,
): void {
  if (wish.desired !== 'active') {
    if (wish.startsAnew === true) volumes.startAnew(contractId);
    return;
  }
  const { volumeKey: given } = wish;
  if (given !== undefined) volumes.giveKey(contractId, given.version, fromHex(given.key, 32));
  if (before?.desired !== 'active') volumes.begin(contractId);
}

function keepWish(
  { store, secrets, clock, options, volumes }: ServiceRoom,
  contractId: string,
  wish: ServiceWish,
): void {
  const { current, next } = versionsOf(store, contractId);
  const now = clock.now();
  if (current === undefined && store.services.all().length >= options.maxContracts)
    throw new AntirioError('busy', `this edge serves ${options.maxContracts} contracts at most`);
  const named = meant(store, contractId, wish);
  const isCurrent = current === undefined || current.serviceId === named.serviceId;
  const record = isCurrent
    ? recordOf(named, asTwin(store, wish), current, now)
    : asWished(current, wish, now);
  giveSecrets(secrets, wish, next === undefined ? [record] : [record, next]);
  wishVolumes(volumes, contractId, wish, current);
  store.services.put(record);
  if (next === undefined) return;
  const isNext = next.serviceId === named.serviceId;
  const { configuration: _, ...common } = wish.service;
  const said = isNext ? wish.service : common;
  const service = isCurrent || isNext ? configured(said, next) : next.service;
  store.services.put({ ...asWhole(next, record), service, updatedAt: now });
}

/** The broker may come up after this room: what services say of themselves is retained until then. */
async function listen(
  { bus, log }: ServiceRoom,
  filter: string,
  signal: AbortSignal,
  hear: (serviceId: string, payload: Uint8Array) => void,
): Promise<Subscription | undefined> {
  while (!signal.aborted)
    try {
      return await bus.subscribe(filter, (topic, payload) => {
        const [, contractId = '', , , , ...rest] = topic.split('/');
        const instance = rest.length === 2 ? `-${rest[0] ?? ''}` : '';
        hear(`${contractId}${instance}`, payload);
      });
    } catch (error) {
      log.warn({ error: describeError(error) }, 'services cannot be heard yet');
      await sleep(LISTEN_AGAIN_MS, signal);
    }
  return undefined;
}

async function answerOf(record: ServiceRecord, report: Promise<ServiceReport>): Promise<VersionAnswer> {
  const { serviceId, role, desired, standby, imageCid, archive, imageId, epoch, updatedAt } = record;
  return {
    serviceId,
    role,
    desired,
    standby,
    imageCid,
    archive,
    ...(imageId === undefined ? {} : { imageId }),
    epoch,
    updatedAt,
    ...(await report),
  };
}

function begunAgain(next: ServiceRecord, now: number): ServiceRecord {
  return { ...next, begunAt: now, ...(next.haltedAt === undefined ? {} : { haltedAt: now }) };
}

async function nextAnswer(next: ServiceRecord, report: Promise<ServiceReport>): Promise<NextAnswer> {
  const { data } = next;
  const answer = { ...(await answerOf(next, report)), keepsData: !isFresh(next) };
  return data === undefined ? answer : { ...answer, data };
}

export function createServices(room: ServiceRoom): Services {
  const { store, runtime, secrets, clock, log } = room;
  const works = new Map<string, ServiceWork>();
  const stopping = new AbortController();
  let listening: Promise<Subscription | undefined>[] = [];
  let switching: Repeating | undefined;

  const workOn = (serviceId: string): ServiceWork => {
    const known = works.get(serviceId);
    if (known !== undefined) return known;
    const work: ServiceWork = new ServiceLoop(
      room,
      serviceId,
      () => {
        works.delete(serviceId);
        void work.stop();
      },
      () => switching?.poke(),
    );
    works.set(serviceId, work);
    return work;
  };
  const contracts = (): string[] => [...new Set(store.services.all().map(({ contractId }) => contractId))];
  const report = (serviceId: string): Promise<ServiceReport> => workOn(serviceId).report();
  const changed = (serviceId: string): void => workOn(serviceId).wish();
  const answer = async (contractId: string): Promise<ServiceAnswer | undefined> => {
    const { current, next, former } = versionsOf(store, contractId);
    const shown = current ?? next ?? former[0];
    if (shown === undefined) return undefined;
    const { lastSwitch } = shown;
    return {
      contractId,
      ...(await answerOf(shown, report(shown.serviceId))),
      ...(next === undefined ? {} : { next: await nextAnswer(next, report(next.serviceId)) }),
      ...(lastSwitch === undefined ? {} : { lastSwitch }),
    };
  };
  const advance = async (): Promise<void> => {
    for (const contractId of contracts())
      try {
        while (
          !stopping.signal.aborted &&
          (await advanceVersions(contractId, { room, report, changed, signal: stopping.signal }))
        );
      } catch (error) {
        log.warn({ contractId, error: describeError(error) }, 'the change of versions waits');
      }
  };
  runtime.onExit((id) => works.get(id)?.ended());
  return {
    want(contractId, wish) {
      if (wish.desired === 'absent') endVersions(room, contractId);
      else keepWish(room, contractId, wish);
      const { current, next, former } = versionsOf(store, contractId);
      for (const version of [current, next]) if (version !== undefined) workOn(version.serviceId).wish();
      if (current === undefined && next === undefined && former.length === 0)
        for (const { contractId: fetched } of fetchedFor(store, contractId)) room.endContract(fetched);
      switching?.poke();
    },
    async get(contractId) {
      const found = await answer(contractId);
      if (found === undefined)
        throw new AntirioError('notFound', `no service of contract ${contractId}`, { contractId });
      return found;
    },
    all: async () => (await Promise.all(contracts().map(answer))).filter((found) => found !== undefined),
    async stopped(contractId) {
      const ids = store.services.all().filter((one) => one.contractId === contractId);
      for (const { serviceId } of ids) changed(serviceId);
      const stop = async (): Promise<true | undefined> => {
        const all = await Promise.all(ids.map(({ serviceId }) => report(serviceId)));
        return all.every((one) => one.stopped) ? true : undefined;
      };
      if ((await waitFor(clock, STOP_WITHIN_MS, stop)) === undefined)
        throw new AntirioError('unavailable', 'the service has not stopped yet', { contractId });
    },
    current: (contractId) => versionsOf(store, contractId).current?.serviceId ?? contractId,
    start() {
      const hear = (serviceId: string, payload: Uint8Array): void => works.get(serviceId)?.hear(payload);
      listening = STATUS_FILTERS.map((filter) => listen(room, filter, stopping.signal, hear));
      for (const record of store.services.all()) {
        // The time that this edge was away is not the new version's
        if (record.role === 'next') store.services.put(begunAgain(record, clock.now()));
        workOn(record.serviceId).wish();
      }
      switching = repeat('change of versions', VERSIONS_MS, log, advance);
    },
    async stop() {
      stopping.abort();
      await switching?.stop();
      // A broker that is away must not keep this room from ending
      const silent = Promise.all(listening.map(async (each) => (await each)?.close()));
      await Promise.race([silent, sleep(UNLISTEN_MS)]);
      await Promise.all([...works.values()].map((work) => work.stop()));
      works.clear();
      await runtime.close();
      for (const { serviceId } of store.services.all()) secrets.drop(serviceId);
      room.folders.close();
    },
  };
}
