import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { z } from 'zod';
import type { Images } from './images.ts';
import type { Objects } from './objects.ts';
import type { ImageRecord, Records } from './records.ts';
import {
  backendErrorBody,
  backendImageBody,
  cidParams,
  exportBody,
  fetchBody,
  imageId,
  imageName,
  objectBody,
  orchestratorImageBody,
} from './shapes.ts';

export interface Served {
  readonly version: string;
  readonly edgeId: string;
  readonly records: Records;
  readonly images: Images;
  readonly objects: Objects;
}

/** The resources of the thesis, tables 4.6 to 4.9: names, methods and keys are its own. */
export function addThesisRoutes(rim: HttpRim, { version, edgeId, records, images, objects }: Served): void {
  const view = (image: ImageRecord) => ({ ...image, minerAddress: edgeId });
  const image = '/filecoin_interface/orchestrator/image';
  rim.route(
    'post',
    image,
    { summary: 'order an image to be stored', body: orchestratorImageBody, status: 202 },
    ({ body }) => view(images.order(body)),
  );
  const query = z.object({ imageName: imageName.optional() });
  rim.route('get', image, { summary: 'stored images, or the newest of a name', query }, (input) => {
    const all = records.images.all();
    if (input.query.imageName === undefined) return all.map(view);
    const newest = all.findLast((each) => each.imageName === input.query.imageName);
    if (newest === undefined) throw new AntirioError('notFound', `no image ${input.query.imageName}`);
    return view(newest);
  });

  const backend = '/filecoin_interface/backend/image';
  rim.route(
    'post',
    backend,
    { summary: 'a storage backend tells of an image', body: backendImageBody, status: 202 },
    ({ body }) => {
      const record = images.fromBackend(body);
      if (body.status === 'READY2DOWNLOAD' && body.providers.length > 0)
        objects.fetch(body.imageHash, body.providers);
      return record;
    },
  );
  rim.route('get', backend, { summary: 'what storage backends told' }, () => records.backendImages.all());

  const errors = '/filecoin_interface/backend/error';
  rim.route(
    'post',
    errors,
    { summary: 'a storage backend tells of an error', body: backendErrorBody, status: 202 },
    ({ body }) => records.addError(body),
  );
  rim.route('get', errors, { summary: 'errors, of backends and our own' }, () => records.errors());

  rim.route('get', '/filecoin_interface/health', { summary: 'that it is there' }, () => ({
    'Status Message': `filecoin interface v.${version}`,
  }));
}

/** Objects by CID. */
export function addObjectRoutes(rim: HttpRim, { objects, images, edgeId }: Served): void {
  const params = z.object({ imageId });
  rim.route('get', '/filecoin_interface/v1/image/:imageId', { summary: 'an own image', params }, (input) => ({
    ...images.get(input.params.imageId),
    minerAddress: edgeId,
  }));
  rim.route(
    'delete',
    '/filecoin_interface/v1/image/:imageId',
    { summary: 'keep an own image no longer', params, status: 204 },
    (input) => images.drop(input.params.imageId),
  );
  const object = '/filecoin_interface/v1/object';
  rim.route(
    'post',
    object,
    { summary: 'store a file of the images folder, or a JSON value', body: objectBody },
    ({ body }) => objects.store(body),
  );
  rim.route('get', object, { summary: 'all objects' }, () => objects.all());
  rim.route('get', `${object}/:cid`, { summary: 'how far an object is', params: cidParams }, ({ params }) =>
    objects.view(params.cid),
  );
  rim.route(
    'delete',
    `${object}/:cid`,
    { summary: 'keep an object no longer', params: cidParams, status: 204 },
    ({ params }) => objects.drop(params.cid),
  );
  rim.route(
    'post',
    '/filecoin_interface/v1/fetch',
    { summary: 'fetch an object', body: fetchBody, status: 202 },
    ({ body }) => objects.fetch(body.cid, body.providers),
  );
  const toFile = { summary: 'write an object to the images folder', params: cidParams, body: exportBody };
  rim.route('post', `${object}/:cid/export`, toFile, ({ params, body }) => objects.export(params.cid, body));
  rim.route(
    'post',
    `${object}/:cid/verify`,
    { summary: 'read every block', params: cidParams },
    ({ params }) => objects.verify(params.cid),
  );
  const query = z.object({ count: z.coerce.number().int().min(1).max(64).default(8) });
  const some = { summary: 'verify, and name some blocks by chance', params: cidParams, query };
  rim.route('get', `${object}/:cid/sample`, some, (input) =>
    objects.sample(input.params.cid, input.query.count),
  );
}
