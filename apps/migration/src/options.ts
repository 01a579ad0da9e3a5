import { z } from 'zod';

export const migrationOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_701),
  bind: z.string().default('127.0.0.1').describe('address to listen on'),
  dataDir: z
    .string()
    .min(1)
    .describe("the edge's data folder; the room keeps to `migration` and `images` in it"),
  edgeId: z.string().default('').describe("this edge's id: the storage provider (miner) of its images"),
  pollMs: z.int().min(1).default(250).describe('between two looks at how far filecoin-interface is'),
  exportTimeoutMs: z.int().min(1000).default(900_000).describe('for writing or reading one whole image'),
  attempts: z
    .int()
    .min(1)
    .default(100)
    .describe('of one step whose failure may pass, in a row, before it is FAILED'),
  firstRetryMs: z
    .int()
    .min(1)
    .default(500)
    .describe('after the first failure; doubled after each further one'),
  maxRetryMs: z.int().min(1).default(30_000).describe('between two attempts at most'),
  verifyIntervalMs: z
    .int()
    .min(100)
    .default(600_000)
    .describe('between two checks that stored images are retrievable, here and at the providers'),
  checksPerRound: z
    .int()
    .min(1)
    .default(4)
    .describe(
      'images of one kind that are read in one round of checks; there are four rounds in an interval',
    ),
  sampledBlocks: z
    .int()
    .min(1)
    .max(64)
    .default(8)
    .describe(
      'blocks of an image that a provider is asked for in such a check, by chance and as many in turn',
    ),
  atOnce: z.int().min(1).max(32).default(4).describe('images moved at once'),
});

export type MigrationOptions = z.output<typeof migrationOptions>;
