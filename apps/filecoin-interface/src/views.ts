import { API_VERSION } from '@antirio/host';
import { z } from 'zod';

/** What every answer begins with, as EdgeX's do. */
const head = { apiVersion: z.literal(API_VERSION), statusCode: z.int() };

const wallMs = z.number().describe('milliseconds since the Unix epoch');
const bytes = z.int().min(0);

const orderId = z.string().optional().describe('another one each time that it is ordered');

const progressView = z.object({
  blocks: z.int().describe('seen until now'),
  bytes: bytes.describe('of these'),
  fetchedBlocks: z.int().describe('that came from providers; the others were here'),
  fetchedBytes: bytes,
});

const heldView = z.object({
  network: z.string().describe('its kind'),
  state: z
    .enum(['PUSHING', 'STORED', 'COMMITTED', 'FAILED'])
    .describe('STORED: there, by fewer than are asked for; FAILED: is tried again later'),
  providers: z.array(z.string()).describe('who holds it; what a fetch may name'),
  bytes: bytes.optional().describe('of blocks that are there, while it is PUSHING'),
  pieceCid: z.string().optional(),
  detail: z.string().optional(),
  error: z.string().optional().describe('what failed last'),
  checkedAt: wallMs.optional(),
});

const objectView = z.object({
  cid: z.string(),
  state: z.enum(['FETCHING', 'STORED', 'FAILED']),
  size: bytes.optional().describe('of content, or of blocks where the content is not known; once STORED'),
  providers: z.array(z.string()),
  error: z.string().optional().describe('why FAILED'),
  orderId,
  createdAt: wallMs,
  progress: progressView.optional().describe('of a fetch since it was last begun'),
  pieceCid: z.string().optional().describe('as which Filecoin was asked for it'),
  held: heldView.optional().describe('how the storage network holds it'),
});

const digits = z.string().regex(/^\d+$/).describe('a whole number, of any size');

const costView = z.object({
  amount: digits,
  currency: z.string(),
  bytes: bytes.describe('of the archive'),
  days: z.int(),
});

const quoteView = z.object({
  bytes,
  days: z.int(),
  epochs: z.int(),
  epochSeconds: z.int(),
  perByteEpoch: z.object({ numerator: digits, denominator: digits }).describe('exactly'),
  amount: digits.describe("in the currency's smallest unit, rounded up"),
  currency: z.string(),
  validUntil: wallMs.optional(),
});

const deniedView = z.object({ cid: z.string(), reason: z.string().optional(), since: wallMs });

const imageView = z.object({
  imageId: z.string(),
  imageName: z.string(),
  fileName: z.string().optional(),
  engineImage: z.string().optional().describe('where it came out of the container engine'),
  storageDuration: z.int().describe('days'),
  status: z.enum(['WAITING', 'STORED', 'COMMITTED', 'FAILED', 'EXPIRED']),
  imageHash: z.string().optional().describe('CID; once STORED'),
  size: bytes.optional().describe('of the uncompressed layers; once STORED'),
  error: z.string().optional().describe('why FAILED'),
  mending: z
    .enum(['STORED', 'COMMITTED'])
    .optional()
    .describe('what it was before the disk changed it; WAITING to be imported anew'),
  orderId,
  createdAt: wallMs,
  expiresAt: wallMs,
  cost: costView.optional().describe('as it was when the image was ordered'),
  minerAddress: z.string().describe('the edge that stores it'),
  held: heldView.optional().describe('how the storage network holds it'),
});

const exportedView = z.object({
  cid: z.string(),
  fileName: z.string(),
  size: bytes,
  sha256: z.string().describe('hex'),
  imageId: z.string().optional().describe("the engine's id of an image, as the rest"),
  repoTags: z.array(z.string()).optional(),
  architecture: z.string().optional(),
  os: z.string().optional(),
});

const verified = { cid: z.string(), blocks: z.int(), bytes };

const formerView = z.object({
  id: z.string(),
  name: z.string(),
  pieces: z.int().describe('that may be kept there'),
  leftAt: wallMs,
  dueAt: wallMs.describe(
    'when they are let go of, or that is tried again; besides the network holds all first',
  ),
  error: z.string().optional(),
});

const networkView = z.object({
  kind: z.string(),
  ok: z.boolean().describe('whether what is stored now could be brought there'),
  detail: z.string().optional(),
  waiting: z.int().describe('pieces that it does not hold yet as it is asked to'),
  failed: z
    .int()
    .describe('pieces that could not be brought there, looked after or taken away; all are tried again'),
  former: z
    .array(formerView)
    .describe('what is still kept where it was brought to before this network was chosen'),
  provider: z.string().describe('how other edges name this one'),
  store: z.object({ blocks: z.int(), bytes, quotaBytes: bytes, damaged: z.int() }),
});

const fileView = z.object({ fileName: z.string(), size: bytes, modifiedAt: wallMs });
const uploadView = z.object({ fileName: z.string(), bytes: bytes.describe('that are here') });

const one = <K extends string, S extends z.ZodType>(name: K, view: S) =>
  z.object({ ...head, [name]: view } as typeof head & Record<K, S>);
const many = <K extends string, S extends z.ZodType>(name: K, view: S) =>
  z.object({ ...head, totalCount: z.int(), [name]: z.array(view) } as typeof head & Record<K, z.ZodArray<S>>);

/** The answers of the v3 API. */
export const answers = {
  done: z.object(head),
  object: one('object', objectView),
  objects: many('objects', objectView),
  image: one('image', imageView),
  images: many('images', imageView),
  exported: one('exported', exportedView),
  mended: one('mended', z.object({ cid: z.string(), size: bytes })),
  verified: one('verified', z.object(verified)),
  sample: one(
    'sample',
    z.object({ ...verified, blockCids: z.array(z.string()), inTurn: z.array(z.string()).optional() }),
  ),
  quote: one('quote', quoteView),
  denied: one('denied', deniedView),
  allDenied: many('denied', deniedView),
  files: many('files', fileView),
  uploaded: one('file', fileView.extend({ sha256: z.string().describe('hex') })),
  upload: one('upload', uploadView),
  network: one('network', networkView),
  pins: many('pins', z.object({ name: z.string(), cid: z.string() })),
};

const status = (statusCode: number) => ({ apiVersion: API_VERSION, statusCode });

/** An answer with these. */
export const answer = <T extends object>(content: T, statusCode = 200) => ({
  ...status(statusCode),
  ...content,
});

export const pageQuery = z.object({
  offset: z.coerce.number().int().min(0).default(0).describe('left out at the beginning'),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe('given at most'),
});

/** One page of a list, with how many there are in all. */
export function page<T>(
  all: readonly T[],
  { offset, limit }: z.output<typeof pageQuery>,
): { totalCount: number; page: T[] } {
  return { totalCount: all.length, page: all.slice(offset, offset + limit) };
}
