import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addDeviceCommandRequest,
  addDeviceResourceRequest,
  baseResponse,
  baseResponseSchema,
  name,
  updateBasicInfoRequest,
  updateDeviceCommandRequest,
  updateDeviceResourceRequest,
  updateProfileTagsRequest,
  type DeviceProfile,
} from '@antirio/edgex-contracts';
import { correlationOf } from './answers.ts';
import { each, manyOf, refusedAs } from './items.ts';
import { changeProfile, checkChangeable, checkUnits, checkUnused } from './profiles.ts';
import { patched, type Room } from './room.ts';

interface Part {
  readonly name: string;
}

const absent = (what: string): AntirioError => new AntirioError('notFound', `${what} not found`);

/** @throws AntirioError notFound */
function withChanged<P extends Part>(
  what: string,
  parts: readonly P[] = [],
  { name: partName, ...update }: Part,
): P[] {
  if (!parts.some((part) => part.name === partName)) throw absent(what);
  return parts.map((part) => (part.name === partName ? patched(part, update) : part));
}

/** @throws AntirioError notFound */
function without<P extends Part>(what: string, parts: readonly P[] = [], partName: string): P[] {
  if (!parts.some((part) => part.name === partName)) throw absent(what);
  return parts.filter((part) => part.name !== partName);
}

const RESOURCE = 'device resource';
const COMMAND = 'device command';

/** Adding takes nothing away from stored events, so that it is allowed under strict profile changes, too. */
function addResources(rim: HttpRim, room: Room): void {
  rim.route(
    'post',
    '/api/v3/deviceprofile/resource',
    {
      summary: 'adds resources to profiles',
      ...manyOf(addDeviceResourceRequest, 'AddDeviceResourceRequest'),
    },
    ({ body, request }) =>
      each(body, {
        status: 201,
        handle: ({ profileName, resource }) =>
          changeProfile(room, { name: profileName }, correlationOf(request), (before) => {
            checkUnits(room, [resource]);
            return { ...before, deviceResources: [...(before.deviceResources ?? []), resource] };
          }),
      }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceprofile/resource',
    {
      summary: 'changes resources of profiles',
      ...manyOf(updateDeviceResourceRequest, 'UpdateDeviceResourceRequest'),
    },
    ({ body, request }) =>
      each(body, {
        status: 200,
        handle: ({ profileName, resource }) =>
          changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
            ...before,
            deviceResources: withChanged(RESOURCE, before.deviceResources, resource),
          })),
      }),
  );
}

function addCommands(rim: HttpRim, room: Room): void {
  rim.route(
    'post',
    '/api/v3/deviceprofile/deviceCommand',
    { summary: 'adds commands to profiles', ...manyOf(addDeviceCommandRequest, 'AddDeviceCommandRequest') },
    ({ body, request }) =>
      each(body, {
        status: 201,
        handle: ({ profileName, deviceCommand }) =>
          changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
            ...before,
            deviceCommands: [...(before.deviceCommands ?? []), deviceCommand],
          })),
      }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceprofile/deviceCommand',
    {
      summary: 'changes commands of profiles',
      ...manyOf(updateDeviceCommandRequest, 'UpdateDeviceCommandRequest'),
    },
    ({ body, request }) =>
      each(body, {
        status: 200,
        handle: ({ profileName, deviceCommand }) =>
          changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
            ...before,
            deviceCommands: withChanged(COMMAND, before.deviceCommands, deviceCommand),
          })),
      }),
  );
}

function addDeletes(rim: HttpRim, room: Room): void {
  const remove = async (
    profile: string,
    by: string | undefined,
    change: (before: DeviceProfile) => DeviceProfile,
  ) => {
    checkChangeable(room);
    await changeProfile(room, { name: profile }, by, (before) => {
      checkUnused(room, profile, 'update');
      return change(before);
    });
    return baseResponse(200);
  };
  rim.route(
    'delete',
    '/api/v3/deviceprofile/name/:name/resource/:resourceName',
    {
      summary: 'takes a resource out of a profile that nothing refers to',
      params: z.object({ name, resourceName: name }),
      answer: baseResponseSchema,
    },
    ({ params, request }) =>
      remove(params.name, correlationOf(request), (before) => ({
        ...before,
        deviceResources: without(RESOURCE, before.deviceResources, params.resourceName),
      })),
  );
  rim.route(
    'delete',
    '/api/v3/deviceprofile/name/:name/deviceCommand/:commandName',
    {
      summary: 'takes a command out of a profile that nothing refers to',
      params: z.object({ name, commandName: name }),
      answer: baseResponseSchema,
    },
    ({ params, request }) =>
      remove(params.name, correlationOf(request), (before) => ({
        ...before,
        deviceCommands: without(COMMAND, before.deviceCommands, params.commandName),
      })),
  );
}

type Tags = Readonly<Record<string, unknown>>;

const isTags = (value: unknown): value is Tags =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is given over what was there, deep; null takes a tag away. */
function merged(before: Tags, given: Tags): Tags {
  const tags = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(given)) {
    const known = tags.get(key);
    if (value === null) tags.delete(key);
    else tags.set(key, isTags(known) && isTags(value) ? merged(known, value) : value);
  }
  return Object.fromEntries(tags);
}

type Tagged = Part & { readonly tags?: Record<string, unknown> | undefined };

/** Names that the profile has not are passed over, as EdgeX does. */
function withTags<P extends Tagged>(
  parts: readonly P[] | undefined,
  given: readonly { readonly name: string; readonly tags: Tags }[] = [],
): P[] | undefined {
  const tags = new Map(given.map((update) => [update.name, update.tags]));
  return parts?.map((part) => {
    const update = tags.get(part.name);
    return update === undefined ? part : { ...part, tags: merged(part.tags ?? {}, update) };
  });
}

export function addProfilePartRoutes(rim: HttpRim, room: Room): void {
  addResources(rim, room);
  addCommands(rim, room);
  addDeletes(rim, room);
  rim.route(
    'patch',
    '/api/v3/deviceprofile/basicinfo',
    {
      summary: 'changes what profiles say of themselves',
      ...manyOf(updateBasicInfoRequest, 'DeviceProfileBasicInfoRequest'),
    },
    ({ body, request }) =>
      each(body, {
        status: 200,
        handle: ({ basicinfo }) =>
          changeProfile(room, basicinfo, correlationOf(request), (before) => patched(before, basicinfo)),
      }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceprofile/name/:name/tags',
    {
      summary: 'adds tags to resources and commands of a profile',
      params: z.object({ name }),
      body: updateProfileTagsRequest,
      ...refusedAs('DeviceProfileTagsRequest'),
      answer: baseResponseSchema,
    },
    async ({ params, body, request }) => {
      await changeProfile(room, params, correlationOf(request), (before) => ({
        ...before,
        deviceResources: withTags(before.deviceResources, body.deviceResources),
        deviceCommands: withTags(before.deviceCommands, body.deviceCommands),
      }));
      return baseResponse(200, body);
    },
  );
}
