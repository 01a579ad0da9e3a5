import type { Request } from 'express';
import { z } from 'zod';
import { AntirioError, describeError, uuidV4 } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addEventRequest,
  baseResponse,
  baseWithIdResponseSchema,
  CONTENT_TYPE_CBOR,
  coreEventTopic,
  envelopeAround,
  name,
  type AddEventRequest,
  type EventAddress,
} from '@antirio/edgex-contracts';
import { fromUtf8, toBase64 } from '@antirio/kernel';
import type { Room } from './core-data.ts';
import { isCbor } from './request-body.ts';

const address = z.object({ serviceName: name, profileName: name, deviceName: name, sourceName: name });

/** @throws AntirioError invalidInput when the event is not what the path says. */
export function checkAddress(event: AddEventRequest['event'], at: Omit<EventAddress, 'serviceName'>): void {
  for (const key of ['profileName', 'deviceName', 'sourceName'] as const)
    if (event[key] !== at[key])
      throw new AntirioError('invalidInput', `event's ${key} ${event[key]} mismatches ${at[key]}`);
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

export function addEventPost(rim: HttpRim, room: Room): void {
  const { commit, writer, measures, settings } = room;
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
      if (!settings.now.persistData) {
        publish(room, params, bytes, request);
        return { ...baseResponse(201, body), id: body.event.id };
      }
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
