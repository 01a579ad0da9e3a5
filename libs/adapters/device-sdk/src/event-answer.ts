import { eventContentType } from '@antirio/device-values';
import {
  API_VERSION,
  CONTENT_TYPE_CBOR,
  eventToCbor,
  eventToJson,
  type Event,
} from '@antirio/edgex-contracts';

/** What EdgeX answers a read with: JSON, or, with a binary reading, what is to be written as CBOR. */
export interface EventAnswer {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly contentType: string;
}

export function answerOf(event: Event, requestId = ''): EventAnswer {
  const contentType = eventContentType(event);
  const encodable = contentType === CONTENT_TYPE_CBOR ? eventToCbor(event) : eventToJson(event);
  const id = requestId === '' ? {} : { requestId };
  return { payload: { apiVersion: API_VERSION, ...id, statusCode: 200, event: encodable }, contentType };
}
