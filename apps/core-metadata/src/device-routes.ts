import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import {
  addDeviceRequest,
  baseResponse,
  baseResponseSchema,
  deviceResponseSchema,
  multiDevicesResponseSchema,
  name,
  updateDeviceRequest,
  uuid,
  type Page,
} from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import { answerList, correlationOf, firstOf, labelsOf, sendOne, type Query } from './answers.ts';
import { addDevice, checkNewDevice, checkUpdate, removeDevice, updateDevice } from './devices.ts';
import type { Filter, Listed } from './entities.ts';
import { each, manyOf } from './items.ts';
import { missing, type Room } from './room.ts';

const nameParam = z.object({ name });

function levelsOf(query: Query): number {
  const text = firstOf(query, 'maxLevels') ?? '0';
  if (!/^\d{1,9}$/.test(text))
    throw new AntirioError('invalidInput', `maxLevels ${text.slice(0, 32)} is no whole number`);
  return Number(text);
}

function addWrites(rim: HttpRim, room: Room): void {
  const isOn = (query: Query, key: string): boolean => firstOf(query, key) === 'true';
  rim.route(
    'post',
    '/api/v3/device',
    {
      summary:
        'adds devices; `bypassValidation` asks no device service, `force` replaces one of the same name',
      ...manyOf(addDeviceRequest, 'AddDeviceRequest'),
    },
    ({ body, query, request }) => {
      const how = {
        bypass: isOn(query as Query, 'bypassValidation'),
        force: isOn(query as Query, 'force'),
        correlationID: correlationOf(request),
      };
      return each(body, {
        status: 201,
        before: (item) => checkNewDevice(room, item.device, how),
        handle: (item) => addDevice(room, item.device, how),
      });
    },
  );
  rim.route(
    'patch',
    '/api/v3/device',
    {
      summary: 'changes devices; `bypassValidation` asks no device service',
      ...manyOf(updateDeviceRequest, 'UpdateDeviceRequest'),
    },
    ({ body, query, request }) => {
      const how = { bypass: isOn(query as Query, 'bypassValidation'), correlationID: correlationOf(request) };
      return each(body, {
        status: 200,
        before: (item) => checkUpdate(room, item.device, how),
        handle: (item) => updateDevice(room, item.device, how),
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
  const { entities } = room;
  const answer = multiDevicesResponseSchema;
  const field = 'devices';
  rim.route(
    'get',
    '/api/v3/device/all',
    {
      summary:
        'all devices, or those with all the `labels`, or `descendantsOf` one down to `maxLevels` below it',
      answer,
    },
    ({ query, response }) => {
      const labels = labelsOf(query as Query);
      const maxLevels = levelsOf(query as Query);
      const descendantsOf = firstOf(query as Query, 'descendantsOf');
      const find = (page: Page): Listed =>
        descendantsOf === undefined
          ? entities.list({ kind: 'device', labels }, page)
          : entities.tree({ descendantsOf, maxLevels, labels }, page);
      answerList(room, { response, query, field, find });
    },
  );
  for (const by of ['profile', 'service'] as const)
    rim.route(
      'get',
      `/api/v3/device/${by}/name/:name`,
      { summary: `devices of a ${by}`, params: nameParam, answer },
      ({ params, query, response }) => {
        const filter: Filter = { kind: 'device', [by]: params.name };
        answerList(room, { response, query, field, find: (page) => entities.list(filter, page) });
      },
    );
}

export function addDeviceRoutes(rim: HttpRim, room: Room): void {
  const { entities } = room;
  addWrites(rim, room);
  addLists(rim, room);
  rim.route(
    'get',
    '/api/v3/device/name/:name',
    { summary: 'a device', params: nameParam, answer: deviceResponseSchema },
    ({ params, response }) =>
      sendOne(response, 'device', entities.textByName('device', params.name), missing('device', params)),
  );
  rim.route(
    'get',
    '/api/v3/device/id/:id',
    { summary: 'a device by its id', params: z.object({ id: uuid }), answer: deviceResponseSchema },
    ({ params, response }) =>
      sendOne(
        response,
        'device',
        entities.textById('device', params.id.toLowerCase()),
        missing('device', params),
      ),
  );
  rim.route(
    'get',
    '/api/v3/device/check/name/:name',
    { summary: 'whether there is such a device', params: nameParam, answer: baseResponseSchema },
    ({ params }) => {
      if (entities.textByName('device', params.name) === undefined) throw missing('device', params);
      return baseResponse(200);
    },
  );
}
