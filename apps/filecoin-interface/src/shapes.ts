import { z } from 'zod';

/** A name inside of the images folder: no path. */
export const fileName = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/,
    'must be a file name of letters, digits, dot, dash and underscore',
  );

export const imageName = z.string().min(1).max(256);
export const imageId = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be 1 to 128 letters, digits, dots or dashes');

/** Days. */
export const storageDuration = z.int().min(1).max(36_500);

/** STORED: every block durable here. COMMITTED: held by the providers that a contract asks for. */
export const backendStatus = z.enum(['STORED', 'COMMITTED', 'READY2DOWNLOAD']);

/** The thesis writes the key both ways; `imageId` is ours. */
function withImageId(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('imageid' in value)) return value;
  const { imageid, ...rest } = value;
  return { imageId: imageid, ...rest };
}

const providers = z
  .array(
    z.union([
      z.string().regex(/^\/p2p\/[A-Za-z0-9]{1,128}$/, 'must be /p2p/<edgeId> or a URL'),
      z.url({ protocol: /^https?$/ }),
      z
        .string()
        .max(512)
        .regex(
          /^(kubo|pinning|filecoin):\S+$/,
          'must be /p2p/<edgeId>, a URL, or a provider of a storage network',
        ),
    ]),
  )
  .max(32);

export const backendImageBody = z.preprocess(
  withImageId,
  z.strictObject({
    imageId,
    imageHash: z.string().min(1).max(128).describe('CID'),
    status: backendStatus,
    providers: providers.default([]).describe('who has an image that is READY2DOWNLOAD'),
  }),
);

/** `name:tag`, or `sha256:<id>`. */
export const engineImage = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]*$/, 'must be an image of the container engine: name:tag or id');

export const orchestratorImageBody = z.preprocess(
  withImageId,
  z
    .strictObject({
      imageName,
      storageDuration: storageDuration.describe('days'),
      fileName: fileName.optional().describe('a docker archive in the images folder'),
      engineImage: engineImage.optional().describe('in place of a file: an image of the container engine'),
      imageId: imageId.optional().describe('given by whoever must be able to ask twice for the same'),
    })
    .refine(
      (body) => (body.fileName === undefined) !== (body.engineImage === undefined),
      'must name either fileName or engineImage',
    ),
);

export const backendErrorBody = z.strictObject({
  errorObject: z.unknown().refine((value) => value !== undefined, 'must be there'),
  code: z.int().min(0).max(999),
  message: z.string().min(1).max(4096),
});

export const objectBody = z.union([
  z.strictObject({ fileName, kind: z.enum(['file', 'image']).default('file') }),
  z.strictObject({ engineImage }),
  z.strictObject({ json: z.unknown() }),
]);

/** What is mended is an image, by its archive, or a JSON value. */
export const mendBody = z.union([
  z.strictObject({ fileName }),
  z.strictObject({ engineImage }),
  z.strictObject({ json: z.unknown() }),
]);

export const fetchBody = z.strictObject({
  cid: z.string().max(320),
  providers: providers.min(1),
  pieceCid: z
    .string()
    .regex(/^[a-z0-9]{1,128}$/)
    .optional()
    .describe('by which Filecoin knows it'),
});

export const exportBody = z.strictObject({
  fileName,
  repoTags: z.array(z.string().min(1).max(512)).max(16).optional(),
});

export const cidText = z.string().max(320).describe('CID');

export const cidParams = z.object({ cid: cidText });

export const denyBody = z.strictObject({ reason: z.string().max(512).optional() });

export const priceQuery = z.object({
  bytes: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  days: z.coerce.number().int().min(1).max(36_500),
});
