import type { Request, Response } from 'express';
import { z } from 'zod';
import { AntirioError, describeError, uuidV4 } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addEventRequest,
  baseResponse,
  baseResponseSchema,
  baseWithIdResponseSchema,
  CONTENT_TYPE_CBOR,
  coreEventTopic,
  countResponseSchema,
  envelopeAround,
  eventResponseSchema,
  int64Of,
  isUuid,
  multiEventsResponseSchema,
  name,
  pageOf,
  timeRangeOf,
  type AddEventRequest,
  type EventAddress,
} from '@antirio/edgex-contracts';
import { fromUtf8, toBase64 } from '@antirio/kernel';
import { countAnswer, listAnswer, oneAnswer, sendText } from './answers.ts';
import type { Room } from './core-data.ts';
import type { EventFilter } from './event-reader.ts';
import { isCbor } from './request-body.ts';

const address = z.object({ serviceName: name, profileName: name, deviceName: name, sourceName: name });
const idParam = z.object({ id: z.string() });
const nameParam = z.object({ name });
const rangeParams = z.object({ start: z.string(), end: z.string() });

/** @throws AntirioError invalidInput when the event is not what the path says. */
export function checkAddress(event: AddEventRequest['event'], at: Omit<EventAddress, 'serviceName'>): void {
  for (const key of ['profileName', 'deviceName', 'sourceName'] as const)
    if (event[key] !== at[key])
      throw new AntirioError('invalidInput', `event's ${key} ${event[key]} mismatches ${at[key]}`);
}

function checkUuid(id: string): string {
  if (!isUuid(id)) throw new AntirioError('invalidInput', 'fail to parse id as an UUID');
  return id.toLowerCase();
}

/** The request goes out as it came in. */
function publish({ ports, measures }: Room, at: EventAddress, bytes: Uint8Array, request: Request): void {
  const { bus, log, random } = ports;
  if (bus === undefined) return;
  const correlationID = request.get('x-correlation-id') ?? uuidV4(random);
  const cbor = isCbor(request.get('content-type'));
  const text = cbor
    ? envelopeAround(JSON.stringify(toBase64(bytes)), { correlationID, contentType: CONTENT_TYPE_CBOR })
    : envelopeAround(fromUtf8(bytes), { correlationID });
  bus.publish(coreEventTopic(at), text).catch((error: unknown) => {
    measures.unpublished();
    log.warn({ error: describeError(error) }, 'a stored event was not published');
  });
}

function addPost(rim: HttpRim, room: Room): void {
  const { commit, writer, measures } = room;
  rim.route(
    'post',
    '/api/v3/event/:serviceName/:profileName/:deviceName/:sourceName',
    {
      summary: 'stores an event; answered when it is on the disk',
      params: address,
      body: addEventRequest,
      answer: baseWithIdResponseSchema,
      status: 201,
    },
    async ({ params, body, request, response }) => {
      const bytes = response.locals['bytes'] as Uint8Array;
      checkAddress(body.event, params);
      const outcome = await commit.run(bytes.length, () => writer.insert(body.event));
      if (outcome === 'duplicate') {
        measures.duplicate();
        throw new AntirioError('conflict', `Event Id ${body.event.id} exists`);
      }
      measures.persisted(body.event.readings.length);
      publish(room, params, bytes, request);
      return { ...baseResponse(201, body), id: body.event.id };
    },
  );
}

function addDeletes(rim: HttpRim, { commit, writer, deletions, ports }: Room): void {
  const accepted = { answer: baseResponseSchema, status: 202 };
  rim.route(
    'delete',
    '/api/v3/event/id/:id',
    { summary: 'deletes an event', params: idParam, answer: baseResponseSchema },
    async ({ params }) => {
      const id = checkUuid(params.id);
      await commit.run(0, () => writer.deleteById(id));
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
      const age = int64Of(params.age, 'age');
      await deletions.accept({ before: BigInt(Math.trunc(ports.clock.now())) * 1_000_000n - age });
      return baseResponse(202);
    },
  );
}

export function addEventRoutes(rim: HttpRim, room: Room): void {
  const { reader, options } = room;
  const rules = { maxResultCount: options.maxResultCount, minOffset: -1 } as const;
  const list = (response: Response, query: unknown, filter: EventFilter): void => {
    const page = pageOf(query as Record<string, unknown>, rules);
    sendText(response, listAnswer('events', reader.events(filter, page)));
  };
  addPost(rim, room);
  addDeletes(rim, room);
  const answer = multiEventsResponseSchema;
  rim.route(
    'get',
    '/api/v3/event/all',
    { summary: 'all events, newest first', answer },
    ({ query, response }) => {
      list(response, query, {});
    },
  );
  rim.route(
    'get',
    '/api/v3/event/device/name/:name',
    { summary: "a device's events, newest first", params: nameParam, answer },
    ({ params, query, response }) => list(response, query, { device: params.name }),
  );
  rim.route(
    'get',
    '/api/v3/event/start/:start/end/:end',
    { summary: 'events of a time range in nanoseconds, newest first', params: rangeParams, answer },
    ({ params, query, response }) => list(response, query, { range: timeRangeOf(params.start, params.end) }),
  );
  rim.route(
    'get',
    '/api/v3/event/id/:id',
    { summary: 'an event', params: idParam, answer: eventResponseSchema },
    ({ params, response }) => {
      const id = checkUuid(params.id);
      const text = reader.eventById(id);
      if (text === undefined) throw new AntirioError('notFound', `event ${id} does not exist`);
      sendText(response, oneAnswer('event', text));
    },
  );
  const count = { summary: 'how many events there are', answer: countResponseSchema };
  rim.route('get', '/api/v3/event/count', count, () => countAnswer(reader.eventCount({})));
  rim.route(
    'get',
    '/api/v3/event/count/device/name/:name',
    { ...count, summary: 'how many events of a device there are', params: nameParam },
    ({ params }) => countAnswer(reader.eventCount({ device: params.name })),
  );
}
