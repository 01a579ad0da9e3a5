import { z } from 'zod';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';
import {
  companions,
  configuredActivation,
  inNamesOfFigure,
  inWordsOfNow,
  namedVolumes,
  volumesIn,
} from '@antirio/service-contract';

/** Of the JSON text: it travels as one block. */
export const MAX_CONFIGURATION_BYTES = 256 << 10;

const text = (max: number) => z.string().max(max);
const PORTS = /^$|^\d{1,5}(?::\d{1,5})?(?:\/(?:tcp|udp))?(?: *, *\d{1,5}(?::\d{1,5})?(?:\/(?:tcp|udp))?)*$/;

/**
 * configuration.json of a migrating service (thesis, Fig. 3.13): all fields are strings, as they are there. Further fields
 * pass unchanged.
 */
export const configurationSchema = z.preprocess(
  inNamesOfFigure,
  z
    .looseObject({
      service_customer_id: text(128).describe('edge id'),
      serviceName: text(128).min(1),
      activationEvent: text(64)
        .min(1)
        .describe('`offline`, `overload`, `schedule`, `manual`, or several with commas'),
      event: z.looseObject({
        interval: z
          .string()
          .regex(/^[1-9]\d{0,5}$/, 'must be a number of seconds, as a string')
          .describe('seconds of silence before suspicion'),
        ip: text(2048).default('').describe('where the customer can be probed'),
      }),
      ports: text(256).regex(PORTS, 'must be ports, as in "1880" or "8080:80/tcp, 1700/udp"').default(''),
      volumes: text(2048).default(''),
      depends_on: z.array(text(128)).max(64).default([]),
      services: companions.optional().describe('further images of the contract'),
      namedVolumes: namedVolumes.optional().describe('volumes whose state moves with the service'),
      miner_address: text(128).default('').describe('who holds the image'),
    })
    .superRefine((configuration, context) => {
      const { error } = configuredActivation.safeParse(configuration);
      for (const { message, path } of error?.issues ?? [])
        context.addIssue({ code: 'custom', message, path });
      try {
        volumesIn(configuration);
      } catch (cause) {
        context.addIssue({ code: 'custom', message: describeError(cause) });
      }
    }),
);

export type Configuration = z.output<typeof configurationSchema>;

/** @throws AntirioError invalidInput naming each wrong field. */
export function parseConfiguration(value: unknown): Configuration {
  const parsed = configurationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', `configuration.json: ${issuesOf(parsed.error)}`);
}

/** One that is pinned. @throws AntirioError invalidInput | tooLarge */
export function readConfiguration(bytes: Uint8Array): Configuration {
  if (bytes.length > MAX_CONFIGURATION_BYTES)
    throw new AntirioError('tooLarge', `configuration.json has over ${MAX_CONFIGURATION_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'configuration.json is no JSON', {}, cause);
  }
  return parseConfiguration(inWordsOfNow(value));
}
