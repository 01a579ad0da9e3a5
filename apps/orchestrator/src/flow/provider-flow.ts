import { isDeepStrictEqual } from 'node:util';
import { callJson, type HttpPeer } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, type Clock } from '@antirio/kernel';
import type { Runtime } from '@antirio/runtime';
import { fetchStatus } from '../service/fetched.ts';
import type { OrchestratorStore } from '../store.ts';
import type { ProviderContract } from './records.ts';

export interface ProviderPorts {
  readonly store: OrchestratorStore;
  readonly clock: Clock;
  readonly peers: Readonly<Record<'migration', HttpPeer>>;
  readonly runtime: Pick<Runtime, 'load' | 'unload'>;
}

type Change = Partial<ProviderContract>;
type Advance = (contract: ProviderContract, ports: ProviderPorts) => Promise<Change>;

const order: Advance = async (contract, { peers }) => {
  const { contractId, edgeId, imageName, imageHash, config, providers } = contract;
  const asked = { contractId, customer: edgeId, imageCid: imageHash, configCid: config, imageName };
  const json = providers === undefined ? asked : { ...asked, providers };
  await callJson(peers.migration, { method: 'POST', path: '/migration/v1/fetch', json });
  return { status: 'FETCHING' };
};

const follow: Advance = async (contract, { peers }) => {
  try {
    const { state, archive, configuration, progress, error } = await fetchStatus(
      peers.migration,
      contract.contractId,
    );
    if (state === 'FAILED')
      throw new AntirioError('conflict', `migration could not fetch it: ${error ?? 'no reason given'}`);
    const known = { status: state, progress };
    return state === 'DOWNLOADED' ? { ...known, archive, configuration } : known;
  } catch (error) {
    // Migration has forgotten, or never got, what it was asked for
    if (isAntirioError(error, 'notFound')) return { status: 'REQUESTED' };
    throw error;
  }
};

const load: Advance = async ({ archive, imageId }, { runtime }) => {
  if (archive === undefined) return { status: 'FETCHING' };
  const { imageId: loaded, ...layers } = await runtime.load(archive, imageId);
  return { status: 'LOADED', imageId: loaded, ...layers };
};

/** Whether a service or another contract still needs the image. */
function isWanted(store: OrchestratorStore, imageId: string, contractId: string): boolean {
  const services = store.services.all().some((service) => service.imageId === imageId);
  const others = store.providers.all().filter((other) => other.contractId !== contractId && !isOver(other));
  return services || others.some((other) => other.imageId === imageId);
}

const letGo: Advance = async ({ contractId, imageId }, { peers, runtime, store }) => {
  try {
    const path = `/migration/v1/fetch/${contractId}`;
    await callJson(peers.migration, { method: 'DELETE', path });
  } catch (error) {
    if (!isAntirioError(error, 'notFound')) throw error;
  }
  if (imageId !== undefined && !isWanted(store, imageId, contractId)) await runtime.unload(imageId);
  return { status: 'ENDED', archive: undefined, configuration: undefined, progress: undefined };
};

const ADVANCE: Partial<Record<ProviderContract['status'], Advance>> = {
  REQUESTED: order,
  FETCHING: follow,
  READY2DOWNLOAD: follow,
  DOWNLOADED: load,
  ENDING: letGo,
};

export const isUnderWay = (contract: ProviderContract): boolean => ADVANCE[contract.status] !== undefined;

export const isOver = ({ status }: ProviderContract): boolean => status === 'ENDED' || status === 'FAILED';

/** The contract is over: durable when it returns, what was fetched goes in the background. */
export function endProvider(
  contractId: string,
  { store, clock }: Pick<ProviderPorts, 'store' | 'clock'>,
): void {
  const contract = store.providers.get(contractId);
  if (contract === undefined || contract.status === 'ENDED') return;
  store.providers.put({ ...contract, status: 'ENDING', attempts: 0, updatedAt: clock.now() });
}

type Attempt = { readonly change: Change } | { readonly failure: unknown };

async function tried(step: Promise<Change>): Promise<Attempt> {
  try {
    return { change: await step };
  } catch (failure) {
    return { failure };
  }
}

/** The contract ended while the step was under way: what that found, or why it failed, counts no more; what it loaded is let go. */
function dropStep(now: ProviderContract | undefined, attempt: Attempt, { store }: ProviderPorts): boolean {
  const imageId = 'change' in attempt ? attempt.change.imageId : undefined;
  if (now?.status === 'ENDING' && imageId !== undefined) store.providers.put({ ...now, imageId });
  return now !== undefined;
}

/**
 * One step of a contract that this edge provides for: have the image fetched, follow that, load it into the runtime; let it go at the end. What it
 * finds is durable when it resolves; every step can be repeated. @returns whether the state changed.
 */
export async function advanceProvider(contractId: string, ports: ProviderPorts): Promise<boolean> {
  const contract = ports.store.providers.get(contractId);
  const advance = contract === undefined ? undefined : ADVANCE[contract.status];
  if (contract === undefined || advance === undefined) return false;
  const attempt = await tried(advance(contract, ports));
  const now = ports.store.providers.get(contractId);
  if (now?.status !== contract.status) return dropStep(now, attempt, ports);
  if ('failure' in attempt) throw attempt.failure;
  const { error: _, ...rest } = now;
  const { change } = attempt;
  const next = { ...rest, ...change, attempts: 0 };
  if (!isDeepStrictEqual(next, contract))
    ports.store.providers.put({ ...next, updatedAt: ports.clock.now() });
  return next.status !== contract.status;
}

export function noteProviderFailure(
  contractId: string,
  ports: Pick<ProviderPorts, 'store' | 'clock'>,
  error: unknown,
  final: boolean,
): void {
  const contract = ports.store.providers.get(contractId);
  if (contract === undefined) return;
  ports.store.providers.put({
    ...contract,
    status: final ? 'FAILED' : contract.status,
    attempts: contract.attempts + 1,
    error: describeError(error),
    updatedAt: ports.clock.now(),
  });
}
