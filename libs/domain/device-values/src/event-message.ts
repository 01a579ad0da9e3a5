import {
  CONTENT_TYPE_CBOR,
  CONTENT_TYPE_JSON,
  addEventRequestToCbor,
  addEventRequestToJson,
  deviceEventTopic,
  makeEnvelope,
  newAddEventRequest,
  toCbor,
  type Event,
} from '@antirio/edgex-contracts';
import { isAntirioError, utf8 } from '@antirio/kernel';
import { fault } from './fault.ts';

export interface EventMessage {
  readonly topic: string;
  /** The envelope, as JSON. */
  readonly message: Uint8Array;
}

export interface EventMessageOptions {
  readonly serviceName: string;
  readonly requestId: string;
  readonly correlationId: string;
  /** EdgeX's MaxEventSize, in KB; 0 is no limit. */
  readonly maxEventSizeKB: number;
}

/** Events with a binary reading go as CBOR, all others as JSON. */
export function eventContentType(event: Event): string {
  return event.readings.some(({ valueType }) => valueType === 'Binary')
    ? CONTENT_TYPE_CBOR
    : CONTENT_TYPE_JSON;
}

const BYTES_OF_KB = 1024;

/** @throws AntirioError tooLarge when a message has more bytes than `limitKB` (0 is no limit). */
export function checkSize(message: Uint8Array, limitKB: number): void {
  if (limitKB > 0 && message.length > limitKB * BYTES_OF_KB)
    throw fault('tooLarge', `message size exceed limit(${limitKB} KB)`);
}

function envelopeOf(event: Event, { requestId, correlationId }: EventMessageOptions): string {
  const request = newAddEventRequest(event, requestId);
  const contentType = eventContentType(event);
  const payload =
    contentType === CONTENT_TYPE_CBOR
      ? toCbor(addEventRequestToCbor(request))
      : addEventRequestToJson(request);
  return makeEnvelope(payload, { correlationID: correlationId, contentType });
}

/**
 * An event as a device service publishes it.
 * @throws AntirioError tooLarge when the message is over the limit, failed when an object in it is nothing that JSON or CBOR can say.
 */
export function eventMessage(event: Event, options: EventMessageOptions): EventMessage {
  const message = encoded(event, options);
  checkSize(message, options.maxEventSizeKB);
  return { topic: deviceEventTopic({ ...event, serviceName: options.serviceName }), message };
}

function encoded(event: Event, options: EventMessageOptions): Uint8Array {
  try {
    return utf8(envelopeOf(event, options));
  } catch (error) {
    if (isAntirioError(error)) throw error;
    throw fault(
      'failed',
      'failed to encode AddEventRequest',
      error instanceof Error ? error.message : 'unknown',
    );
  }
}
