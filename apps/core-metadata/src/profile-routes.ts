import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  baseResponse,
  baseResponseSchema,
  baseWithIdResponseSchema,
  deviceProfileRequest,
  deviceProfileResponseSchema,
  deviceResourceResponseSchema,
  multiDeviceProfilesResponseSchema,
  name,
  stringifyJson,
  type DeviceProfile,
} from '@antirio/edgex-contracts';
import { answerList, correlationOf, labelsOf, sendOne, type Query } from './answers.ts';
import type { Row } from './device-tree.ts';
import type { Filter } from './entities.ts';
import { each, manyOf } from './items.ts';
import { profileOfUpload } from './profile-file.ts';
import { addProfile, changeProfile, checkChangeable, checkUnits, removeProfile } from './profiles.ts';
import { missing, type Room } from './room.ts';

const nameParam = z.object({ name });

/** The profile as it is stored, and how many devices have it. */
function withDevices({ entities }: Room, { name: profile, doc }: Row): string {
  return `${doc.slice(0, -1)},"linkedDeviceCount":${entities.count({ kind: 'device', profile })}}`;
}

/** The one of its name. @throws AntirioError notFound | invalidInput; conflict when its id is another's. */
function replaceProfile(room: Room, profile: DeviceProfile, by: string | undefined): Promise<undefined> {
  return changeProfile(room, { name: profile.name }, by, () => {
    checkUnits(room, profile.deviceResources);
    const { id = '', name: own } = profile;
    const other = id === '' ? undefined : room.entities.byId('deviceprofile', id.toLowerCase());
    if (other !== undefined && other.name !== own)
      throw new AntirioError('conflict', `device profile id ${id} already exists`);
    return profile;
  });
}

function addWrites(rim: HttpRim, room: Room): void {
  const many = manyOf(deviceProfileRequest, 'DeviceProfileRequest');
  rim.route(
    'post',
    '/api/v3/deviceprofile',
    { summary: 'adds device profiles', ...many },
    ({ body, request }) =>
      each(body, { status: 201, handle: (item) => addProfile(room, item.profile, correlationOf(request)) }),
  );
  rim.route(
    'put',
    '/api/v3/deviceprofile',
    { summary: 'replaces device profiles', ...many },
    ({ body, request }) => {
      checkChangeable(room);
      return each(body, {
        status: 200,
        handle: (item) => replaceProfile(room, item.profile, correlationOf(request)),
      });
    },
  );
  rim.route(
    'post',
    '/api/v3/deviceprofile/uploadfile',
    {
      summary: 'adds the profile of a YAML file (multipart, field `file`)',
      answer: baseWithIdResponseSchema,
      status: 201,
    },
    async ({ body, request }) => {
      const profile = await profileOfUpload(body, request.get('content-type'));
      return { ...baseResponse(201), ...(await addProfile(room, profile, correlationOf(request))) };
    },
  );
  rim.route(
    'put',
    '/api/v3/deviceprofile/uploadfile',
    { summary: 'replaces the profile of a YAML file (multipart, field `file`)', answer: baseResponseSchema },
    async ({ body, request }) => {
      checkChangeable(room);
      await replaceProfile(
        room,
        await profileOfUpload(body, request.get('content-type')),
        correlationOf(request),
      );
      return baseResponse(200);
    },
  );
  rim.route(
    'delete',
    '/api/v3/deviceprofile/name/:name',
    { summary: 'deletes a profile that nothing refers to', params: nameParam, answer: baseResponseSchema },
    async ({ params, request }) => {
      await removeProfile(room, params.name, correlationOf(request));
      return baseResponse(200);
    },
  );
}

const listParams = z.object({ manufacturer: name.optional(), model: name.optional() });

function filterOf({ manufacturer, model }: z.output<typeof listParams>, query: Query): Filter {
  return {
    kind: 'deviceprofile',
    labels: labelsOf(query),
    ...(manufacturer === undefined ? {} : { manufacturer }),
    ...(model === undefined ? {} : { model }),
  };
}

function basicInfoOf(room: Room, { name: profile, doc }: Row): string {
  const {
    deviceResources: _resources,
    deviceCommands: _commands,
    ...rest
  } = JSON.parse(doc) as DeviceProfile;
  return withDevices(room, { name: profile, doc: stringifyJson(rest) });
}

function addLists(rim: HttpRim, room: Room): void {
  const spec = { params: listParams, answer: multiDeviceProfilesResponseSchema };
  const lists: readonly (readonly [string, string])[] = [
    ['all', 'all device profiles, or those with all the `labels`'],
    ['manufacturer/:manufacturer', 'device profiles of a manufacturer'],
    ['model/:model', 'device profiles of a model'],
    ['manufacturer/:manufacturer/model/:model', 'device profiles of a manufacturer and model'],
  ];
  for (const [path, summary] of lists)
    rim.route('get', `/api/v3/deviceprofile/${path}`, { summary, ...spec }, ({ params, query, response }) => {
      const filter = filterOf(params, query as Query);
      answerList(room, {
        response,
        query,
        field: 'profiles',
        find: (page) => room.entities.list(filter, page),
        toText: (row) => withDevices(room, row),
      });
    });
  rim.route(
    'get',
    '/api/v3/deviceprofile/basicinfo/all',
    { summary: 'device profiles without their resources and commands', ...spec },
    ({ query, response }) => {
      const filter = filterOf({}, query as Query);
      answerList(room, {
        response,
        query,
        field: 'profiles',
        find: (page) => room.entities.list(filter, page),
        toText: (row) => basicInfoOf(room, row),
      });
    },
  );
}

export function addProfileRoutes(rim: HttpRim, room: Room): void {
  addWrites(rim, room);
  addLists(rim, room);
  rim.route(
    'get',
    '/api/v3/deviceprofile/name/:name',
    { summary: 'a device profile', params: nameParam, answer: deviceProfileResponseSchema },
    ({ params, response }) => {
      const doc = room.entities.textByName('deviceprofile', params.name);
      const text = doc === undefined ? undefined : withDevices(room, { name: params.name, doc });
      sendOne(response, 'profile', text, missing('deviceprofile', params));
    },
  );
  rim.route(
    'get',
    '/api/v3/deviceresource/profile/:profileName/resource/:resourceName',
    {
      summary: 'a resource of a profile',
      params: z.object({ profileName: name, resourceName: name }),
      answer: deviceResourceResponseSchema,
    },
    ({ params, response }) => {
      const profile = room.entities.byName('deviceprofile', params.profileName);
      if (profile === undefined) throw missing('deviceprofile', { name: params.profileName });
      const resource = profile.deviceResources?.find((candidate) => candidate.name === params.resourceName);
      const absent = new AntirioError('notFound', `resource ${params.resourceName} not exists`);
      sendOne(response, 'resource', resource && stringifyJson(resource), absent);
    },
  );
}
