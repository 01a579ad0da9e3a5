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
  multiResponseSchema,
  name,
  stringifyJson,
  type DeviceProfile,
} from '@antirio/edgex-contracts';
import { answerList, correlationOf, labelsOf, sendOne, type Query } from './answers.ts';
import type { Filter } from './entities.ts';
import { profileOfUpload } from './profile-file.ts';
import { addProfile, changeProfile, checkChangeable, removeProfile } from './profiles.ts';
import { each, type Room } from './room.ts';

const nameParam = z.object({ name });

/** The profile as it is stored, and how many devices have it. */
function withDevices({ entities }: Room, doc: string): string {
  const profile = (JSON.parse(doc) as { name: string }).name;
  return `${doc.slice(0, -1)},"linkedDeviceCount":${entities.count({ kind: 'device', profile })}}`;
}

async function replaceProfile(room: Room, profile: DeviceProfile, by: string | undefined): Promise<void> {
  checkChangeable(room);
  await changeProfile(room, profile, by, () => profile);
}

function addWrites(rim: HttpRim, room: Room): void {
  const multi = { body: z.array(deviceProfileRequest).nullable(), answer: multiResponseSchema, status: 207 };
  rim.route(
    'post',
    '/api/v3/deviceprofile',
    { summary: 'adds device profiles', ...multi },
    ({ body, request }) => each(body, 201, (item) => addProfile(room, item.profile, correlationOf(request))),
  );
  rim.route(
    'put',
    '/api/v3/deviceprofile',
    { summary: 'replaces device profiles', ...multi },
    ({ body, request }) =>
      each(body, 200, async (item) => {
        await replaceProfile(room, item.profile, correlationOf(request));
        return undefined;
      }),
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

function basicInfoOf(room: Room, doc: string): string {
  const {
    deviceResources: _resources,
    deviceCommands: _commands,
    ...rest
  } = JSON.parse(doc) as DeviceProfile;
  return withDevices(room, stringifyJson(rest));
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
        filter,
        toText: (doc) => withDevices(room, doc),
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
        filter,
        toText: (doc) => basicInfoOf(room, doc),
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
      sendOne(response, 'profile', doc === undefined ? undefined : withDevices(room, doc), params.name);
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
      if (profile === undefined)
        throw new AntirioError('notFound', `profile ${params.profileName} does not exist`);
      const resource = profile.deviceResources?.find((candidate) => candidate.name === params.resourceName);
      sendOne(response, 'resource', resource && stringifyJson(resource), params.resourceName);
    },
  );
}
