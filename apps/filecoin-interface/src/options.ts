import { filecoinSettings } from '@antirio/storage-filecoin/settings';
import { EPOCH_SECONDS } from '@antirio/storage-network';
import { z } from 'zod';

const ms = (least: number, usual: number) => z.int().min(least).max(86_400_000).default(usual);

const gateway = z.strictObject({
  atOnce: z.int().min(1).max(10_000).default(128).describe('requests; more are answered 429'),
  withinMs: ms(100, 10_000).describe('for finding what an answer begins with; then 504'),
  stallMs: ms(100, 30_000).describe('a client that takes nothing for so long is cut off'),
  denyFile: z
    .string()
    .optional()
    .describe('CIDs that are not given out, one a line; read at the start, besides what the API denies'),
});

const events = z.strictObject({
  maxListeners: z.int().min(1).max(1000).default(64).describe('streams of events; more are answered 429'),
  heartbeatMs: ms(100, 15_000).describe('between two signs of life on a stream'),
  stallMs: ms(100, 30_000).describe('a listener that takes nothing for so long is cut off'),
});

const uploads = z.strictObject({
  quotaBytes: z
    .int()
    .min(1 << 20)
    .default(16 * 2 ** 30)
    .describe('of the images folder; uploads over it are refused'),
  atOnce: z.int().min(1).max(64).default(4),
  stallMs: ms(100, 30_000).describe('an upload or a download in which nothing goes for so long is cut off'),
  keepMs: z
    .int()
    .min(1000)
    .default(86_400_000)
    .describe('what was begun and not gone on with for so long is removed'),
});

const few = (usual: number) => z.int().min(1).max(64).default(usual);

const longWork = z.strictObject({
  imports: few(2).describe('of files and of images of the engine, new and to mend what is here'),
  exports: few(2),
  verifications: few(2),
  samples: few(4).describe('which read every block as well'),
});

const price = z.strictObject({
  numerator: z.int().min(0).default(0).describe('with the denominator: for a byte and an epoch, exactly'),
  denominator: z.int().min(1).default(1),
  currency: z
    .string()
    .min(1)
    .max(32)
    .default('ledger')
    .describe('numerator and denominator are of its smallest unit'),
  epochSeconds: z.int().min(1).max(86_400).default(EPOCH_SECONDS),
});

const webUrl = z.url({ protocol: /^https?$/ });

const kuboOptions = z.strictObject({
  kind: z.literal('kubo'),
  apiUrls: z.array(webUrl).min(1).max(16).describe('the RPC of each node: http://127.0.0.1:5001'),
  authFile: z
    .string()
    .min(1)
    .optional()
    .describe('holds bearer:<token> or basic:<user>:<password>, where the RPC asks for it'),
  pinning: z
    .strictObject({ endpoint: webUrl, tokenFile: z.string().min(1) })
    .optional()
    .describe('a remote service (IPFS Pinning Service API) that is to hold it as well'),
  copies: z
    .int()
    .min(1)
    .max(17)
    .optional()
    .describe('nodes and services that must hold what is COMMITTED; without it all of them'),
  searchMs: z
    .int()
    .min(0)
    .max(600_000)
    .optional()
    .describe('how long the nodes look in the IPFS network for what none of them holds'),
  idleMs: z.int().min(100).optional().describe('a node that is silent for so long is given up'),
});

/** Where beyond this edge what it stores is kept. */
const networkOptions = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('embedded') }),
  kuboOptions,
  filecoinSettings.extend({ kind: z.literal('filecoin') }),
]);

export const filecoinInterfaceOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_702),
  bind: z.string().default('127.0.0.1').describe('address to listen on'),
  dataDir: z
    .string()
    .min(1)
    .describe("the edge's data folder; the room keeps to `filecoin-interface` and `images` in it"),
  edgeId: z
    .string()
    .default('')
    .describe("this edge's id: the storage provider (miner) of what is stored here"),
  network: networkOptions
    .default({ kind: 'embedded' })
    .describe(
      'embedded: edges hold blocks for each other; or what images and objects are brought to besides',
    ),
  pushesAtOnce: z.int().min(1).max(16).default(2).describe('DAGs brought to the storage network at once'),
  networkCheckMs: z
    .int()
    .min(10)
    .default(15_000)
    .describe('before what is not COMMITTED yet is looked at; doubled after each look'),
  networkRecheckMs: z
    .int()
    .min(100)
    .default(3_600_000)
    .describe('between two looks whether the network still holds what is COMMITTED'),
  formerNetworkKeepMs: z
    .int()
    .min(0)
    .default(86_400_000)
    .describe(
      'how long what was brought to another network stays there after one is chosen that it is not part of; besides until the new one holds all',
    ),
  quotaBytes: z
    .int()
    .min(1 << 20)
    .default(8 * 2 ** 30)
    .describe('disk space for stored blocks'),
  maxImageBytes: z
    .int()
    .min(1 << 20)
    .default(8 * 2 ** 30)
    .describe('largest file, layer or DAG that is stored or fetched'),
  maxBlocks: z
    .int()
    .min(1)
    .default(1 << 20)
    .describe('blocks of a DAG that is fetched'),
  fetchesAtOnce: z.int().min(1).max(32).default(4).describe('DAGs fetched at once'),
  blocksAtOnce: z.int().min(1).max(64).default(8).describe('blocks asked for at once, of one DAG'),
  blockTimeoutMs: z.int().min(100).default(15_000).describe('for one block from one provider'),
  attempts: z
    .int()
    .min(1)
    .default(30)
    .describe('of a fetch or an import whose failure may pass, before it is FAILED'),
  firstRetryMs: z
    .int()
    .min(1)
    .default(500)
    .describe('after the first failure; doubled after each further one'),
  maxRetryMs: z.int().min(1).default(30_000).describe('between two attempts at most'),
  collectIntervalMs: z
    .int()
    .min(1000)
    .default(600_000)
    .describe('between two clean-ups of blocks nobody needs'),
  gateway: gateway.prefault({}).describe('blocks for others'),
  events: events.prefault({}).describe('progress of long work'),
  uploads: uploads.prefault({}).describe('files that come by HTTP'),
  longWork: longWork
    .prefault({})
    .describe('what clients wait for, at once: more is answered 429, with Retry-After'),
  price: price.prefault({}).describe('what this edge asks for storing'),
});

export type FilecoinInterfaceOptions = z.output<typeof filecoinInterfaceOptions>;
