import type { HttpRim } from '@antirio/host';
import { parseCid } from '@antirio/content-store';
import { z } from 'zod';
import type { EventScope, EventStreams } from './event-streams.ts';
import type { Images } from './images.ts';
import type { Objects } from './objects.ts';
import { imagePin, objectPin } from './pins.ts';
import type { Pushes } from './pushes.ts';
import type { Progress, WorkReport, WorkSubject } from './progress.ts';
import { cidParams, cidText, fileName, imageId } from './shapes.ts';

export interface EventServed {
  readonly images: Images;
  readonly objects: Objects;
  readonly progress: Progress;
  readonly streams: EventStreams;
  readonly pushes: Pick<Pushes, 'view'>;
}

const BASE = '/api/v3/storage';
const answerType = 'text/event-stream';

/** Progress of long work: `snapshot`, then `progress` for each piece of work, and `end` where there is nothing more to come. */
export function addEventRoutes(
  rim: HttpRim,
  { images, objects, progress, streams, pushes }: EventServed,
): void {
  const isRunning = (subject: WorkSubject): boolean =>
    progress.running().some((report) => isAbout(report, subject));
  /** What waits in the network for others to hold it is no work of ours. */
  const isPushed = (name: string): boolean => pushes.view(name)?.state !== 'PUSHING';
  const query = z.object({
    cid: cidText.optional(),
    imageId: imageId.optional(),
    fileName: fileName.optional(),
  });
  const all = { summary: 'events of all long work, or of that on these; goes on', query, answerType };
  rim.route('get', `${BASE}/events`, all, (input) => {
    const wanted = input.query.cid === undefined ? {} : { cid: parseCid(input.query.cid).toString() };
    const subject = { ...input.query, ...wanted };
    const scope = { concerns: (report: WorkReport) => isAbout(report, subject), state: () => ({}) };
    streams.open(input.request, input.response, scope);
  });

  const ofObject = {
    summary: 'events of an object, until it needs no more work',
    params: cidParams,
    answerType,
  };
  rim.route('get', `${BASE}/object/:cid/events`, ofObject, ({ params, request, response }) => {
    const { cid } = objects.view(params.cid);
    const scope: EventScope = {
      concerns: (report) => isAbout(report, { cid }),
      state: () => ({ object: objects.find(cid) ?? null }),
      isOver: () =>
        objects.find(cid)?.state !== 'FETCHING' && !isRunning({ cid }) && isPushed(objectPin(cid)),
    };
    streams.open(request, response, scope);
  });

  const params = z.object({ imageId });
  const ofImage = { summary: 'events of an image, until it needs no more work', params, answerType };
  rim.route('get', `${BASE}/image/:imageId/events`, ofImage, (input) => {
    const subject = { imageId: images.get(input.params.imageId).imageId };
    const scope: EventScope = {
      concerns: (report) => isAbout(report, subject),
      state: () => ({ image: images.find(subject.imageId) ?? null }),
      isOver: () =>
        images.find(subject.imageId)?.status !== 'WAITING' &&
        !isRunning(subject) &&
        isPushed(imagePin(subject.imageId)),
    };
    streams.open(input.request, input.response, scope);
  });
}

function isAbout(report: WorkReport, subject: WorkSubject): boolean {
  return (['cid', 'imageId', 'fileName'] as const).every(
    (key) => subject[key] === undefined || subject[key] === report[key],
  );
}
