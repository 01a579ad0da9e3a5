import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import {
  addDeviceRequest,
  baseResponse,
  baseResponseSchema,
  deviceResponseSchema,
  multiDevicesResponseSchema,
  multiResponseSchema,
  name,
  updateDeviceRequest,
} from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import { answerList, correlationOf, firstOf, labelsOf, sendOne, type Query } from './answers.ts';
import { addDevice, removeDevice, updateDevice } from './devices.ts';
import type { Filter } from './entities.ts';
import { each, type Room } from './room.ts';

const nameParam = z.object({ name });

function levelsOf(query: Query): number {
  const text = firstOf(query, 'maxLevels') ?? '0';
  if (!/^\d{1,9}$/.test(text))
    throw new AntirioError('invalidInput', `maxLevels ${text.slice(0, 32)} is no whole number`);
  return Number(text);
}

function treeOf(query: Query): Partial<Filter> {
  const descendantsOf = firstOf(query, 'descendantsOf');
  return descendantsOf === undefined ? {} : { descendantsOf, maxLevels: levelsOf(query) };
}

function addWrites(rim: HttpRim, room: Room): void {
  const multi = { answer: multiResponseSchema, status: 207 };
  const isOn = (query: Query, key: string): boolean => firstOf(query, key) === 'true';
  rim.route(
    'post',
    '/api/v3/device',
    {
      summary:
        'adds devices; `bypassValidation` asks no device service, `force` replaces one of the same name',
      body: z.array(addDeviceRequest).nullable(),
      ...multi,
    },
    ({ body, query, request }) => {
      const how = {
        bypass: isOn(query as Query, 'bypassValidation'),
        force: isOn(query as Query, 'force'),
        correlationID: correlationOf(request),
      };
      return each(body, 201, (item) => addDevice(room, item.device, how));
    },
  );
  rim.route(
    'patch',
    '/api/v3/device',
    { summary: 'changes devices', body: z.array(updateDeviceRequest).nullable(), ...multi },
    ({ body, query, request }) => {
      const how = { bypass: isOn(query as Query, 'bypassValidation'), correlationID: correlationOf(request) };
      return each(body, 200, async (item) => {
        await updateDevice(room, item.device, how);
        return undefined;
      });
    },
  );
  rim.route(
    'delete',
    '/api/v3/device/name/:name',
    { summary: 'deletes a device without children', params: nameParam, answer: baseResponseSchema },
    async ({ params, request }) => {
      await removeDevice(room, params.name, correlationOf(request));
      return baseResponse(200);
    },
  );
}

function addLists(rim: HttpRim, room: Room): void {
  const answer = multiDevicesResponseSchema;
  const field = 'devices';
  rim.route(
    'get',
    '/api/v3/device/all',
    { summary: 'all devices, or those with all the `labels`, or `descendantsOf` one', answer },
    ({ query, response }) => {
      const filter = { kind: 'device', labels: labelsOf(query as Query), ...treeOf(query as Query) } as const;
      answerList(room, { response, query, field, filter });
    },
  );
  rim.route(
    'get',
    '/api/v3/device/profile/name/:name',
    { summary: 'devices of a profile', params: nameParam, answer },
    ({ params, query, response }) =>
      answerList(room, { response, query, field, filter: { kind: 'device', profile: params.name } }),
  );
  rim.route(
    'get',
    '/api/v3/device/service/name/:name',
    { summary: 'devices of a device service', params: nameParam, answer },
    ({ params, query, response }) =>
      answerList(room, { response, query, field, filter: { kind: 'device', service: params.name } }),
  );
}

export function addDeviceRoutes(rim: HttpRim, room: Room): void {
  addWrites(rim, room);
  addLists(rim, room);
  rim.route(
    'get',
    '/api/v3/device/name/:name',
    { summary: 'a device', params: nameParam, answer: deviceResponseSchema },
    ({ params, response }) =>
      sendOne(response, 'device', room.entities.textByName('device', params.name), params.name),
  );
  rim.route(
    'get',
    '/api/v3/device/id/:id',
    { summary: 'a device by its id', params: z.object({ id: z.string() }), answer: deviceResponseSchema },
    ({ params, response }) =>
      sendOne(response, 'device', room.entities.textById('device', params.id.toLowerCase()), params.id),
  );
  rim.route(
    'get',
    '/api/v3/device/check/name/:name',
    { summary: 'whether there is such a device', params: nameParam, answer: baseResponseSchema },
    ({ params }) => {
      if (room.entities.textByName('device', params.name) === undefined)
        throw new AntirioError('notFound', `device ${params.name} does not exist`);
      return baseResponse(200);
    },
  );
}
