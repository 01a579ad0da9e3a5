import type { Request, Response } from 'express';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { baseResponseSchema, name, pageOf } from '@antirio/edgex-contracts';
import { allCommands, checkSwitches, commandsOfDevice } from './queries.ts';
import type { Room } from './room.ts';

const parameter = z.object({ resourceName: z.string(), valueType: z.string() });
const coreCommand = z.object({
  name: z.string(),
  get: z.boolean().optional(),
  set: z.boolean().optional(),
  path: z.string(),
  url: z.string(),
  parameters: z.array(parameter),
});
const deviceCoreCommand = z.object({
  deviceName: z.string(),
  profileName: z.string(),
  coreCommands: z.array(coreCommand),
});
const oneAnswer = baseResponseSchema.extend({ deviceCoreCommand });
const manyAnswer = baseResponseSchema.extend({
  totalCount: z.int(),
  deviceCoreCommands: z.array(deviceCoreCommand),
});

type Query = Readonly<Record<string, unknown>>;

function queryText(request: Request): string {
  const at = request.originalUrl.indexOf('?');
  return at === -1 ? '' : request.originalUrl.slice(at);
}

function settingsOf(response: Response, body: unknown): Uint8Array {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new AntirioError('invalidInput', 'the settings should be a JSON object');
  return response.locals['bytes'] as Uint8Array;
}

function addCommand(rim: HttpRim, room: Room, method: 'get' | 'put'): void {
  const summary =
    method === 'get' ? 'reads from a device' : 'writes to a device; the body has the values by resource name';
  rim.route(
    method,
    '/api/v3/device/name/:name/:command',
    { summary, params: z.object({ name, command: name }) },
    async ({ params, query, body, request, response }) => {
      if (method === 'get') checkSwitches(query as Query);
      const answer = await room.commands.issue({
        device: params.name,
        command: params.command,
        method: method === 'get' ? 'GET' : 'PUT',
        query: queryText(request),
        body: method === 'get' ? undefined : settingsOf(response, body),
        correlationID: request.get('x-correlation-id'),
      });
      const type = answer.headers['content-type'];
      response.status(answer.status);
      if (typeof type === 'string') response.set('content-type', type);
      // bytes, so that origins keep their digits and binary answers are what they were
      response.end(answer.body);
    },
  );
}

export function addRoutes(rim: HttpRim, room: Room): void {
  rim.route(
    'get',
    '/api/v3/device/all',
    { summary: 'the commands of all devices', answer: manyAnswer },
    ({ query }) => allCommands(room, pageOf(query as Query, { maxResultCount: room.options.maxResultCount })),
  );
  rim.route(
    'get',
    '/api/v3/device/name/:name',
    { summary: 'the commands of a device', params: z.object({ name }), answer: oneAnswer },
    ({ params }) => commandsOfDevice(room, params.name),
  );
  addCommand(rim, room, 'get');
  addCommand(rim, room, 'put');
}
