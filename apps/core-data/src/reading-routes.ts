import type { Response } from 'express';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  countResponseSchema,
  multiReadingsResponseSchema,
  name,
  pageOf,
  timeRangeOf,
} from '@antirio/edgex-contracts';
import { countAnswer, listAnswer, sendText } from './answers.ts';
import type { Room } from './core-data.ts';
import type { ReadingFilter } from './event-reader.ts';

const params = z.object({
  name: name.optional(),
  deviceName: name.optional(),
  resourceName: name.optional(),
  start: z.string().optional(),
  end: z.string().optional(),
});

/** EdgeX's paths under `/reading`: every part says what it filters by. */
const LISTS: readonly (readonly [path: string, summary: string])[] = [
  ['all', 'all readings, newest first'],
  ['device/name/:name', 'readings of a device'],
  ['resourceName/:resourceName', 'readings of a resource, whatever the device'],
  ['device/name/:deviceName/resourceName/:resourceName', 'readings of a resource of a device'],
  ['start/:start/end/:end', 'readings of a time range in nanoseconds'],
  ['resourceName/:resourceName/start/:start/end/:end', 'readings of a resource in a time range'],
  [
    'device/name/:deviceName/start/:start/end/:end',
    'readings of a device in a time range; {resourceNames} may be the body',
  ],
  [
    'device/name/:deviceName/resourceName/:resourceName/start/:start/end/:end',
    'readings of a resource of a device in a time range',
  ],
];

function filterOf(given: z.output<typeof params>): ReadingFilter {
  const { start, end, resourceName } = given;
  const device = given.deviceName ?? given.name;
  return {
    ...(device === undefined ? {} : { device }),
    ...(resourceName === undefined ? {} : { resources: [resourceName] }),
    ...(start === undefined || end === undefined ? {} : { range: timeRangeOf(start, end) }),
  };
}

const resourceNames = z.object({ resourceNames: z.array(name).optional() }).nullish();

/** A GET with a body, which EdgeX has for several resources of one device. */
function withResourceNames(filter: ReadingFilter, body: unknown): ReadingFilter {
  if (filter.device === undefined || filter.resources !== undefined || filter.range === undefined)
    return filter;
  const parsed = resourceNames.safeParse(body);
  if (!parsed.success) throw new AntirioError('invalidInput', 'resourceNames should be a list of names');
  const names = parsed.data?.resourceNames ?? [];
  return names.length === 0 ? filter : { ...filter, resources: names };
}

export function addReadingRoutes(rim: HttpRim, { reader, options }: Room): void {
  const rules = { maxResultCount: options.maxResultCount, minOffset: -1 } as const;
  const list = (response: Response, query: Record<string, unknown>, filter: ReadingFilter): void => {
    if (query['aggregateFunc'] !== undefined)
      throw new AntirioError('notImplemented', 'readings are not aggregated');
    const numeric = query['numeric'] === 'true';
    sendText(response, listAnswer('readings', reader.readings(filter, pageOf(query, rules), numeric)));
  };
  for (const [path, summary] of LISTS)
    rim.route(
      'get',
      `/api/v3/reading/${path}`,
      { summary, params, answer: multiReadingsResponseSchema },
      ({ params: given, query, request, response }) =>
        list(response, query as Record<string, unknown>, withResourceNames(filterOf(given), request.body)),
    );
  const count = { summary: 'how many readings there are', answer: countResponseSchema };
  rim.route('get', '/api/v3/reading/count', count, () => countAnswer(reader.readingCount({})));
  rim.route(
    'get',
    '/api/v3/reading/count/device/name/:name',
    { ...count, summary: 'how many readings of a device there are', params: z.object({ name }) },
    ({ params: given }) => countAnswer(reader.readingCount({ device: given.name })),
  );
}
