import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';

const answer = z.looseObject({
  devices: z.array(z.looseObject({ name: z.string(), devEui: z.string() })),
  mayAct: z.boolean(),
  why: z.string().default('it does not say why'),
});

async function ask(deviceLora: HttpPeer): Promise<z.output<typeof answer> | undefined> {
  try {
    return parseInput(answer, await callJson(deviceLora, { path: '/api/v3/lora/chirpstack' }));
  } catch (error) {
    // it has no network server besides itself
    if (isAntirioError(error, 'notFound')) return undefined;
    throw new AntirioError(
      'unavailable',
      `device-lora does not tell whether a network server has the devices (${describeError(error)}): ask again when it is up`,
    );
  }
}

/**
 * A provider that acts for devices takes the place of their network server: one that goes on by itself would act against it.
 * @param deviceLora undefined where this edge has none
 * @throws AntirioError forbidden with what to change; unavailable where it cannot be told
 */
export async function checkNetworkServer(
  devices: readonly { readonly devEui: string }[],
  deviceLora: HttpPeer | undefined,
): Promise<void> {
  if (devices.length === 0 || deviceLora === undefined) return;
  const told = await ask(deviceLora);
  if (told === undefined || told.mayAct) return;
  const wanted = new Set(devices.map(({ devEui }) => devEui.toLowerCase()));
  const theirs = told.devices.filter(({ devEui }) => wanted.has(devEui.toLowerCase()));
  if (theirs.length === 0) return;
  const names = theirs.slice(0, 4).map(({ name }) => name);
  const more = theirs.length > names.length ? ` and ${theirs.length - names.length} more` : '';
  throw new AntirioError(
    'forbidden',
    `a contract lets a neighbour act for ${names.join(', ')}${more}, which it may not: ${told.why}`,
  );
}
