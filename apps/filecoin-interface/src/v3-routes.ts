import type { HttpRim } from '@antirio/host';
import type { BlockStore } from '@antirio/content-store';
import type { StorageNetwork, StoragePrice } from '@antirio/storage-network';
import { z } from 'zod';
import type { DenyList } from './deny-list.ts';
import type { FormerNetworks } from './former-networks.ts';
import type { Images } from './images.ts';
import type { Objects, ObjectView } from './objects.ts';
import type { Mend } from './mending.ts';
import { imagePin, objectPin } from './pins.ts';
import type { Pushes } from './pushes.ts';
import type { ImageRecord, Records } from './records.ts';
import {
  cidParams,
  denyBody,
  exportBody,
  fetchBody,
  imageId,
  imageName,
  mendBody,
  objectBody,
  orchestratorImageBody,
  priceQuery,
} from './shapes.ts';
import { waitedFor, type Turns } from './turns.ts';
import { answer, answers, page, pageQuery } from './views.ts';

export interface StorageServed {
  readonly edgeId: string;
  readonly store: Pick<BlockStore, 'usage' | 'pins'>;
  readonly records: Records;
  readonly images: Images;
  readonly objects: Objects;
  readonly mend: Mend;
  readonly network: StorageNetwork;
  readonly pushes: Pushes;
  readonly turns: Turns;
  readonly former: FormerNetworks;
  readonly price: StoragePrice;
  readonly denied: DenyList;
}

const BASE = '/api/v3/storage';
const CREATED = 201;
const ACCEPTED = 202;

/** What the thesis has no words for: objects and images by CID, in the style of EdgeX's v3 API. */
export function addStorageRoutes(rim: HttpRim, served: StorageServed): void {
  addObjectRoutes(rim, served);
  addWholeObjectRoutes(rim, served);
  addImageRoutes(rim, served);
  addNetworkRoutes(rim, served);
  addDenyRoutes(rim, served);
}

function addObjectRoutes(rim: HttpRim, { objects, pushes, turns }: StorageServed): void {
  const view = (object: ObjectView) => {
    const held = pushes.view(objectPin(object.cid));
    return held === undefined ? object : { ...object, held };
  };
  const object = `${BASE}/object`;
  const storing = {
    summary: 'store a file of the images folder, or a JSON value',
    body: objectBody,
    answer: answers.object,
    status: CREATED,
  };
  rim.route('post', object, storing, ({ body, response }) => {
    const storing = async (signal?: AbortSignal) =>
      answer({ object: await objects.store(body, signal) }, CREATED);
    return 'json' in body ? storing() : waitedFor(response, turns, 'import', storing);
  });
  const listing = { summary: 'all objects', query: pageQuery, answer: answers.objects };
  rim.route('get', object, listing, ({ query }) => {
    const { totalCount, page: some } = page(objects.all(), query);
    return answer({ totalCount, objects: some });
  });
  const one = { summary: 'how far an object is', params: cidParams, answer: answers.object };
  rim.route('get', `${object}/:cid`, one, ({ params }) => answer({ object: view(objects.view(params.cid)) }));
  const drop = { summary: 'keep an object no longer', params: cidParams, answer: answers.done };
  rim.route('delete', `${object}/:cid`, drop, ({ params }) => {
    objects.drop(params.cid);
    return answer({});
  });
  const fetching = { summary: 'fetch an object', body: fetchBody, answer: answers.object, status: ACCEPTED };
  rim.route('post', `${BASE}/fetch`, fetching, ({ body }) =>
    answer({ object: objects.fetch(body.cid, body.providers, body.pieceCid) }, ACCEPTED),
  );
}

function addWholeObjectRoutes(rim: HttpRim, { objects, mend, turns }: StorageServed): void {
  const object = `${BASE}/object/:cid`;
  const toFile = {
    summary: 'write an object to the images folder, from verified blocks',
    params: cidParams,
    body: exportBody,
    answer: answers.exported,
  };
  rim.route('post', `${object}/export`, toFile, ({ params, body, response }) =>
    waitedFor(response, turns, 'export', async (signal) =>
      answer({ exported: await objects.export(params.cid, body, signal) }),
    ),
  );
  const verifying = { summary: 'read every block', params: cidParams, answer: answers.verified };
  rim.route('post', `${object}/verify`, verifying, ({ params, response }) =>
    waitedFor(response, turns, 'verify', async (signal) =>
      answer({ verified: await objects.verify(params.cid, signal) }),
    ),
  );
  const mending = {
    summary: 'make whole again what is kept here, from where its bytes are',
    params: cidParams,
    body: mendBody,
    answer: answers.mended,
  };
  rim.route('post', `${object}/mend`, mending, ({ params, body, response }) =>
    waitedFor(response, turns, 'import', async (signal) =>
      answer({ mended: await mend(params.cid, body, signal) }),
    ),
  );
  const query = z.object({
    count: z.coerce.number().int().min(1).max(64).default(8),
    from: z.coerce.number().int().min(0).optional(),
  });
  const some = {
    summary: 'verify, and name some blocks by chance, and those from a place on',
    params: cidParams,
    query,
    answer: answers.sample,
  };
  rim.route('get', `${object}/sample`, some, ({ params, query: wish, response }) =>
    waitedFor(response, turns, 'sample', async (signal) =>
      answer({ sample: await objects.sample(params.cid, wish, signal) }),
    ),
  );
}

function addImageRoutes(rim: HttpRim, { images, records, pushes, edgeId }: StorageServed): void {
  const view = (image: ImageRecord) => {
    const held = pushes.view(imagePin(image.imageId));
    return { ...image, minerAddress: edgeId, ...(held === undefined ? {} : { held }) };
  };
  const image = `${BASE}/image`;
  const ordering = {
    summary: 'order an image to be stored',
    body: orchestratorImageBody,
    answer: answers.image,
    status: ACCEPTED,
  };
  rim.route('post', image, ordering, async ({ body }) =>
    answer({ image: view(await images.order(body)) }, ACCEPTED),
  );
  const query = pageQuery.extend({ imageName: imageName.optional() });
  const listing = { summary: 'images of this edge, of a name', query, answer: answers.images };
  rim.route('get', image, listing, (input) => {
    const { imageName: name } = input.query;
    const all = records.images.all().filter((each) => name === undefined || each.imageName === name);
    const { totalCount, page: some } = page(all, input.query);
    return answer({ totalCount, images: some.map(view) });
  });
  const params = z.object({ imageId });
  const one = { summary: 'an image of this edge', params, answer: answers.image };
  rim.route('get', `${image}/:imageId`, one, (input) =>
    answer({ image: view(images.get(input.params.imageId)) }),
  );
  const drop = { summary: 'keep an image no longer', params, answer: answers.done };
  rim.route('delete', `${image}/:imageId`, drop, (input) => {
    images.drop(input.params.imageId);
    return answer({});
  });
}

function addNetworkRoutes(
  rim: HttpRim,
  { store, edgeId, price, network: beyond, pushes, former }: StorageServed,
): void {
  const network = { summary: 'where objects are kept', answer: answers.network };
  rim.route('get', `${BASE}/network`, network, async () => {
    const { kind } = beyond;
    const counts = { waiting: pushes.waiting(), failed: pushes.failed().length };
    const told = {
      kind,
      ...(await beyond.health()),
      ...counts,
      former: former.all(),
      provider: `/p2p/${edgeId}`,
    };
    return answer({ network: { ...told, store: store.usage() } });
  });
  const params = z.object({ id: z.string().max(64) });
  const forgetting = {
    summary: 'leave what a former network keeps, and tell of it no more',
    params,
    answer: answers.done,
  };
  rim.route('delete', `${BASE}/network/former/:id`, forgetting, (input) => {
    former.forget(input.params.id);
    return answer({});
  });
  const pins = { summary: 'what is kept, and for whose sake', query: pageQuery, answer: answers.pins };
  rim.route('get', `${BASE}/pins`, pins, ({ query }) => {
    const { totalCount, page: some } = page(store.pins(), query);
    return answer({ totalCount, pins: some.map(({ name, cid }) => ({ name, cid: cid.toString() })) });
  });
  const pricing = { summary: 'what storing would cost', query: priceQuery, answer: answers.quote };
  rim.route('get', `${BASE}/price`, pricing, async ({ query }) => {
    const { perByteEpoch, amount, ...quote } = await price.quote(query);
    const exactly = {
      numerator: String(perByteEpoch.numerator),
      denominator: String(perByteEpoch.denominator),
    };
    return answer({ quote: { ...quote, perByteEpoch: exactly, amount: String(amount) } });
  });
}

function addDenyRoutes(rim: HttpRim, { denied }: StorageServed): void {
  const listing = { summary: 'what is not given out', query: pageQuery, answer: answers.allDenied };
  rim.route('get', `${BASE}/denied`, listing, ({ query }) => {
    const { totalCount, page: some } = page(denied.all(), query);
    return answer({ totalCount, denied: some });
  });
  const denying = {
    summary: 'give a block, and what begins with it, to nobody any more: 410',
    params: cidParams,
    body: denyBody,
    answer: answers.denied,
  };
  rim.route('put', `${BASE}/denied/:cid`, denying, ({ params, body }) =>
    answer({ denied: denied.deny(params.cid, body.reason) }),
  );
  const allowing = { summary: 'give it out again', params: cidParams, answer: answers.done };
  rim.route('delete', `${BASE}/denied/:cid`, allowing, ({ params }) => {
    denied.allow(params.cid);
    return answer({});
  });
}
