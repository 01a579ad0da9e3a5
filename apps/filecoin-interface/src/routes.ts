import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { parseCid } from '@antirio/content-store';
import { z } from 'zod';
import type { Images } from './images.ts';
import type { Objects } from './objects.ts';
import type { ImageRecord, Records } from './records.ts';
import { backendErrorBody, backendImageBody, imageName, orchestratorImageBody } from './shapes.ts';

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
    async ({ body }) => view(await images.order(body)),
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
      const isFetched = body.status === 'READY2DOWNLOAD' && body.providers.length > 0;
      if (isFetched) parseCid(body.imageHash);
      const record = images.fromBackend(body);
      if (isFetched) objects.fetch(body.imageHash, body.providers);
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
