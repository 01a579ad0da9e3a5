import { AntirioError, describeError } from '@antirio/kernel';
import { sleep, type Subscription } from '@antirio/host';
import type { ServiceBody, ServiceRecord, ServiceWish } from './service-record.ts';
import type { ServiceRoom } from './service-room.ts';
import { ServiceLoop, type ServiceReport, type ServiceWork } from './service-work.ts';

/** A service as it is answered to a GET: without its secrets, and without what the customer configured. */
export interface ServiceAnswer extends ServiceReport {
  readonly contractId: string;
  readonly desired: ServiceRecord['desired'];
  readonly standby: ServiceRecord['standby'];
  readonly imageCid: string;
  readonly imageId?: string;
  readonly epoch: number;
  readonly updatedAt: number;
}

/** All customers' services of this edge. */
export interface Services {
  /** Durable when it returns. @throws AntirioError forbidden | busy */
  want(contractId: string, wish: ServiceBody): void;
  /** @throws AntirioError notFound */
  get(contractId: string): Promise<ServiceAnswer>;
  all(): Promise<ServiceAnswer[]>;
  start(): void;
  stop(): Promise<void>;
}

const LISTEN_AGAIN_MS = 500;
const UNLISTEN_MS = 1000;
const STATUS_FILTER = 'contract/+/antirio/service/+/status';

function recordOf(
  contractId: string,
  wish: ServiceWish,
  before: ServiceRecord | undefined,
  now: number,
): ServiceRecord {
  const { desired, standby, imageCid, archive, service, limits } = wish;
  const sameImage = before?.imageCid === imageCid;
  return {
    contractId,
    desired,
    standby,
    imageCid,
    archive,
    service,
    epoch: wish.epoch ?? before?.epoch ?? 0,
    ...(limits === undefined ? {} : { limits }),
    ...(sameImage && before.imageId !== undefined ? { imageId: before.imageId } : {}),
    updatedAt: now,
  };
}

function keepWish(
  { store, secrets, clock, options }: ServiceRoom,
  contractId: string,
  wish: ServiceBody,
): void {
  const before = store.services.get(contractId);
  if (wish.desired === 'absent') {
    if (before !== undefined) store.services.put({ ...before, desired: 'absent', updatedAt: clock.now() });
    return;
  }
  if (before === undefined && store.services.all().length >= options.maxContracts)
    throw new AntirioError('busy', `this edge serves ${options.maxContracts} contracts at most`);
  const given = wish.desired === 'active' ? wish.secrets : undefined;
  if (given !== undefined) secrets.hold(contractId, given);
  store.services.put(recordOf(contractId, wish, before, clock.now()));
}

/** The broker may come up after this room: what services say of themselves is retained until then. */
async function listen(
  { bus, log }: ServiceRoom,
  signal: AbortSignal,
  hear: (contractId: string, payload: Uint8Array) => void,
): Promise<Subscription | undefined> {
  while (!signal.aborted)
    try {
      return await bus.subscribe(STATUS_FILTER, (topic, payload) => hear(topic.split('/')[1] ?? '', payload));
    } catch (error) {
      log.warn({ error: describeError(error) }, 'services cannot be heard yet');
      await sleep(LISTEN_AGAIN_MS, signal);
    }
  return undefined;
}

export function createServices(room: ServiceRoom): Services {
  const { store, runtime, secrets } = room;
  const works = new Map<string, ServiceWork>();
  const stopping = new AbortController();
  let listening: Promise<Subscription | undefined> | undefined;

  const workOn = (contractId: string): ServiceWork => {
    const known = works.get(contractId);
    if (known !== undefined) return known;
    const work: ServiceWork = new ServiceLoop(room, contractId, () => {
      works.delete(contractId);
      void work.stop();
    });
    works.set(contractId, work);
    return work;
  };
  const answer = async (record: ServiceRecord): Promise<ServiceAnswer> => {
    const { contractId, desired, standby, imageCid, imageId, epoch, updatedAt } = record;
    const report = await workOn(contractId).report();
    return {
      contractId,
      desired,
      standby,
      imageCid,
      ...(imageId === undefined ? {} : { imageId }),
      epoch,
      updatedAt,
      ...report,
    };
  };
  runtime.onExit((id) => works.get(id)?.ended());
  return {
    want(contractId, wish) {
      keepWish(room, contractId, wish);
      if (store.services.get(contractId) !== undefined) workOn(contractId).wish();
      else room.endContract(contractId);
    },
    async get(contractId) {
      const record = store.services.get(contractId);
      if (record === undefined)
        throw new AntirioError('notFound', `no service of contract ${contractId}`, { contractId });
      return answer(record);
    },
    all: () => Promise.all(store.services.all().map(answer)),
    start() {
      listening = listen(room, stopping.signal, (contractId, payload) =>
        works.get(contractId)?.hear(payload),
      );
      for (const { contractId } of store.services.all()) workOn(contractId).wish();
    },
    async stop() {
      stopping.abort();
      // A broker that is away must not keep this room from ending
      await Promise.race([listening?.then((subscription) => subscription?.close()), sleep(UNLISTEN_MS)]);
      await Promise.all([...works.values()].map((work) => work.stop()));
      works.clear();
      await runtime.close();
      for (const { contractId } of store.services.all()) secrets.drop(contractId);
      room.folders.close();
    },
  };
}
