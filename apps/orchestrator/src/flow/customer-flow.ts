import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { callJson, type HttpPeer } from '@antirio/host';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import { activationIn, inWordsOfNow, volumesIn, volumesTermsOf } from '@antirio/service-contract';
import type { OrchestratorStore } from '../store.ts';
import { parseAnswer } from './answers.ts';
import { bringHome, type HomePeers } from './bring-home.ts';
import type { CustomerContract, CustomerImage } from './records.ts';

export interface FlowPorts {
  readonly store: OrchestratorStore;
  readonly clock: Clock;
  readonly peers: Readonly<Record<'migration' | 'dmu' | 'arbitrator', HttpPeer>>;
  /** @throws AntirioError badConfig where this room was given no way to them. */
  readonly homePeers: () => HomePeers;
}

/** Storing may take as long as the image is large. */
const STORE_TIMEOUT_MS = 60_000;

const storedAnswer = z.looseObject({
  imageId: z.string(),
  imageCid: z.string().nullish(),
  configCid: z.string().nullish(),
  status: z.string(),
  error: z.string().optional(),
});
const demandAnswer = z.looseObject({
  demandId: z.string().optional(),
  id: z.string().optional(),
  state: z.string().default('DEMANDED'),
  contractId: z.string().nullish(),
  error: z.string().optional(),
});
const contractAnswer = z.looseObject({ state: z.string() });

const DEMAND_FAILED = /^(FAILED|REFUSED|EXPIRED|CANCELLED)$/i;
const CONTRACT_OVER = /^(ended|refused|settled|cancelled|expired|breached)$/i;
const DURABLE = /^(STORED|COMMITTED)$/;

const MAX_IMAGES = 2000;

/** The image's entry of table 4.1; a status never goes back. @throws AntirioError busy when there are too many. */
export function noteImage(store: OrchestratorStore, image: CustomerImage): CustomerImage {
  const known = store.images.get(image.imageId);
  if (known === undefined && store.images.all().length >= MAX_IMAGES)
    throw new AntirioError('busy', `there are already ${MAX_IMAGES} images`);
  const rank = { STORING: 0, STORED: 1, COMMITTED: 2 };
  const behind = known !== undefined && rank[known.status] > rank[image.status];
  return store.images.put(behind ? { ...image, status: known.status } : image);
}

type Change = Partial<CustomerContract>;
type Advance = (contract: CustomerContract, ports: FlowPorts) => Promise<Change>;

/** The same image id each time, so that migration knows a repeated request. */
const store: Advance = async (contract, ports) => {
  const { id, imageName, fileName, duration, configuration } = contract;
  const answer = parseAnswer(
    storedAnswer,
    await callJson(ports.peers.migration, {
      method: 'POST',
      path: '/migration/v1/images',
      json: { imageId: id, imageName, fileName, storageDuration: duration, configuration },
      timeoutMs: STORE_TIMEOUT_MS,
    }),
  );
  const { imageId, status } = answer;
  if (status === 'FAILED' || status === 'EXPIRED')
    throw new AntirioError('conflict', `the image was not stored: ${answer.error ?? status}`, { imageId });
  return {
    imageId,
    ...storedChange(contract, answer, ports),
    progress: { ...contract.progress, migration: status },
  };
};

function storedChange(
  contract: CustomerContract,
  answer: z.output<typeof storedAnswer>,
  ports: FlowPorts,
): Change {
  const { imageId, status, imageCid: imageHash, configCid: config } = answer;
  const { imageName } = contract;
  if (!DURABLE.test(status) || typeof imageHash !== 'string' || typeof config !== 'string')
    return { state: 'STORING' };
  const said = status === 'COMMITTED' ? status : 'STORED';
  const updatedAt = ports.clock.now();
  const image = noteImage(ports.store, { imageId, imageName, imageHash, status: said, updatedAt });
  return {
    state: 'STORED',
    imageHash,
    config,
    status: image.status === 'COMMITTED' ? 'COMMITTED' : 'STORED',
  };
}

/** The demand has this contract's id, so that asking again is the same demand. */
const demand: Advance = async (contract, { peers }) => {
  const { id, imageName, imageId, imageHash: imageCid, config: configCid, duration, devices } = contract;
  const { iTrustTheProviderWithMyKeys, service, cells } = contract;
  const about = { imageName, imageId, imageCid, configCid, duration, devices, service, cells };
  const events = activationIn(inWordsOfNow(contract.configuration));
  const volumes = volumesTermsOf(volumesIn(contract.configuration));
  const json = { demandId: id, ...about, ...events, volumes, iTrustTheProviderWithMyKeys };
  const answer = parseAnswer(
    demandAnswer,
    await callJson(peers.dmu, { method: 'POST', path: '/dmu/v1/demand', json }),
  );
  const demandId = answer.demandId ?? answer.id ?? id;
  return { state: 'DEMANDED', demandId, progress: { ...contract.progress, demand: answer.state } };
};

const followDemand: Advance = async (contract, { peers }) => {
  const path = `/dmu/v1/demand/${encodeURIComponent(contract.demandId ?? contract.id)}`;
  const answer = parseAnswer(demandAnswer, await callJson(peers.dmu, { path }));
  if (DEMAND_FAILED.test(answer.state))
    throw new AntirioError('conflict', `the demand found no provider: ${answer.error ?? answer.state}`);
  const progress = { ...contract.progress, demand: answer.state };
  const { contractId } = answer;
  return typeof contractId === 'string' ? { state: 'CONTRACTED', contractId, progress } : { progress };
};

const followContract: Advance = async (contract, { peers }) => {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(contract.contractId ?? '')}`;
  const { state } = parseAnswer(contractAnswer, await callJson(peers.arbitrator, { path }));
  const progress = { ...contract.progress, contract: state };
  if (!CONTRACT_OVER.test(state)) return { progress };
  return { state: (contract.bringsHome ?? []).length > 0 ? 'COLLECTING' : 'ENDED', progress };
};

/** A provider that is away is asked again: what it has stored for us it keeps. */
const collect: Advance = async (contract, { homePeers }) => {
  const { contractId = '', bringsHome: devices = [], service = contract.imageName } = contract;
  const { home: _before, ...progress } = contract.progress;
  try {
    return { state: 'ENDED', home: await bringHome({ contractId, devices, service }, homePeers()), progress };
  } catch (error) {
    return { progress: { ...progress, home: describeError(error) } };
  }
};

const ADVANCE: Partial<Record<CustomerContract['state'], Advance>> = {
  ACCEPTED: store,
  STORING: store,
  STORED: demand,
  DEMANDED: followDemand,
  CONTRACTED: followContract,
  COLLECTING: collect,
};

export const isUnderWay = (contract: CustomerContract): boolean => ADVANCE[contract.state] !== undefined;

/**
 * One step of a customer's contract: store the image, demand, follow the demand, follow the contract. What it finds is durable
 * when it resolves; every step can be repeated. @returns whether the state changed, so that the next step is due at once.
 */
export async function advanceCustomer(id: string, ports: FlowPorts): Promise<boolean> {
  const contract = ports.store.customers.get(id);
  const advance = contract === undefined ? undefined : ADVANCE[contract.state];
  if (contract === undefined || advance === undefined) return false;
  const change = await advance(contract, ports);
  // A status may have come in meanwhile: what is decided is only what this step was about
  const { error: _, ...rest } = ports.store.customers.get(id) ?? contract;
  const next = { ...rest, ...change, attempts: 0 };
  if (!isDeepStrictEqual(next, contract))
    ports.store.customers.put({ ...next, updatedAt: ports.clock.now() });
  return next.state !== contract.state;
}

/** A step failed: for good, or once more. */
export function noteCustomerFailure(
  id: string,
  ports: Pick<FlowPorts, 'store' | 'clock'>,
  error: unknown,
  final: boolean,
): void {
  const contract = ports.store.customers.get(id);
  if (contract === undefined) return;
  ports.store.customers.put({
    ...contract,
    state: final ? 'FAILED' : contract.state,
    attempts: contract.attempts + 1,
    error: describeError(error),
    updatedAt: ports.clock.now(),
  });
}
