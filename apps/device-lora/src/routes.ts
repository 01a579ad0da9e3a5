import { z } from 'zod';
import {
  API_VERSION,
  eventToJson,
  stringifyJson,
  type DeviceProfile,
  type DeviceResource,
  type Reading,
} from '@antirio/edgex-contracts';
import { AntirioError, millisToOrigin, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import type { DevAddr } from '@antirio/lorawan';
import { describeDownlink } from './downlink/describe.ts';
import { downlinkPayload } from './downlink/payload.ts';
import type { DownlinkSender } from './downlink/sender.ts';
import type { Downlink, DownlinkStore } from './downlink/store.ts';
import type { DeviceOptions } from './options.ts';

export interface RoutePorts {
  readonly devices: readonly DeviceOptions[];
  readonly profileOf: (name: string) => DeviceProfile | undefined;
  /** The newest reading of each resource. */
  readonly latest: (device: string, resource: string) => Reading | undefined;
  readonly sender: DownlinkSender;
  readonly downlinks: DownlinkStore;
  /** @throws AntirioError where the service may not send now. */
  readonly checkMaySend: (device: DeviceOptions) => void;
  /** The address that the device has now. */
  readonly devAddrOf: (device: DeviceOptions) => DevAddr | undefined;
  readonly status: () => unknown;
  readonly clock: Clock;
  readonly random: Random;
}

const STATE_RESOURCE = 'downlinkState';
const SHOWN = 10;

const params = z.object({ name: z.string().min(1), command: z.string().min(1) });

interface Named {
  readonly device: DeviceOptions;
  readonly profile: DeviceProfile;
}

function find({ devices, profileOf }: RoutePorts, name: string): Named {
  const device = devices.find((candidate) => candidate.name === name);
  if (device === undefined) throw new AntirioError('notFound', `no device ${name}`);
  const profile = profileOf(device.profileName);
  if (profile === undefined) throw new AntirioError('notFound', `no profile ${device.profileName}`);
  return { device, profile };
}

/** The resources that a command names: its own, or those of a device command. */
function resourcesOf({ device, profile }: Named, command: string): DeviceResource[] {
  const resources = profile.deviceResources ?? [];
  const operations = profile.deviceCommands?.find(({ name }) => name === command)?.resourceOperations;
  const names = operations?.map(({ deviceResource }) => deviceResource) ?? [command];
  const found = names.map((name) => resources.find((resource) => resource.name === name));
  if (found.some((resource) => resource === undefined))
    throw new AntirioError('notFound', `device ${device.name} has no command ${command}`);
  return found.filter((resource) => resource !== undefined);
}

function readOne(ports: RoutePorts, { device }: Named, resource: DeviceResource): Reading {
  const { name: resourceName, properties } = resource;
  if (!properties.readWrite.includes('R'))
    throw new AntirioError('methodNotAllowed', `${resourceName} cannot be read`);
  if (resourceName === STATE_RESOURCE) {
    const downlinks = ports.downlinks.latest(device.devEui, SHOWN).map(describeDownlink);
    const origin = millisToOrigin(ports.clock.now());
    const { name: deviceName, profileName } = device;
    return {
      origin,
      deviceName,
      resourceName,
      profileName,
      valueType: 'Object',
      kind: 'object',
      objectValue: { downlinks },
    };
  }
  const reading = ports.latest(device.name, resourceName);
  if (reading === undefined)
    throw new AntirioError('unavailable', `${device.name} has not sent ${resourceName} since the start`);
  return reading;
}

function writeOne(ports: RoutePorts, { device }: Named, resource: DeviceResource, value: unknown): Downlink {
  if (!resource.properties.readWrite.includes('W'))
    throw new AntirioError('methodNotAllowed', `${resource.name} cannot be written`);
  if (value === undefined) throw new AntirioError('invalidInput', `no value for ${resource.name}`);
  const content = downlinkPayload(resource, value);
  const { devEui } = device;
  return ports.sender.queue({ devEui, resource: resource.name, ...content }, ports.devAddrOf(device), {
    replaces: true,
  });
}

/** EdgeX's device service API, as far as it is about commands. */
export function addRoutes(rim: HttpRim, ports: RoutePorts): void {
  const path = '/api/v3/device/name/:name/:command';
  rim.route('get', path, { summary: 'the newest readings, or the state of downlinks', params }, (input) => {
    const named = find(ports, input.params.name);
    const readings = resourcesOf(named, input.params.command).map((resource) =>
      readOne(ports, named, resource),
    );
    const { name: deviceName, profileName } = named.device;
    const origin = readings[0]?.origin ?? 0n;
    const id = uuidV4(ports.random);
    const event = {
      apiVersion: API_VERSION,
      id,
      deviceName,
      profileName,
      sourceName: input.params.command,
      origin,
      readings,
    };
    const answer = { apiVersion: API_VERSION, statusCode: 200, event: eventToJson(event) };
    input.response.type('application/json').send(stringifyJson(answer));
  });
  const body = z.record(z.string(), z.unknown());
  rim.route('put', path, { summary: 'queues a downlink for each value', params, body }, (input) => {
    const named = find(ports, input.params.name);
    ports.checkMaySend(named.device);
    const resources = resourcesOf(named, input.params.command);
    const queued = resources.map((resource) => writeOne(ports, named, resource, input.body[resource.name]));
    return { apiVersion: API_VERSION, statusCode: 200, downlinks: queued.map(describeDownlink) };
  });
  rim.route('get', '/api/v3/status', { summary: 'what the service tells on the bus' }, () => ports.status());
}
