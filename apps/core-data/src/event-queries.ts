import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { asEdgexFailure } from '@antirio/edgex-service';
import type { HttpRim } from '@antirio/host';
import {
  baseResponse,
  baseResponseSchema,
  countResponseSchema,
  eventResponseSchema,
  isUuid,
  multiEventsResponseSchema,
  name,
  pageOf,
  timeRangeOf,
} from '@antirio/edgex-contracts';
import { countAnswer, isNumeric, listAnswer, oneAnswer, sendText } from './answers.ts';
import type { Room } from './core-data.ts';
import type { EventFilter } from './selections.ts';

/** The greatest origin. */
const LAST = 2n ** 63n - 1n;
const idParam = z.object({ id: z.string() });
const nameParam = z.object({ name });
const rangeParams = z.object({ start: z.string(), end: z.string() });

function checkUuid(id: string): string {
  if (!isUuid(id)) throw new AntirioError('invalidInput', 'fail to parse id as an UUID');
  return id.toLowerCase();
}

/** Nanoseconds. @throws AntirioError invalidInput */
function ageOf(text: string): bigint {
  if (!/^[+-]?\d{1,19}$/.test(text)) throw new AntirioError('invalidInput', 'age format parsing failed');
  const age = BigInt(text.replace('+', ''));
  if (BigInt.asIntN(64, age) !== age) throw new AntirioError('invalidInput', 'age format parsing failed');
  return age;
}

function addDeletes(rim: HttpRim, { store, deletions, ports }: Room): void {
  const accepted = { answer: baseResponseSchema, status: 202 };
  rim.route(
    'delete',
    '/api/v3/event/id/:id',
    { summary: 'deletes an event', params: idParam, answer: baseResponseSchema },
    async ({ params }) => {
      const id = checkUuid(params.id);
      await store.remove(id).catch(asEdgexFailure);
      return baseResponse(200);
    },
  );
  rim.route(
    'delete',
    '/api/v3/event/device/name/:name',
    { summary: "deletes a device's events", params: nameParam, ...accepted },
    async ({ params }) => {
      await deletions.accept({ device: params.name });
      return baseResponse(202);
    },
  );
  rim.route(
    'delete',
    '/api/v3/event/age/:age',
    {
      summary: 'deletes events of an origin older than so many nanoseconds',
      params: z.object({ age: z.string() }),
      ...accepted,
    },
    async ({ params }) => {
      const age = ageOf(params.age);
      const until = BigInt(Math.trunc(ports.clock.now())) * 1_000_000n - age;
      await deletions.accept({ until: until > LAST ? LAST : until });
      return baseResponse(202);
    },
  );
}

function addCounts(rim: HttpRim, { store: { reader } }: Room): void {
  const count = { summary: 'how many events there are', answer: countResponseSchema };
  rim.route('get', '/api/v3/event/count', count, async () => countAnswer(await reader.eventCount({})));
  rim.route(
    'get',
    '/api/v3/event/count/device/name/:name',
    { ...count, summary: 'how many events of a device there are', params: nameParam },
    async ({ params }) => countAnswer(await reader.eventCount({ device: params.name })),
  );
}

/** What asks for stored events and deletes them. */
export function addEventQueries(rim: HttpRim, room: Room): void {
  const { store, options } = room;
  const { reader } = store;
  const rules = { maxResultCount: options.maxResultCount, minOffset: -1 } as const;
  const answer = multiEventsResponseSchema;
  const list = <P extends z.ZodType = z.ZodAny>(
    path: string,
    spec: { readonly summary: string; readonly params?: P },
    filterOf: (params: z.output<P>) => EventFilter,
  ): void =>
    rim.route('get', `/api/v3/event/${path}`, { ...spec, answer }, async ({ params, query, response }) => {
      const asked = query as Record<string, unknown>;
      const filter = filterOf(params);
      const result = await reader.events(filter, pageOf(asked, rules), isNumeric(asked));
      sendText(response, listAnswer('events', result));
    });
  list('all', { summary: 'all events, newest first' }, () => ({}));
  list('device/name/:name', { summary: "a device's events, newest first", params: nameParam }, (params) => ({
    device: params.name,
  }));
  list(
    'start/:start/end/:end',
    { summary: 'events of a time range in nanoseconds, newest first', params: rangeParams },
    ({ start, end }) => ({ range: timeRangeOf(start, end) }),
  );
  rim.route(
    'get',
    '/api/v3/event/id/:id',
    { summary: 'an event', params: idParam, answer: eventResponseSchema },
    async ({ params, query, response }) => {
      const id = checkUuid(params.id);
      const text = await reader.eventById(id, isNumeric(query as Record<string, unknown>));
      if (text === undefined) throw new AntirioError('notFound', `no event with id '${id}' found`);
      sendText(response, oneAnswer('event', text));
    },
  );
  addCounts(rim, room);
  addDeletes(rim, room);
}
