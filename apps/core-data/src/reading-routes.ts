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
import { AGGREGATE_FUNCS, type AggregateFunc } from './accumulator.ts';
import { aggregatesAnswer, countAnswer, isNumeric, listAnswer, sendText } from './answers.ts';
import type { Room } from './core-data.ts';
import type { ReadingFilter } from './selections.ts';

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

const resourceNames = z.object({ resourceNames: z.array(z.unknown()).optional() }).nullish();

/** A GET with a body, which EdgeX has for several resources of one device. */
function withResourceNames(filter: ReadingFilter, body: unknown): ReadingFilter {
  if (filter.device === undefined || filter.resources !== undefined || filter.range === undefined)
    return filter;
  const parsed = resourceNames.safeParse(body);
  if (!parsed.success)
    throw new AntirioError('invalidInput', 'query criteria [resourceNames] not in expected format');
  const names = (parsed.data?.resourceNames ?? []).filter((given) => typeof given === 'string');
  return names.length === 0 ? filter : { ...filter, resources: names };
}

/** @throws AntirioError invalidInput */
function aggregateFuncOf(query: Readonly<Record<string, unknown>>): AggregateFunc | undefined {
  const [given] = [query['aggregateFunc']].flat();
  if (typeof given !== 'string' || given === '') return undefined;
  const func = AGGREGATE_FUNCS.find((known) => known === given.toUpperCase());
  if (func === undefined) throw new AntirioError('invalidInput', 'invalid aggregate function specified');
  return func;
}

function addCounts(rim: HttpRim, { store: { reader } }: Room): void {
  const count = { summary: 'how many readings there are', answer: countResponseSchema };
  rim.route('get', '/api/v3/reading/count', count, async () => countAnswer(await reader.readingCount({})));
  rim.route(
    'get',
    '/api/v3/reading/count/device/name/:name',
    { ...count, summary: 'how many readings of a device there are', params: z.object({ name }) },
    async ({ params: given }) => countAnswer(await reader.readingCount({ device: given.name })),
  );
}

export function addReadingRoutes(rim: HttpRim, room: Room): void {
  const { store, options } = room;
  const { reader } = store;
  const rules = { maxResultCount: options.maxResultCount, minOffset: -1 } as const;
  const answerTo = async (query: Record<string, unknown>, filter: ReadingFilter): Promise<string> => {
    const page = pageOf(query, rules);
    const func = aggregateFuncOf(query);
    return func === undefined
      ? listAnswer('readings', await reader.readings(filter, page, isNumeric(query)))
      : aggregatesAnswer(func, await reader.aggregates(filter, func, page));
  };
  for (const [path, summary] of LISTS)
    rim.route(
      'get',
      `/api/v3/reading/${path}`,
      { summary, params, answer: multiReadingsResponseSchema },
      async ({ params: given, query, request, response }) => {
        const filter = withResourceNames(filterOf(given), request.body);
        sendText(response, await answerTo(query as Record<string, unknown>, filter));
      },
    );
  addCounts(rim, room);
}
