import { z } from 'zod';

const address = z.union([
  z.strictObject({ url: z.string() }),
  z.strictObject({ socket: z.string(), username: z.string().optional(), password: z.string().optional() }),
]);
const room = z.union([z.strictObject({ url: z.string() }), z.strictObject({ socket: z.string() })]);

/** `config.json` of the pre-processing service: the rim's words for all around it, the customer's for the drone. */
export const serviceOptions = z.looseObject({
  serviceName: z.string().min(1),
  bus: address,
  /** Of its own part of the bus: ends with a slash, or is empty. */
  prefix: z.string(),
  /** Told apart from another version of the service. */
  instance: z.string().optional(),
  north: z.strictObject({ coreData: room, coreMetadata: room }),
  listen: z.strictObject({ socket: z.string() }),
  dataDir: z.string().min(1),
  drone: z.strictObject({
    name: z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/),
    /** Frames of another flight are refused. */
    flight: z.uuid(),
    /** Frames that are worked on at once; what comes besides is told to come again. */
    atOnce: z.int().min(1).max(64).default(8),
  }),
});
export type ServiceOptions = z.output<typeof serviceOptions>;

const hexKey = z.string().regex(/^[0-9a-f]{64}$/);
/** What the service is given when it is activated: the keys of the contract. */
export const serviceSecrets = z.looseObject({ values: z.looseObject({ droneKey: hexKey }) });
