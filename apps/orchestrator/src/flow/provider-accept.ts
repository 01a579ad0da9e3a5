import type { z } from 'zod';
import { AntirioError, canonicalBytes, sha256Hex, type Clock } from '@antirio/kernel';
import type { OrchestratorOptions } from '../options.ts';
import type { OrchestratorStore } from '../store.ts';
import { isOver } from './provider-flow.ts';
import type { providerContractBody, ProviderContract } from './records.ts';

export type AskedContract = z.output<typeof providerContractBody>;

export interface AcceptPorts {
  readonly store: OrchestratorStore;
  readonly options: Pick<OrchestratorOptions, 'maxContracts'>;
  readonly clock: Clock;
}

/** Contracts that are over and still shown: the newest. */
const HISTORY = 1000;
/** Versions of one contract that are fetched or loaded at once. */
const MAX_VERSIONS = 4;
/** Of fetches, never of contracts: otherwise one edge's contract could pass for a version of another's. */
const VERSION_ID = /-v[0-9a-f]{10}$/;

/** Without an id the contract is known by what it is about, so that asking again is the same contract. */
function idOf({ contractId, edgeId, imageName, imageHash, config }: AskedContract): string {
  return contractId ?? sha256Hex(canonicalBytes({ edgeId, imageName, imageHash, config })).slice(0, 32);
}

function sameContract(known: ProviderContract, asked: AskedContract): boolean {
  return (['edgeId', 'imageName', 'imageHash', 'config'] as const).every(
    (field) => known[field] === asked[field],
  );
}

/** What was fetched for a contract, in whichever version. */
export function fetchedFor(store: OrchestratorStore, contractId: string): ProviderContract[] {
  return store.providers.all().filter((one) => one.contractId === contractId || one.versionOf === contractId);
}

/** Whether another version of one customer's image is meant, not another customer's or image. */
export function isOfSameOwner(
  one: Pick<ProviderContract, 'edgeId' | 'imageName'>,
  other: Pick<ProviderContract, 'edgeId' | 'imageName'>,
): boolean {
  return one.edgeId === other.edgeId && one.imageName === other.imageName;
}

function requireOwner(asked: AskedContract, contractId: string, store: OrchestratorStore): void {
  const known = fetchedFor(store, contractId);
  const isServed = store.services.all().some((service) => service.contractId === contractId);
  if (known.length === 0 ? isServed : !known.every((one) => isOfSameOwner(one, asked)))
    throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
}

/** Of the same customer's image of the same name there may be another version: under which id it is fetched. */
function versionOf(
  asked: AskedContract,
  store: OrchestratorStore,
): { contractId: string; versionOf?: string } {
  const contractId = idOf(asked);
  if (VERSION_ID.test(contractId))
    throw new AntirioError('invalidInput', 'a contract’s id must not end as those of versions do', {
      contractId,
    });
  requireOwner(asked, contractId, store);
  const first = store.providers.get(contractId);
  const isFirst =
    first === undefined ? fetchedFor(store, contractId).length === 0 : sameContract(first, asked);
  if (isFirst) return { contractId };
  const hash = sha256Hex(canonicalBytes({ image: asked.imageHash, config: asked.config })).slice(0, 10);
  return { contractId: `${contractId}-v${hash}`, versionOf: contractId };
}

/** Makes room in what is shown of the past. The record by which a contract's owner is known stays as long as anything of it does. */
function forgetOldest(store: OrchestratorStore, all: readonly ProviderContract[]): void {
  const over = all.filter(isOver);
  const surplus = over.slice(0, Math.max(0, over.length - HISTORY));
  if (surplus.length === 0) return;
  const services = store.services.all();
  const needed = new Set([
    ...services.flatMap(({ serviceId, contractId }) => [serviceId, contractId]),
    ...all.flatMap((one) => (isOver(one) || one.versionOf === undefined ? [] : [one.versionOf])),
  ]);
  for (const { contractId } of surplus) if (!needed.has(contractId)) store.providers.remove(contractId);
}

function requireRoom(
  all: readonly ProviderContract[],
  contractId: string,
  { options }: Pick<AcceptPorts, 'options'>,
): void {
  const live = all.filter((one) => !isOver(one));
  if (live.length >= options.maxContracts)
    throw new AntirioError('busy', `this edge provides for ${options.maxContracts} contracts at most`);
  const versions = live.filter((one) => one.contractId === contractId || one.versionOf === contractId);
  if (versions.length >= MAX_VERSIONS)
    throw new AntirioError('busy', `${MAX_VERSIONS} versions of contract ${contractId} at most at once`);
}

/** Let go of, or about to be. */
const isLeaving = (known: ProviderContract): boolean =>
  known.status === 'ENDING' || (known.givenUp !== undefined && !isOver(known));

/**
 * What a customer asks this edge to provide, durable when it returns; asking again for what is under way changes nothing.
 * @throws AntirioError conflict where the contract is another customer's or about another image | busy | invalidInput
 */
export function acceptContract(asked: AskedContract, ports: AcceptPorts): ProviderContract {
  const { store, clock } = ports;
  const version = versionOf(asked, store);
  const known = store.providers.get(version.contractId);
  if (known !== undefined && isLeaving(known))
    throw new AntirioError('busy', `what was fetched for ${known.contractId} is being let go`);
  if (known !== undefined && !isOver(known)) return known;
  const all = store.providers.all();
  requireRoom(all, version.versionOf ?? version.contractId, ports);
  forgetOldest(store, all);
  const now = clock.now();
  const createdAt = known?.createdAt ?? now;
  return store.providers.put({
    ...asked,
    ...version,
    status: 'REQUESTED',
    attempts: 0,
    createdAt,
    askedAt: now,
    updatedAt: now,
  });
}
