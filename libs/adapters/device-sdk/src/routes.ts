import { z } from 'zod';
import { uuidV4, type Random } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  baseResponse,
  baseResponseSchema,
  CONTENT_TYPE_CBOR,
  eventResponseSchema,
  stringifyJson,
  toCbor,
} from '@antirio/edgex-contracts';
import type { Commands } from './commands.ts';
import { answerOf } from './event-answer.ts';
import { queryOfUrl } from './query.ts';

const PATH = '/api/v3/device/name/:name/:command';
const params = z.object({ name: z.string(), command: z.string() });
const settings = z.preprocess(
  (body) => body ?? {},
  z.record(z.string(), z.unknown(), 'failed to parse request body: no object of settings'),
);

interface Ports {
  /** @throws AntirioError unavailable while the service does not run */
  readonly commands: () => Commands;
  readonly random: Random;
}

const searchOf = (url: string): string => (url.includes('?') ? url.slice(url.indexOf('?')) : '');

function correlationOf(header: string | undefined, random: Random): string {
  return header === undefined || header === '' ? uuidV4(random) : header;
}

/** EdgeX's commands of a device service. */
export function addCommandRoutes(rim: HttpRim, { commands, random }: Ports): void {
  const read = { summary: 'reads a resource, a command, or all resources of a pattern', params };
  rim.route('get', PATH, { ...read, answer: eventResponseSchema }, async (input) => {
    const { name, command } = input.params;
    const query = queryOfUrl(searchOf(input.request.originalUrl));
    const event = await commands().get(name, command, query);
    if (query.pushEvent) commands().push(event, correlationOf(input.request.get('x-correlation-id'), random));
    if (!query.returnEvent) return undefined;
    const { payload, contentType } = answerOf(event);
    const isCbor = contentType === CONTENT_TYPE_CBOR;
    input.response.type(contentType).send(isCbor ? Buffer.from(toCbor(payload)) : stringifyJson(payload));
    return undefined;
  });
  const write = { summary: 'writes a resource or a command', params, body: settings };
  rim.route('put', PATH, { ...write, answer: baseResponseSchema }, async (input) => {
    const { name, command } = input.params;
    const { rawQuery } = queryOfUrl(searchOf(input.request.originalUrl));
    const event = await commands().set(name, command, input.body, rawQuery);
    if (event !== undefined)
      commands().push(event, correlationOf(input.request.get('x-correlation-id'), random));
    return baseResponse(200);
  });
}
