import { z } from 'zod';
import { serviceIdPattern } from '@antirio/runtime';
import type { BroughtHome } from './bring-home.ts';

const text = (max: number): z.ZodString => z.string().min(1).max(max);
export const contractId = z.string().regex(serviceIdPattern, 'letters, digits, _ and - only');
/** A file inside of the edge's `images` folder. */
const fileName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/, 'a file name of letters, digits, dot, dash and underscore');

/** `imageid` was another spelling of the thesis. */
function acceptImageid(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('imageid' in body) || 'imageId' in body) return body;
  const { imageid, ...rest } = body;
  return { ...rest, imageId: imageid };
}

/** Table 4.4; `configuration` and `devices` in place of this edge's own. */
export const testingBody = z.strictObject({
  imageName: text(128),
  fileName,
  duration: z.int().min(1).max(3650).describe('days'),
  configuration: z.record(z.string(), z.unknown()).optional(),
  devices: z.array(z.unknown()).max(10_000).optional(),
  service: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,128}$/)
    .optional()
    .describe('whose epoch it is: services of different names may be served by different edges at once'),
  cells: z
    .array(z.string().max(64))
    .min(1)
    .max(64)
    .optional()
    .describe('where a provider must be (default: where this edge is)'),
  bringsHome: z
    .array(text(256))
    .max(1000)
    .optional()
    .describe('devices of the service whose events are fetched into this edge’s core-data at the end'),
  iTrustTheProviderWithMyKeys: z
    .boolean()
    .optional()
    .describe('needed where the policy says `autonomous`: the provider has all keys from the signature on'),
});

/** Table 4.1. */
export const customerStatusBody = z.preprocess(
  acceptImageid,
  z.strictObject({ imageId: text(256), imageHash: text(256), status: z.enum(['STORED', 'COMMITTED']) }),
);

/** Table 4.2. */
export const providerStatusBody = z.preprocess(
  acceptImageid,
  z.strictObject({ imageId: text(256), status: z.literal('DOWNLOADED') }),
);

/** Table 4.3; `config` is the CID of configuration.json. */
export const providerContractBody = z.strictObject({
  edgeId: text(128),
  imageName: text(128),
  imageHash: text(256),
  config: text(256),
  contractId: contractId.optional(),
  providers: z.array(text(512)).max(16).optional(),
});

const checked = {
  imageCid: text(256),
  ok: z.boolean(),
  checkedAt: z.int().min(0).describe('ms since the Unix epoch'),
  error: text(4096).optional(),
};

/** What migration found out about a stored image: here, or at the provider of a contract. */
export const retrievabilityBody = z.discriminatedUnion('at', [
  z.strictObject({ at: z.literal('here'), imageId: text(256), ...checked }),
  z.strictObject({
    at: z.literal('provider'),
    contractId: text(256),
    providerEdgeId: text(256),
    ...checked,
    givenUp: z
      .strictObject({ imageCid: text(256), reason: text(4096) })
      .optional()
      .describe('a version that the provider gave up; `ok` is about the one that it runs in its place'),
  }),
]);
export type Retrievability = z.output<typeof retrievabilityBody>;

export type CustomerState =
  'ACCEPTED' | 'STORING' | 'STORED' | 'DEMANDED' | 'CONTRACTED' | 'COLLECTING' | 'ENDED' | 'FAILED';

/** How often the step at hand has failed, and why. */
export interface Trouble {
  readonly attempts: number;
  readonly error?: string;
}

/** A contract of this edge as the customer, from the wish to its end. */
export interface CustomerContract extends Trouble {
  readonly id: string;
  readonly imageName: string;
  readonly fileName: string;
  readonly duration: number;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly devices?: readonly unknown[];
  readonly service?: string | undefined;
  readonly cells?: readonly string[] | undefined;
  readonly bringsHome?: readonly string[] | undefined;
  readonly iTrustTheProviderWithMyKeys?: boolean | undefined;
  readonly state: CustomerState;
  readonly imageId?: string;
  readonly imageHash?: string;
  readonly config?: string;
  readonly status?: 'STORED' | 'COMMITTED';
  readonly demandId?: string;
  readonly contractId?: string;
  /** Where its image was found to be retrievable no more, or again. */
  readonly retrievable?: { readonly here?: Retrievability; readonly provider?: Retrievability };
  /** What the rooms that work on it say of it. */
  readonly progress: {
    readonly migration?: string;
    readonly demand?: string;
    readonly contract?: string;
    /** Why events have not come home yet. */
    readonly home?: string;
  };
  /** What came home at the contract's end. */
  readonly home?: BroughtHome;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** An image that this edge stored for its contracts. */
export interface CustomerImage {
  readonly imageId: string;
  readonly imageName: string;
  readonly imageHash: string;
  readonly status: 'STORING' | 'STORED' | 'COMMITTED';
  readonly updatedAt: number;
}

/** ENDING: the contract is over, what was fetched for it is let go. */
export type ProviderState =
  'REQUESTED' | 'FETCHING' | 'READY2DOWNLOAD' | 'DOWNLOADED' | 'LOADED' | 'ENDING' | 'ENDED' | 'FAILED';

/** Why a version of a contract's image does not run here. `superseded`: a newer one came. */
export interface GivenUp {
  readonly outcome: 'failed' | 'superseded';
  readonly reason: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** A contract of a neighbour that this edge provides for: its image from the fetch to the runtime. */
export interface ProviderContract extends Trouble {
  /** Under which it is fetched: the contract's id, or for a later version of the image `<contractId>-v<hash>`. */
  readonly contractId: string;
  /** The contract's id, of a later version. */
  readonly versionOf?: string;
  /** When the customer last sent it: the newest version is the one that counts. */
  readonly askedAt?: number;
  readonly edgeId: string;
  readonly imageName: string;
  readonly imageHash: string;
  readonly config: string;
  readonly providers?: readonly string[];
  readonly status: ProviderState;
  /** The image id by which the runtime knows it, once loaded. */
  readonly imageId?: string;
  /** How many layers the runtime had to be given for it, how many it had, and whether it refused to do with the missing ones. */
  readonly loadedLayers?: number;
  readonly skippedLayers?: number;
  readonly fellBack?: boolean;
  /** Named by migration once it is whole and verified. */
  readonly archive?: string;
  readonly configuration?: unknown;
  readonly progress?: unknown;
  /** Since when it fails, how often it was begun anew since, and when it is the next time: milliseconds since the Unix epoch. */
  readonly failingSince?: number;
  readonly begunAnew?: number;
  readonly notBefore?: number;
  /** A version that never came to run, or ran worse than the one before it: its customer asks for this. */
  readonly givenUp?: GivenUp;
  readonly createdAt: number;
  readonly updatedAt: number;
}
