import { isDeepStrictEqual } from 'node:util';
import { callJson, type HttpPeer } from '@antirio/host';
import {
  AntirioError,
  describeError,
  isAntirioError,
  type Clock,
  type ErrorCode,
  type Random,
} from '@antirio/kernel';
import { createBackoff } from '@antirio/durable-work';
import type { Runtime } from '@antirio/runtime';
import { fetchStatus } from '../service/fetched.ts';
import type { OrchestratorOptions } from '../options.ts';
import type { OrchestratorStore } from '../store.ts';
import type { GivenUp, ProviderContract } from './records.ts';

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

/** Whether its next step is to be taken now, not after a while because the last one failed. */
export const isDue = ({ notBefore = 0 }: ProviderContract, { now }: Pick<Clock, 'now'>): boolean =>
  notBefore <= now();

/**
 * The contract, or this version of it, is over: durable when it returns, what was fetched goes in the background.
 * @param givenUp why it is, where its customer would have had it otherwise
 */
export function endProvider(
  contractId: string,
  { store, clock }: Pick<ProviderPorts, 'store' | 'clock'>,
  givenUp?: GivenUp,
): void {
  const contract = store.providers.get(contractId);
  if (contract === undefined || contract.status === 'ENDED') return;
  const { notBefore: _, ...rest } = contract;
  const why = givenUp === undefined ? {} : { givenUp };
  store.providers.put({ ...rest, ...why, status: 'ENDING', attempts: 0, updatedAt: clock.now() });
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
  const next = { ...(change.status === 'LOADED' ? well(rest) : rest), ...change, attempts: 0 };
  if (!isDeepStrictEqual(next, contract))
    ports.store.providers.put({ ...next, updatedAt: ports.clock.now() });
  return next.status !== contract.status;
}

/** What is loaded has got over what went wrong before. */
function well(contract: ProviderContract): ProviderContract {
  const { failingSince: _since, begunAnew: _times, notBefore: _due, ...rest } = contract;
  return rest;
}

/** What is wrong with the bytes themselves does not pass with time. */
const PERMANENT: readonly ErrorCode[] = ['corrupt', 'invalidInput', 'tooLarge'];
const BEGIN_ANEW = { firstDelayMs: 2000, maxDelayMs: 60_000 };

export interface FailurePorts extends Pick<ProviderPorts, 'store' | 'clock'> {
  readonly random: Random;
  readonly options: Pick<OrchestratorOptions, 'giveUpMs'>;
}

/** Begun anew after a while, as long as it has not failed for `giveUpMs`: a disk may be full, an engine away, for a moment. */
function anew(
  contract: ProviderContract,
  error: unknown,
  { clock, random, options }: FailurePorts,
): Partial<ProviderContract> {
  const { failingSince = clock.now(), begunAnew = 0 } = contract;
  const lasting = PERMANENT.some((code) => isAntirioError(error, code));
  if (lasting || clock.now() - failingSince >= options.giveUpMs) return { status: 'FAILED', failingSince };
  const delayMs = Math.round(createBackoff(BEGIN_ANEW, random)(begunAnew + 1));
  const notBefore = clock.now() + Math.min(delayMs, options.giveUpMs);
  return { status: 'REQUESTED', failingSince, begunAnew: begunAnew + 1, notBefore };
}

export function noteProviderFailure(
  contractId: string,
  ports: FailurePorts,
  error: unknown,
  final: boolean,
): void {
  const { store, clock } = ports;
  const contract = store.providers.get(contractId);
  if (contract === undefined) return;
  const attempts = contract.attempts + 1;
  // What is to be let go is never wanted again, however often that fails
  const isEnding = contract.status === 'ENDING';
  store.providers.put({
    ...contract,
    attempts,
    ...(final && !isEnding ? anew(contract, error, ports) : {}),
    ...(final && isEnding ? { notBefore: clock.now() + BEGIN_ANEW.maxDelayMs } : {}),
    error: describeError(error),
    updatedAt: clock.now(),
  });
}
