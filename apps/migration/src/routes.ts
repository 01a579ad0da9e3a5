import type { HttpRim } from '@antirio/host';
import type { FetchedImages, FetchView } from './fetched-images.ts';
import type { OwnImages } from './own-images.ts';
import type { ImageRecord, Records } from './records.ts';
import type { SentImages } from './sent-images.ts';
import { contractParams, fetchBody, imageBody, imageParams, sendBody } from './shapes.ts';

export interface Served {
  readonly records: Records;
  readonly own: OwnImages;
  readonly sent: SentImages;
  readonly fetched: FetchedImages;
}

const BASE = '/migration/v1';

export function addRoutes(rim: HttpRim, served: Served): void {
  addCustomerRoutes(rim, served);
  addProviderRoutes(rim, served);
}

/** CIDs are null until they are known. */
function view(image: ImageRecord) {
  return { ...image, imageCid: image.imageCid ?? null, configCid: image.configCid ?? null };
}

/** What is not known yet is null rather than left out. */
function fetchView(fetched: FetchView) {
  return { ...fetched, configuration: fetched.configuration ?? null, progress: fetched.progress ?? null };
}

function addCustomerRoutes(rim: HttpRim, { records, own, sent }: Served): void {
  const images = `${BASE}/images`;
  const one = { params: imageParams };
  rim.route(
    'post',
    images,
    { summary: 'store an image with its configuration', body: imageBody, status: 202 },
    ({ body }) => view(own.store(body)),
  );
  rim.route('get', images, { summary: 'images of this edge' }, () => records.images.all().map(view));
  rim.route('get', `${images}/:imageId`, { summary: 'an image of this edge', ...one }, ({ params }) =>
    view(own.get(params.imageId)),
  );
  rim.route(
    'delete',
    `${images}/:imageId`,
    { summary: 'let go of an image', ...one, status: 204 },
    ({ params }) => own.remove(params.imageId),
  );

  const contracts = `${BASE}/contracts`;
  rim.route('get', contracts, { summary: 'what was sent to providers' }, () => records.sent.all());
  rim.route(
    'get',
    `${contracts}/:contractId`,
    {
      summary: 'what was sent for a contract, and what became of it at the provider',
      params: contractParams,
    },
    ({ params }) => sent.get(params.contractId),
  );
  const send = {
    summary: 'send image and configuration by CID',
    params: contractParams,
    body: sendBody,
    status: 202,
  };
  rim.route('post', `${contracts}/:contractId/send`, send, ({ params, body }) =>
    sent.send(params.contractId, body),
  );
  const release = { summary: 'the contract is over', params: contractParams, status: 204 };
  rim.route('delete', `${contracts}/:contractId`, release, ({ params }) => sent.release(params.contractId));
}

function addProviderRoutes(rim: HttpRim, { records, fetched }: Served): void {
  const fetches = `${BASE}/fetch`;
  const one = { params: contractParams };
  rim.route(
    'post',
    fetches,
    { summary: 'fetch the image of a contract', body: fetchBody, status: 202 },
    ({ body }) => fetchView(fetched.order(body)),
  );
  rim.route('get', fetches, { summary: 'images of customers' }, () => records.fetched.all().map(fetchView));
  rim.route('get', `${fetches}/:contractId`, { summary: 'how far a fetch is', ...one }, ({ params }) =>
    fetchView(fetched.view(params.contractId)),
  );
  rim.route(
    'delete',
    `${fetches}/:contractId`,
    { summary: 'the contract is over', ...one, status: 204 },
    ({ params }) => fetched.remove(params.contractId),
  );
}
