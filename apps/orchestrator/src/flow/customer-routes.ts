import type { Bus, HttpRim } from '@antirio/host';
import { AntirioError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { z } from 'zod';
import type { OrchestratorOptions } from '../options.ts';
import type { OrchestratorStore } from '../store.ts';
import { isUnderWay, noteImage } from './customer-flow.ts';
import type { Flow } from './flows.ts';
import {
  customerStatusBody,
  retrievabilityBody,
  testingBody,
  type CustomerContract,
  type CustomerImage,
  type Retrievability,
} from './records.ts';

export interface CustomerRoutes {
  readonly store: OrchestratorStore;
  readonly flow: Flow;
  readonly options: OrchestratorOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly bus: Bus;
}

/** configuration.json, with the fields of the thesis's Fig. 3.13 as the strings that they are there. */
export function configurationOf(options: OrchestratorOptions, imageName: string): Record<string, unknown> {
  const { activationEvent, interval, ip, event, ports, volumes, dependsOn, namedVolumes } =
    options.configuration;
  return {
    service_customer_id: options.edgeId,
    serviceName: imageName,
    activationEvent,
    event: { ...event, interval, ip },
    ports,
    volumes,
    depends_on: dependsOn,
    ...(Object.keys(namedVolumes).length === 0 ? {} : { namedVolumes }),
    miner_address: options.edgeId === '' ? '' : `/p2p/${options.edgeId}`,
  };
}

const RETRIEVABILITY_TOPIC = 'antirio/retrievability';
const HISTORY = 1000;

/** Contracts that are over are kept for a while: the newest of them. */
function forgetOldest({ store }: CustomerRoutes): void {
  const over = store.customers.all().filter((contract) => !isUnderWay(contract));
  for (const { id } of over.slice(0, Math.max(0, over.length - HISTORY))) store.customers.remove(id);
}

function accept(body: z.output<typeof testingBody>, room: CustomerRoutes): CustomerContract {
  const { store, options, clock, random } = room;
  if (store.customers.all().filter(isUnderWay).length >= options.maxContracts)
    throw new AntirioError('busy', `there are already ${options.maxContracts} contracts under way`);
  forgetOldest(room);
  const now = clock.now();
  const { configuration, ...asked } = body;
  return store.customers.put({
    id: uuidV4(random),
    ...asked,
    configuration: configuration ?? configurationOf(options, body.imageName),
    state: 'ACCEPTED',
    attempts: 0,
    progress: {},
    createdAt: now,
    updatedAt: now,
  });
}

/** The image is known, or is kept until a contract turns out to be about it. */
function noteStatus(body: z.output<typeof customerStatusBody>, room: CustomerRoutes): CustomerImage {
  const { store, flow, clock } = room;
  const { imageId, imageHash, status } = body;
  const about = store.customers
    .all()
    .filter((contract) => contract.imageId === imageId || contract.id === imageId);
  const known = store.images.get(imageId) ?? about[0];
  if ((known?.imageHash ?? imageHash) !== imageHash)
    throw new AntirioError('conflict', `image ${imageId} has another hash`, {
      imageId,
      imageHash: known?.imageHash,
    });
  const updatedAt = clock.now();
  const image = noteImage(store, {
    imageId,
    imageName: known?.imageName ?? '',
    imageHash,
    status,
    updatedAt,
  });
  for (const contract of about) {
    const now = image.status === 'COMMITTED' ? 'COMMITTED' : 'STORED';
    store.customers.put({ ...contract, imageId, imageHash, status: now, updatedAt });
    flow.hurry(contract.id);
  }
  return image;
}

/** Shown with the contracts that it is about, and published for whoever watches this edge. */
async function noteRetrievability(
  body: Retrievability,
  room: CustomerRoutes,
): Promise<{ contracts: string[] }> {
  const { store, bus, clock } = room;
  const isAbout = ({ id, imageId, contractId }: CustomerContract): boolean =>
    body.at === 'here' ? [id, imageId].includes(body.imageId) : contractId === body.contractId;
  const about = store.customers.all().filter(isAbout);
  for (const contract of about) {
    const retrievable = { ...contract.retrievable, [body.at]: body };
    store.customers.put({ ...contract, retrievable, updatedAt: clock.now() });
  }
  const contracts = about.map(({ id }) => id);
  await bus.publish(RETRIEVABILITY_TOPIC, JSON.stringify({ ...body, contracts }), { qos: 1 });
  return { contracts };
}

/** Those that are on their way to the store have no hash yet. */
function imagesOf(store: OrchestratorStore): CustomerImage[] {
  const known = store.images.all();
  const coming = store.customers.all().flatMap(({ imageId, imageName, updatedAt, state }) => {
    const isNew =
      imageId !== undefined && state === 'STORING' && known.every((image) => image.imageId !== imageId);
    return isNew ? [{ imageId, imageName, imageHash: '', status: 'STORING' as const, updatedAt }] : [];
  });
  return [...known, ...coming];
}

/** The thesis's tables 4.1 and 4.4. */
export function addCustomerRoutes(rim: HttpRim, room: CustomerRoutes): void {
  const { store, flow } = room;
  const contract = '/orchestrator/service_customer/contract/testing';
  rim.route('get', contract, { summary: 'contracts of this edge as the customer' }, () =>
    store.customers.all(),
  );
  rim.route(
    'post',
    contract,
    { summary: 'stores an image and looks for a provider', body: testingBody, status: 202 },
    ({ body }) => {
      const record = accept(body, room);
      flow.hurry(record.id);
      return record;
    },
  );
  const status = '/orchestrator/service_customer/image/status';
  rim.route(
    'post',
    '/orchestrator/v1/retrievability',
    { summary: 'a stored image is lost, or there again', body: retrievabilityBody, status: 202 },
    ({ body }) => noteRetrievability(body, room),
  );
  rim.route('get', status, { summary: 'images of this edge' }, () => imagesOf(store));
  rim.route(
    'post',
    status,
    { summary: 'an image is stored or committed', body: customerStatusBody, status: 202 },
    ({ body }) => noteStatus(body, room),
  );
}
