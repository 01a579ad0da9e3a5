import { z } from 'zod';
import { volumesIn, type ContractVolumes } from '@antirio/service-contract';
import { secretsSchema } from './secrets.ts';

const text = (max: number): z.ZodString => z.string().min(1).max(max);

const limits = z.strictObject({
  memoryBytes: z.int().min(16 << 20),
  cpus: z.number().positive().max(1024),
  pids: z.int().min(8).max(100_000),
});

const serviceName = text(128).regex(/^[^/+#\0]+$/, 'no slash, + or #: it becomes a part of topics');

const running = {
  standby: z.enum(['hot', 'warm', 'cold']),
  imageCid: text(256),
  archive: text(4096),
  /** The device service's configuration without the rim's part; `configuration` in it is the customer's configuration.json. */
  service: z.looseObject({ serviceName, configuration: z.unknown().optional() }),
  epoch: z.int().min(0).optional(),
  /** The service that this one is a twin of, from the same archive: what was fetched for that one is its own too. */
  twinOf: text(256).optional(),
  limits: limits.optional(),
};

/** What snapshots of volumes are sealed with under one version of the keys; no secret of the service's. */
export const volumeKey = z.strictObject({
  version: z.int().min(1),
  key: z.string().regex(/^[0-9a-f]{64}$/),
});

const absent = z.looseObject({ desired: z.literal('absent') });

/** What the arbitrator wants of one contract's service. */
export const serviceBody = z.discriminatedUnion('desired', [
  z.strictObject({
    desired: z.literal('standby'),
    ...running,
    /** Nothing of what it wrote in its volumes is to go home any more. */
    startsAnew: z.boolean().optional(),
  }),
  z.strictObject({
    desired: z.literal('active'),
    ...running,
    secrets: secretsSchema.optional(),
    volumeKey: volumeKey.optional(),
  }),
  absent,
]);
export type ServiceBody = z.output<typeof serviceBody>;
export type ServiceWish = Exclude<ServiceBody, { desired: 'absent' }>;

/** How a change from one version of a service to another ended. */
export interface VersionSwitch {
  readonly from: string;
  /** CIDs of images. */
  readonly to: string;
  readonly outcome: 'done' | 'failed' | 'superseded';
  readonly reason?: string;
  readonly at: number;
}

/** What is kept of it: everything but the secrets. */
export interface ServiceRecord {
  /** Of this version: the contract's id for the first one, `<contractId>-v<hash>` for others. */
  readonly serviceId: string;
  readonly contractId: string;
  /** `next` comes up beside the `current` one and takes its place; a `former` one is on its way out. */
  readonly role: 'current' | 'next' | 'former';
  /** When a `next` one was begun, or begun again after a restart: milliseconds since the Unix epoch. */
  readonly begunAt?: number;
  /** It is to be stopped, though it is wanted: its data are handed over, or have been taken back. */
  readonly halted?: true;
  /**
   * Of a `next` one. `taken`: both versions are halted, the data of the current one are copied for this one. `given`: this one runs with
   * them, and takes the other's place. `back`: it does not, and is halted before that one goes on. None: it shows first that it runs at all.
   */
  readonly data?: 'taken' | 'given' | 'back';
  /** When the current one was halted for it: milliseconds since the Unix epoch. */
  readonly haltedAt?: number;
  /** How often the data were handed over in vain, why the last time, and when it may be tried again. */
  readonly inVain?: { readonly times: number; readonly reason: string; readonly notBefore: number };
  /** Of the `current` one: how the last change of versions went. */
  readonly lastSwitch?: VersionSwitch;
  readonly desired: 'absent' | 'standby' | 'active';
  readonly standby: 'hot' | 'warm' | 'cold';
  readonly imageCid: string;
  readonly archive: string;
  readonly service: Readonly<Record<string, unknown>> & { readonly serviceName: string };
  readonly epoch: number;
  /** What was fetched for that service is this one's. */
  readonly twinOf?: string;
  readonly limits?: { readonly memoryBytes: number; readonly cpus: number; readonly pids: number };
  /** The image that the CID turned out to hold, once it was verified: it never becomes another. */
  readonly imageId?: string;
  readonly updatedAt: number;
}

/** Under what its images were fetched. */
export function fetchedAs({ twinOf, serviceId }: Pick<ServiceRecord, 'twinOf' | 'serviceId'>): string {
  return twinOf ?? serviceId;
}

/** Those of its contract, by the customer's configuration.json. */
export function volumesOf({ service }: Pick<ServiceRecord, 'service'>): ContractVolumes {
  return volumesIn(service['configuration']);
}
