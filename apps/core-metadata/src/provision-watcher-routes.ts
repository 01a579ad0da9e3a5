import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addProvisionWatcherRequest,
  baseResponse,
  baseResponseSchema,
  multiProvisionWatchersResponseSchema,
  name,
  provisionWatcherResponseSchema,
  updateProvisionWatcherRequest,
  type ProvisionWatcher,
  type UpdateProvisionWatcher,
} from '@antirio/edgex-contracts';
import { answerList, correlationOf, labelsOf, sendOne, type Query } from './answers.ts';
import type { Entities, Filter } from './entities.ts';
import { each, manyOf } from './items.ts';
import { find, missing, patched, stored, type Room } from './room.ts';

const nameParam = z.object({ name });

/** @throws AntirioError notFound when its service, or its profile if it names one, is not there. */
function checkReferences(entities: Entities, watcher: ProvisionWatcher): void {
  if (entities.textByName('deviceservice', watcher.serviceName) === undefined)
    throw new AntirioError('notFound', `device service '${watcher.serviceName}' does not exists`);
  const { profileName = '' } = watcher.discoveredDevice;
  if (profileName !== '' && entities.textByName('deviceprofile', profileName) === undefined)
    throw new AntirioError('notFound', `device profile '${profileName}' does not exists`);
}

async function add(
  { commit, entities, ports, tell }: Room,
  watcher: ProvisionWatcher,
  by?: string,
): Promise<{ id: string }> {
  const entity = stored(ports, watcher);
  await commit.run(0, () => {
    checkReferences(entities, watcher);
    entities.add('provisionwatcher', entity);
  });
  tell({ kind: 'provisionwatcher', action: 'add', entity }, by);
  return { id: entity.id };
}

async function update(
  { commit, entities, ports, tell }: Room,
  dto: UpdateProvisionWatcher,
  by?: string,
): Promise<undefined> {
  const { before, after } = await commit.run(0, () => {
    const found = find(entities, 'provisionwatcher', dto);
    const discoveredDevice = patched(found.discoveredDevice, dto.discoveredDevice ?? {});
    const changed = stored(ports, { ...patched(found, dto), discoveredDevice }, found);
    checkReferences(entities, changed);
    entities.replace('provisionwatcher', changed);
    return { before: found, after: changed };
  });
  tell({ kind: 'provisionwatcher', action: 'update', entity: after, owners: [before.serviceName] }, by);
}

/** @throws AntirioError notFound */
async function remove({ commit, entities, tell }: Room, watcher: string, by?: string): Promise<void> {
  const entity = await commit.run(0, () => {
    const found = find(entities, 'provisionwatcher', { name: watcher });
    entities.remove('provisionwatcher', watcher);
    return found;
  });
  tell({ kind: 'provisionwatcher', action: 'delete', entity }, by);
}

function addWrites(rim: HttpRim, room: Room): void {
  rim.route(
    'post',
    '/api/v3/provisionwatcher',
    {
      summary: 'adds provision watchers',
      ...manyOf(addProvisionWatcherRequest, 'AddProvisionWatcherRequest'),
    },
    ({ body, request }) =>
      each(body, { status: 201, handle: (item) => add(room, item.provisionwatcher, correlationOf(request)) }),
  );
  rim.route(
    'patch',
    '/api/v3/provisionwatcher',
    {
      summary: 'changes provision watchers',
      ...manyOf(updateProvisionWatcherRequest, 'UpdateProvisionWatcherRequest'),
    },
    ({ body, request }) =>
      each(body, {
        status: 200,
        handle: (item) => update(room, item.provisionwatcher, correlationOf(request)),
      }),
  );
  rim.route(
    'delete',
    '/api/v3/provisionwatcher/name/:name',
    { summary: 'deletes a provision watcher', params: nameParam, answer: baseResponseSchema },
    async ({ params, request }) => {
      await remove(room, params.name, correlationOf(request));
      return baseResponse(200);
    },
  );
}

export function addProvisionWatcherRoutes(rim: HttpRim, room: Room): void {
  addWrites(rim, room);
  const lists: readonly (readonly [string, string, (name: string, query: Query) => Partial<Filter>])[] = [
    [
      'all',
      'all provision watchers, or those with all the `labels`',
      (_, query) => ({ labels: labelsOf(query) }),
    ],
    ['service/name/:name', 'provision watchers of a device service', (service) => ({ service })],
    ['profile/name/:name', 'provision watchers of a profile', (profile) => ({ profile })],
  ];
  for (const [path, summary, filterOf] of lists)
    rim.route(
      'get',
      `/api/v3/provisionwatcher/${path}`,
      { summary, params: z.object({ name: name.optional() }), answer: multiProvisionWatchersResponseSchema },
      ({ params, query, response }) => {
        const filter = { kind: 'provisionwatcher', ...filterOf(params.name ?? '', query as Query) } as const;
        answerList(room, {
          response,
          query,
          field: 'provisionWatchers',
          find: (page) => room.entities.list(filter, page),
        });
      },
    );
  rim.route(
    'get',
    '/api/v3/provisionwatcher/name/:name',
    { summary: 'a provision watcher', params: nameParam, answer: provisionWatcherResponseSchema },
    ({ params, response }) =>
      sendOne(
        response,
        'provisionWatcher',
        room.entities.textByName('provisionwatcher', params.name),
        missing('provisionwatcher', params),
      ),
  );
}
