import { fromUtf8 } from '@antirio/kernel';
import { parseInput } from '@antirio/host';
import {
  addEventRequest,
  CONTENT_TYPE_CBOR,
  exactJson,
  parseCbor,
  parseJsonBytes,
  parseRoughJson,
  plainAddEventRequest,
  type AddEventRequest,
  type RoughJson,
} from '@antirio/edgex-contracts';

/** EdgeX reads a body as CBOR where the header says so, and as JSON in every other case. */
export function parseBody(bytes: Uint8Array, contentType: string | undefined): unknown {
  if (bytes.length === 0) return undefined;
  return isCbor(contentType) ? parseCbor(bytes) : parseJsonBytes(bytes);
}

export function isCbor(contentType: string | undefined): boolean {
  return contentType?.toLowerCase().startsWith(CONTENT_TYPE_CBOR) === true;
}

/** @throws AntirioError invalidInput */
export function eventRequestOf(body: RoughJson): AddEventRequest {
  return plainAddEventRequest(body) ?? parseInput(addEventRequest, exactJson(body));
}

/** @throws AntirioError invalidInput */
export function readEventRequest(bytes: Uint8Array, contentType: string | undefined): AddEventRequest {
  return isCbor(contentType)
    ? parseInput(addEventRequest, parseCbor(bytes))
    : eventRequestOf(parseRoughJson(fromUtf8(bytes)));
}
