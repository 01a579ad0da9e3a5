import { z } from 'zod';

const cid = z.string().min(8).max(128);
const edgeId = z.string().regex(/^[A-Za-z0-9]{1,128}$/, 'must be an edge id');

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'must be letters, digits, dots or dashes');

const imageName = z.string().min(1).max(256);

export const imageBody = z
  .strictObject({
    imageId: id.optional().describe('given by whoever must be able to ask twice for the same'),
    imageName,
    fileName: z
      .string()
      .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/, 'must be a file name')
      .optional()
      .describe('a docker archive in the images folder'),
    image: z
      .string()
      .max(256)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]*$/, 'must be an image of the container engine: name:tag or id')
      .optional()
      .describe('in place of a file: an image of the container engine'),
    storageDuration: z.int().min(1).max(36_500).describe('days'),
    configuration: z.unknown(),
  })
  .refine(
    (body) => (body.fileName === undefined) !== (body.image === undefined),
    'must name either fileName or image',
  );

/** Which image is meant: by its id, by what it is, or the only one of that name. */
export const sendBody = z.strictObject({
  providerEdgeId: edgeId,
  imageId: id.optional(),
  imageName: imageName.optional(),
  imageCid: cid.optional(),
  configCid: cid.optional(),
});

export const fetchBody = z.strictObject({
  contractId: id,
  customer: edgeId,
  imageCid: cid,
  configCid: cid,
  imageName,
  providers: z
    .array(z.string().regex(/^\/p2p\/[A-Za-z0-9]{1,128}$/, 'must be /p2p/<edgeId>'))
    .min(1)
    .max(16)
    .optional(),
});

export const contractParams = z.object({ contractId: id });
export const imageParams = z.object({ imageId: id });
