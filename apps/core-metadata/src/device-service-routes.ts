import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addDeviceServiceRequest,
  baseResponse,
  baseResponseSchema,
  deviceServiceResponseSchema,
  multiDeviceServicesResponseSchema,
  name,
  updateDeviceServiceRequest,
  type DeviceService,
  type UpdateDeviceService,
} from '@antirio/edgex-contracts';
import { answerList, correlationOf, labelsOf, sendOne } from './answers.ts';
import { each, manyOf } from './items.ts';
import { find, missing, patched, stored, type Room } from './room.ts';

const nameParam = z.object({ name });

async function add(
  { commit, entities, ports, tell, validation }: Room,
  service: DeviceService,
  by?: string,
): Promise<{ id: string }> {
  const entity = stored(ports, service);
  await commit.run(0, () => entities.add('deviceservice', entity));
  validation.heardOf(service.name);
  tell({ kind: 'deviceservice', action: 'add', entity }, by);
  return { id: entity.id };
}

async function update(
  { commit, entities, ports, tell, validation }: Room,
  dto: UpdateDeviceService,
  by?: string,
): Promise<undefined> {
  const entity = await commit.run(0, () => {
    const before = find(entities, 'deviceservice', dto);
    const after = stored(ports, patched(before, dto), before);
    entities.replace('deviceservice', after);
    return after;
  });
  validation.heardOf(entity.name);
  tell({ kind: 'deviceservice', action: 'update', entity }, by);
}

/** @throws AntirioError notFound; conflict while it has devices or provision watchers. */
async function remove({ commit, entities, tell }: Room, serviceName: string, by?: string): Promise<void> {
  const entity = await commit.run(0, () => {
    const found = find(entities, 'deviceservice', { name: serviceName });
    for (const [kind, word] of [
      ['device', 'device'],
      ['provisionwatcher', 'provisionWatcher'],
    ] as const)
      if (entities.count({ kind, service: serviceName }) > 0)
        throw new AntirioError(
          'conflict',
          `fail to delete the device service when associated ${word} exists`,
        );
    entities.remove('deviceservice', serviceName);
    return found;
  });
  tell({ kind: 'deviceservice', action: 'delete', entity }, by);
}

export function addDeviceServiceRoutes(rim: HttpRim, room: Room): void {
  rim.route(
    'post',
    '/api/v3/deviceservice',
    { summary: 'adds device services', ...manyOf(addDeviceServiceRequest, 'AddDeviceServiceRequest') },
    ({ body, request }) =>
      each(body, { status: 201, handle: (item) => add(room, item.service, correlationOf(request)) }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceservice',
    {
      summary: 'changes device services',
      ...manyOf(updateDeviceServiceRequest, 'UpdateDeviceServiceRequest'),
    },
    ({ body, request }) =>
      each(body, { status: 200, handle: (item) => update(room, item.service, correlationOf(request)) }),
  );
  rim.route(
    'get',
    '/api/v3/deviceservice/all',
    {
      summary: 'all device services, or those with all the `labels`',
      answer: multiDeviceServicesResponseSchema,
    },
    ({ query, response }) => {
      const filter = { kind: 'deviceservice', labels: labelsOf(query as Record<string, unknown>) } as const;
      answerList(room, {
        response,
        query,
        field: 'services',
        find: (page) => room.entities.list(filter, page),
      });
    },
  );
  rim.route(
    'get',
    '/api/v3/deviceservice/name/:name',
    { summary: 'a device service', params: nameParam, answer: deviceServiceResponseSchema },
    ({ params, response }) =>
      sendOne(
        response,
        'service',
        room.entities.textByName('deviceservice', params.name),
        missing('deviceservice', params),
      ),
  );
  rim.route(
    'delete',
    '/api/v3/deviceservice/name/:name',
    {
      summary: 'deletes a device service that nothing refers to',
      params: nameParam,
      answer: baseResponseSchema,
    },
    async ({ params, request }) => {
      await remove(room, params.name, correlationOf(request));
      return baseResponse(200);
    },
  );
}
