import { z } from 'zod';
import { issuesOf, readFileIfThere, stripComments } from '@antirio/host';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import type { DemandBody, DemandRequest } from './demand.ts';
import type { DmuOptions } from './options.ts';

const device = z.looseObject({ devEui: z.string(), devAddr: z.string() });
const description = z.looseObject({
  serviceName: z.string().default('device-lora'),
  devices: z.array(device),
});

function readDescription(path: string): z.output<typeof description> {
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

/**
 * A demand with its service and sensors: as told, else as the description of the protected service says.
 * @throws AntirioError badConfig where neither names any
 */
export function completeDemand({ demandId: _id, ...body }: DemandBody, options: DmuOptions): DemandRequest {
  const { service, devices, ...rest } = body;
  if (devices !== undefined) return { ...rest, service: service ?? 'device-lora', devices };
  if (options.protectedService === undefined)
    throw new AntirioError(
      'invalidInput',
      'devices: the demand names none, and dmu.protectedService is not configured',
    );
  const known = readDescription(options.protectedService.configFile);
  const sensors = known.devices.map(({ devEui, devAddr }) => ({
    devEui: lower(devEui),
    devAddr: lower(devAddr),
  }));
  return { ...rest, service: service ?? known.serviceName, devices: sensors };
}
