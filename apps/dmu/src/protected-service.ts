import { z } from 'zod';
import { callJson, issuesOf, parseInput, readFileIfThere, stripComments, type HttpPeer } from '@antirio/host';
import { devAddrsOf, parseDevAddr } from '@antirio/lorawan';
import type { DevAddrRange } from '@antirio/service-contract';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import type { DemandBody, DemandRequest } from './demand.ts';
import type { DmuOptions } from './options.ts';

const device = z.looseObject({
  devEui: z.string(),
  name: z.string().optional(),
  /** Of one that joins the device service knows it. */
  devAddr: z.string().optional(),
});
type Device = z.output<typeof device>;
const description = z.looseObject({
  serviceName: z.string().default('device-lora'),
  devices: z.array(device),
  netId: z
    .string()
    .regex(/^[0-9a-fA-F]{6}$/)
    .default('000000'),
  devAddrRange: z.object({ first: z.string(), last: z.string() }).optional(),
});
type Description = z.output<typeof description>;

const deviceAnswer = z.looseObject({ device: z.looseObject({ devAddr: z.string().nullable() }) });

function readDescription(path: string): Description {
  const bytes = readFileIfThere(path);
  if (bytes === undefined)
    throw new AntirioError('badConfig', `dmu.protectedService.configFile: there is no ${path}`);
  let content: unknown;
  try {
    content = JSON.parse(stripComments(fromUtf8(bytes)));
  } catch (cause) {
    throw new AntirioError('badConfig', `${path} is no JSON`, { path }, cause);
  }
  const parsed = description.safeParse(content);
  if (!parsed.success) throw new AntirioError('badConfig', `${path}: ${issuesOf(parsed.error)}`, { path });
  return parsed.data;
}

const lower = (text: string): string => text.toLowerCase();

/** The address that a device has now. @throws AntirioError conflict where it has not joined yet */
async function addressOf(one: Device, deviceLora: HttpPeer | undefined): Promise<string> {
  if (one.devAddr !== undefined) return lower(one.devAddr);
  const { name = '', devEui } = one;
  if (deviceLora === undefined)
    throw new AntirioError(
      'badConfig',
      `${devEui} has no devAddr, and there is no device-lora to ask for it`,
    );
  const path = `/api/v3/lora/device/${encodeURIComponent(name)}`;
  const found = parseInput(deviceAnswer, await callJson(deviceLora, { path })).device.devAddr;
  if (found === null)
    throw new AntirioError('conflict', `${name} has not joined yet: a provider has to show that it hears it`);
  return lower(found);
}

/** What devices that join may be given; nothing where none of them joins. */
function rangeOf({ devices, netId, devAddrRange }: Description): DevAddrRange | undefined {
  if (devices.every(({ devAddr }) => devAddr !== undefined)) return undefined;
  const { first, last } = devAddrRange ?? devAddrsOf(Number.parseInt(netId, 16));
  return { first: parseDevAddr(first), last: parseDevAddr(last) };
}

/**
 * A demand with its service and sensors: as told, else as the description of the protected service says.
 * @throws AntirioError badConfig where neither names any; conflict where one has no address yet
 */
export async function completeDemand(
  { demandId: _id, ...body }: DemandBody,
  options: DmuOptions,
  deviceLora?: HttpPeer,
): Promise<DemandRequest> {
  const { service, devices, ...rest } = body;
  if (devices !== undefined) return { ...rest, service: service ?? 'device-lora', devices };
  if (options.protectedService === undefined)
    throw new AntirioError(
      'invalidInput',
      'devices: the demand names none, and dmu.protectedService is not configured',
    );
  const known = readDescription(options.protectedService.configFile);
  const sensors: { devEui: string; devAddr: string }[] = [];
  for (const one of known.devices)
    sensors.push({ devEui: lower(one.devEui), devAddr: await addressOf(one, deviceLora) });
  const range = rangeOf(known);
  const named = { ...rest, service: service ?? known.serviceName, devices: sensors };
  return range === undefined ? named : { ...named, devAddrRange: range };
}
