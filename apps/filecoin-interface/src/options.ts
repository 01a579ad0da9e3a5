import { z } from 'zod';

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
});

export type FilecoinInterfaceOptions = z.output<typeof filecoinInterfaceOptions>;
