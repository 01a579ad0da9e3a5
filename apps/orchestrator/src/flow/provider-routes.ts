import type { Request } from 'express';
import type { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError, canonicalBytes, sha256Hex, type Clock } from '@antirio/kernel';
import type { OrchestratorOptions } from '../options.ts';
import type { OrchestratorStore } from '../store.ts';
import type { Flow } from './flows.ts';
import { isOver } from './provider-flow.ts';
import { providerContractBody, providerStatusBody, type ProviderContract } from './records.ts';

export interface ProviderRoutes {
  readonly store: OrchestratorStore;
  readonly flow: Flow;
  readonly options: OrchestratorOptions;
  readonly clock: Clock;
}

type Asked = z.output<typeof providerContractBody>;

/** Without an id the contract is known by what it is about, so that asking again is the same contract. */
function idOf({ contractId, edgeId, imageName, imageHash, config }: Asked): string {
  return contractId ?? sha256Hex(canonicalBytes({ edgeId, imageName, imageHash, config })).slice(0, 32);
}

function sameContract(known: ProviderContract, asked: Asked): boolean {
  return (['edgeId', 'imageName', 'imageHash', 'config'] as const).every(
    (field) => known[field] === asked[field],
  );
}

/** Contracts that are over and still shown: the newest. */
const HISTORY = 1000;

/** Of the same customer's image of the same name there may be another version: under which id it is fetched. */
function versionOf(asked: Asked, store: OrchestratorStore): { contractId: string; versionOf?: string } {
  const contractId = idOf(asked);
  const first = store.providers.get(contractId);
  if (first === undefined || sameContract(first, asked)) return { contractId };
  if (first.edgeId !== asked.edgeId || first.imageName !== asked.imageName)
    throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
  const hash = sha256Hex(canonicalBytes({ image: asked.imageHash, config: asked.config })).slice(0, 10);
  return { contractId: `${contractId}-v${hash}`, versionOf: contractId };
}

function accept(asked: Asked, { store, options, clock }: ProviderRoutes): ProviderContract {
  const version = versionOf(asked, store);
  const known = store.providers.get(version.contractId);
  if (known !== undefined && !isOver(known)) return known;
  const all = store.providers.all();
  const over = all.filter(isOver);
  if (all.length - over.length >= options.maxContracts)
    throw new AntirioError('busy', `this edge provides for ${options.maxContracts} contracts at most`);
  for (const old of over.slice(0, Math.max(0, over.length - HISTORY))) store.providers.remove(old.contractId);
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

function requireSender(request: Request, edgeId: string): void {
  const peer = request.get('x-antirio-peer');
  if (peer !== undefined && peer !== edgeId)
    throw new AntirioError('forbidden', 'an edge sends contracts of its own only', { edgeId });
}

/** Table 4.2 as it is shown: one line for each image of another edge. */
function imageOf({ imageId, imageName, imageHash, status, edgeId, contractId, error }: ProviderContract) {
  return { imageId: imageId ?? contractId, imageName, imageHash, status, edgeId, contractId, error };
}

function isAbout(contract: ProviderContract, imageId: string): boolean {
  return [contract.imageId, contract.imageHash, contract.contractId].includes(imageId);
}

/** The thesis's tables 4.2 and 4.3. */
export function addProviderRoutes(rim: HttpRim, room: ProviderRoutes): void {
  const { store, flow, clock } = room;
  const contract = '/orchestrator/service_provider/contract';
  rim.route('get', contract, { summary: 'contracts of this edge as the provider' }, () =>
    store.providers.all(),
  );
  rim.route(
    'post',
    contract,
    {
      summary: 'a customer’s image: it is fetched, verified and loaded',
      body: providerContractBody,
      status: 202,
    },
    ({ body, request }) => {
      requireSender(request, body.edgeId);
      const record = accept(body, room);
      flow.hurry(record.contractId);
      return record;
    },
  );
  const status = '/orchestrator/service_provider/image/status';
  rim.route('get', status, { summary: 'images of other edges' }, () => store.providers.all().map(imageOf));
  rim.route(
    'post',
    status,
    {
      summary: 'an image is downloaded: it is verified and loaded now',
      body: providerStatusBody,
      status: 202,
    },
    ({ body }) => {
      const about = store.providers.all().filter((known) => isAbout(known, body.imageId));
      const [first] = about;
      if (first === undefined)
        throw new AntirioError('notFound', `no contract is about image ${body.imageId}`);
      // That it is whole is for migration to say, which is asked at once, also where it had failed before
      const retried = about.map((known) =>
        known.status === 'FAILED'
          ? store.providers.put({ ...known, status: 'REQUESTED', attempts: 0, updatedAt: clock.now() })
          : known,
      );
      for (const { contractId } of retried) flow.hurry(contractId);
      return imageOf(retried[0] ?? first);
    },
  );
}
