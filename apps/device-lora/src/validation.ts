import { z } from 'zod';
import {
  errorEnvelope,
  makeEnvelope,
  parseEnvelope,
  responseTopic,
  validateDeviceTopic,
} from '@antirio/edgex-contracts';
import { isAntirioError } from '@antirio/kernel';
import { parseInput, type Bus, type Subscription } from '@antirio/host';
import { parseDevAddr, parseDevEui } from '@antirio/lorawan';

const requestSchema = z.looseObject({
  device: z.looseObject({
    protocols: z.looseObject({
      lorawan: z.looseObject({ devEUI: z.string(), devAddr: z.string().optional() }),
    }),
  }),
});

/** What is wrong with a device that core-metadata wants to give us; undefined when nothing is. */
export function deviceFault(payload: unknown): string | undefined {
  try {
    const { lorawan } = parseInput(requestSchema, payload).device.protocols;
    parseDevEui(lorawan.devEUI);
    if (lorawan.devAddr !== undefined) parseDevAddr(lorawan.devAddr);
    return undefined;
  } catch (error) {
    if (isAntirioError(error)) return error.message;
    throw error;
  }
}

/** Answers core-metadata's question whether a device is right (EdgeX: device validation). */
export async function answerValidations(
  bus: Bus,
  prefix: string,
  serviceName: string,
): Promise<Subscription> {
  return bus.subscribe(prefix + validateDeviceTopic(serviceName), async (_topic, bytes) => {
    const request = parseEnvelope(bytes);
    const { requestID, correlationID } = request;
    const fault = deviceFault(request.payload);
    const fields = { correlationID, requestID };
    const answer = fault === undefined ? makeEnvelope(null, fields) : errorEnvelope(fault, fields);
    await bus.publish(prefix + responseTopic(serviceName, requestID), answer);
  });
}
