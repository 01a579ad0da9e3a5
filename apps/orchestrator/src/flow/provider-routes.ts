import type { Request } from 'express';
import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError, type Clock } from '@antirio/kernel';
import type { OrchestratorOptions } from '../options.ts';
import type { OrchestratorStore } from '../store.ts';
import type { Flow } from './flows.ts';
import { acceptContract, fetchedFor } from './provider-accept.ts';
import { contractId, providerContractBody, providerStatusBody, type ProviderContract } from './records.ts';

const CONTRACT = '/orchestrator/service_provider/contract';

export interface ProviderRoutes {
  readonly store: OrchestratorStore;
  readonly flow: Flow;
  readonly options: OrchestratorOptions;
  readonly clock: Clock;
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

/** One version of a contract's image, as its customer is told of it. */
function versionOf(store: OrchestratorStore, fetched: ProviderContract) {
  const { contractId, imageHash, config, status, askedAt, error, givenUp } = fetched;
  const role = store.services.get(contractId)?.role;
  return { imageHash, config, status, askedAt, error, givenUp, role: role === 'former' ? undefined : role };
}

/** What became of what a customer sent: the answer to it alone, and to this edge. */
function addStanding(rim: HttpRim, { store }: ProviderRoutes): void {
  const summary = 'the versions of a contract’s image, for its customer';
  const params = z.object({ contractId });
  rim.route(
    'get',
    `${CONTRACT}/:contractId`,
    { summary, params },
    ({ params: { contractId: id }, request }) => {
      const peer = request.get('x-antirio-peer');
      const versions = fetchedFor(store, id).filter(({ edgeId }) => peer === undefined || peer === edgeId);
      if (versions.length === 0)
        throw new AntirioError('notFound', `no contract ${id} of that customer`, { contractId: id });
      return { contractId: id, versions: versions.map((each) => versionOf(store, each)) };
    },
  );
}

/** The thesis's tables 4.2 and 4.3. */
export function addProviderRoutes(rim: HttpRim, room: ProviderRoutes): void {
  const { store, flow, clock } = room;
  addStanding(rim, room);
  rim.route('get', CONTRACT, { summary: 'contracts of this edge as the provider' }, () =>
    store.providers.all(),
  );
  rim.route(
    'post',
    CONTRACT,
    {
      summary: 'a customer’s image: it is fetched, verified and loaded',
      body: providerContractBody,
      status: 202,
    },
    ({ body, request }) => {
      requireSender(request, body.edgeId);
      const record = acceptContract(body, room);
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
