import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addDeviceServiceRequest,
  baseResponse,
  baseResponseSchema,
  deviceServiceResponseSchema,
  multiDeviceServicesResponseSchema,
  multiResponseSchema,
  name,
  updateDeviceServiceRequest,
  type DeviceService,
  type UpdateDeviceService,
} from '@antirio/edgex-contracts';
import { answerList, correlationOf, labelsOf, sendOne } from './answers.ts';
import { each, find, patched, stored, type Room } from './room.ts';

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
): Promise<void> {
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
    for (const kind of ['device', 'provisionwatcher'] as const)
      if (entities.count({ kind, service: serviceName }) > 0)
        throw new AntirioError(
          'conflict',
          `fail to delete the device service when associated ${kind} exists`,
        );
    entities.remove('deviceservice', serviceName);
    return found;
  });
  tell({ kind: 'deviceservice', action: 'delete', entity }, by);
}

export function addDeviceServiceRoutes(rim: HttpRim, room: Room): void {
  const multi = { answer: multiResponseSchema, status: 207 };
  rim.route(
    'post',
    '/api/v3/deviceservice',
    { summary: 'adds device services', body: z.array(addDeviceServiceRequest).nullable(), ...multi },
    ({ body, request }) => each(body, 201, (item) => add(room, item.service, correlationOf(request))),
  );
  rim.route(
    'patch',
    '/api/v3/deviceservice',
    { summary: 'changes device services', body: z.array(updateDeviceServiceRequest).nullable(), ...multi },
    ({ body, request }) =>
      each(body, 200, async (item) => {
        await update(room, item.service, correlationOf(request));
        return undefined;
      }),
  );
  rim.route(
    'get',
    '/api/v3/deviceservice/all',
    {
      summary: 'all device services, or those with all the `labels`',
      answer: multiDeviceServicesResponseSchema,
    },
    ({ query, response }) =>
      answerList(room, {
        response,
        query,
        field: 'services',
        filter: { kind: 'deviceservice', labels: labelsOf(query as Record<string, unknown>) },
      }),
  );
  rim.route(
    'get',
    '/api/v3/deviceservice/name/:name',
    { summary: 'a device service', params: nameParam, answer: deviceServiceResponseSchema },
    ({ params, response }) =>
      sendOne(response, 'service', room.entities.textByName('deviceservice', params.name), params.name),
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
