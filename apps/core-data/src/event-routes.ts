import { z } from 'zod';
import { AntirioError, describeError, uuidV4 } from '@antirio/kernel';
import { asEdgexFailure } from '@antirio/edgex-service';
import { parseInput, type HotRoute, type HttpRim } from '@antirio/host';
import {
  addEventRequest,
  baseResponse,
  baseWithIdResponseSchema,
  CONTENT_TYPE_CBOR,
  coreEventTopic,
  envelopeAround,
  name,
  type AddEventRequest,
  type BaseWithIdResponse,
  type EventAddress,
} from '@antirio/edgex-contracts';
import { fromUtf8, toBase64 } from '@antirio/kernel';
import type { Room } from './core-data.ts';
import { isCbor, readEventRequest } from './request-body.ts';

const address = z.object({ serviceName: name, profileName: name, deviceName: name, sourceName: name });

/** @throws AntirioError invalidInput when the event is not what the path says. */
export function checkAddress(event: AddEventRequest['event'], at: Omit<EventAddress, 'serviceName'>): void {
  for (const key of ['profileName', 'deviceName', 'sourceName'] as const)
    if (event[key] !== at[key])
      throw new AntirioError('invalidInput', `event's ${key} ${event[key]} mismatches ${at[key]}`);
}

/** A request to store an event, and what is known of it besides. */
interface Posted {
  readonly at: EventAddress;
  readonly request: AddEventRequest;
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
  readonly correlation: string | undefined;
}

/** The request goes out as it came in. */
function publish({ ports, measures }: Room, { at, bytes, contentType, correlation }: Posted): void {
  const { bus, log, random } = ports;
  if (bus === undefined) return;
  const correlationID = correlation ?? uuidV4(random);
  const text = isCbor(contentType)
    ? envelopeAround(JSON.stringify(toBase64(bytes)), { correlationID, contentType: CONTENT_TYPE_CBOR })
    : envelopeAround(fromUtf8(bytes), { correlationID });
  bus.publish(coreEventTopic(at), text).catch((error: unknown) => {
    measures.unpublished();
    log.warn({ error: describeError(error) }, 'a stored event was not published');
  });
}

async function post(room: Room, posted: Posted): Promise<BaseWithIdResponse> {
  const { store, measures, settings } = room;
  const { at, request, bytes } = posted;
  const { event } = request;
  checkAddress(event, at);
  if (settings.now.persistData) {
    const outcome = await store.insert(event, bytes.length).catch(asEdgexFailure);
    if (outcome === 'duplicate') {
      measures.duplicate();
      throw new AntirioError('conflict', `Event Id ${event.id} exists`);
    }
    measures.persisted(event.readings.length);
  }
  publish(room, posted);
  return { ...baseResponse(CREATED, request), id: event.id };
}

const CREATED = 201;
const BELOW = '/api/v3/event/';
const LEVELS = ['serviceName', 'profileName', 'deviceName', 'sourceName'] as const;

/** Past express: what a plain request costs beside the commit is what bounds how many devices an edge serves. */
function postPlain(room: Room): HotRoute {
  return {
    below: BELOW,
    levels: LEVELS.length,
    status: CREATED,
    timeoutMs: room.options.service.requestTimeoutMs,
    async handle({ levels, bytes, header }) {
      const [serviceName = '', profileName = '', deviceName = '', sourceName = ''] = levels;
      const at = parseInput(address, { serviceName, profileName, deviceName, sourceName });
      const contentType = header('content-type');
      const request = readEventRequest(bytes, contentType);
      return post(room, { at, request, bytes, contentType, correlation: header('x-correlation-id') });
    },
  };
}

export function addEventPost(rim: HttpRim, room: Room): void {
  rim.hotRoute(postPlain(room));
  rim.route(
    'post',
    `${BELOW}${LEVELS.map((level) => `:${level}`).join('/')}`,
    {
      summary: 'stores an event; answered when it is on the disk',
      params: address,
      body: addEventRequest,
      answer: baseWithIdResponseSchema,
      status: CREATED,
    },
    ({ params, body, request, response }) =>
      post(room, {
        at: params,
        request: body,
        bytes: response.locals['bytes'] as Uint8Array,
        contentType: request.get('content-type'),
        correlation: request.get('x-correlation-id'),
      }),
  );
}
