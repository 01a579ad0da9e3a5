import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import {
  addDeviceCommandRequest,
  addDeviceResourceRequest,
  baseResponse,
  baseResponseSchema,
  multiResponseSchema,
  name,
  updateBasicInfoRequest,
  updateDeviceCommandRequest,
  updateDeviceResourceRequest,
  updateProfileTagsRequest,
  type DeviceProfile,
} from '@antirio/edgex-contracts';
import { correlationOf } from './answers.ts';
import { changeProfile, checkChangeable, checkDeletable, checkUnused } from './profiles.ts';
import { each, patched, type Room } from './room.ts';

interface Part {
  readonly name: string;
}

/** @throws AntirioError conflict */
function withOne<P extends Part>(parts: readonly P[] = [], added: P): P[] {
  if (parts.some((part) => part.name === added.name))
    throw new AntirioError('conflict', `${added.name} already exists in the device profile`);
  return [...parts, added];
}

/** @throws AntirioError notFound */
function withChanged<P extends Part>(
  parts: readonly P[] = [],
  partName: string,
  change: (part: P) => P,
): P[] {
  if (!parts.some((part) => part.name === partName))
    throw new AntirioError('notFound', `${partName} does not exist in the device profile`);
  return parts.map((part) => (part.name === partName ? change(part) : part));
}

/** @throws AntirioError notFound */
function without<P extends Part>(parts: readonly P[] = [], partName: string): P[] {
  if (!parts.some((part) => part.name === partName))
    throw new AntirioError('notFound', `${partName} does not exist in the device profile`);
  return parts.filter((part) => part.name !== partName);
}

const multi = { answer: multiResponseSchema, status: 207 };

function addResources(rim: HttpRim, room: Room): void {
  rim.route(
    'post',
    '/api/v3/deviceprofile/resource',
    { summary: 'adds resources to profiles', body: z.array(addDeviceResourceRequest).nullable(), ...multi },
    ({ body, request }) =>
      each(body, 201, async ({ profileName, resource }) => {
        checkChangeable(room);
        await changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
          ...before,
          deviceResources: withOne(before.deviceResources, resource),
        }));
        return undefined;
      }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceprofile/resource',
    {
      summary: 'changes resources of profiles',
      body: z.array(updateDeviceResourceRequest).nullable(),
      ...multi,
    },
    ({ body, request }) =>
      each(body, 200, async ({ profileName, resource }) => {
        await changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
          ...before,
          deviceResources: withChanged(before.deviceResources, resource.name, (part) =>
            patched(part, resource),
          ),
        }));
        return undefined;
      }),
  );
}

function addCommands(rim: HttpRim, room: Room): void {
  rim.route(
    'post',
    '/api/v3/deviceprofile/deviceCommand',
    { summary: 'adds commands to profiles', body: z.array(addDeviceCommandRequest).nullable(), ...multi },
    ({ body, request }) =>
      each(body, 201, async ({ profileName, deviceCommand }) => {
        checkChangeable(room);
        await changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
          ...before,
          deviceCommands: withOne(before.deviceCommands, deviceCommand),
        }));
        return undefined;
      }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceprofile/deviceCommand',
    {
      summary: 'changes commands of profiles',
      body: z.array(updateDeviceCommandRequest).nullable(),
      ...multi,
    },
    ({ body, request }) =>
      each(body, 200, async ({ profileName, deviceCommand }) => {
        await changeProfile(room, { name: profileName }, correlationOf(request), (before) => ({
          ...before,
          deviceCommands: withChanged(before.deviceCommands, deviceCommand.name, (part) =>
            patched(part, deviceCommand),
          ),
        }));
        return undefined;
      }),
  );
}

function addDeletes(rim: HttpRim, room: Room): void {
  const remove = async (
    profile: string,
    by: string | undefined,
    change: (before: DeviceProfile) => DeviceProfile,
  ) => {
    checkDeletable(room);
    checkChangeable(room);
    await changeProfile(room, { name: profile }, by, (before) => {
      checkUnused(room, profile, 'change the device profile');
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
        deviceResources: without(before.deviceResources, params.resourceName),
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
        deviceCommands: without(before.deviceCommands, params.commandName),
      })),
  );
}

type Tagged = Part & { readonly tags?: Record<string, unknown> | undefined };

/** @throws AntirioError notFound */
function withTags<P extends Tagged>(
  parts: readonly P[] | undefined,
  given: readonly Required<Tagged>[] = [],
): P[] | undefined {
  if (given.length === 0) return parts === undefined ? undefined : [...parts];
  return given.reduce<P[]>(
    (known, { name: partName, tags }) =>
      withChanged(known, partName, (part) => ({ ...part, tags: { ...part.tags, ...tags } })),
    [...(parts ?? [])],
  );
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
      body: z.array(updateBasicInfoRequest).nullable(),
      ...multi,
    },
    ({ body, request }) =>
      each(body, 200, async ({ basicinfo }) => {
        await changeProfile(room, basicinfo, correlationOf(request), (before) => patched(before, basicinfo));
        return undefined;
      }),
  );
  rim.route(
    'patch',
    '/api/v3/deviceprofile/name/:name/tags',
    {
      summary: 'adds tags to resources and commands of a profile',
      params: z.object({ name }),
      body: updateProfileTagsRequest,
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
