import type { EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { SLOTS } from './fcnt-down.ts';

/**
 * Blocks of FCntDown of which the parties of a set tell each other, so that one of them can be used while the grantor is away, and none
 * is used twice by who has forgotten it. Datagrams of their own: who does not know them answers nothing, and no block stands on it.
 */

/** So many blocks of one device may be reserved above the last one that the grantor has recorded. */
export const BLOCKS_ON_PROMISES = 16;
/** The same as a distance of indexes: each party owns every fourth block. */
export const ABOVE_RECORD = BLOCKS_ON_PROMISES * SLOTS;

const text = z.string().max(64);
const devAddr = z.string().regex(/^[0-9a-f]{8}$/);
/** Of a block; 16 counters of 32 bits each. */
const index = z
  .int()
  .min(0)
  .max(2 ** 28 - 1);
const about = { setId: text, bootId: text };

/** `base`: the highest block that the grantor has given its party for the device, or that was used before there was any. */
const blockMark = z.strictObject({ devAddr, index, base: z.int().min(-1) });
const highest = z.strictObject({ devAddr, index });

export const MARKS_TOLD = 8;
export const MARKS_SHOWN = 12;

export const blockSchemas = {
  /** From who acts under `epoch`: these blocks are mine, keep them for me. */
  blocks: z.strictObject({
    ...{ ...about, epoch: z.int().min(0) },
    marks: z.array(blockMark).min(1).max(MARKS_TOLD),
  }),
  /** They are on my disk. */
  blocksKept: z.strictObject({ ...about, marks: z.array(highest).max(MARKS_TOLD) }),
  /** After a start: which blocks of mine do you know? Those of addresses after this one. */
  blocksAsked: z.strictObject({ ...about, after: z.string().max(8) }),
  blocksShown: z.strictObject({
    ...{ ...about, after: z.string().max(8) },
    marks: z.array(highest).max(MARKS_SHOWN),
    last: z.boolean(),
  }),
} as const;

export type BlocksTold = z.output<typeof blockSchemas.blocks>;
export type BlocksKept = z.output<typeof blockSchemas.blocksKept>;
export type BlocksAsked = z.output<typeof blockSchemas.blocksAsked>;
export type BlocksShown = z.output<typeof blockSchemas.blocksShown>;

/** The highest block of a device that a party is known to have, and in which of its starts it was told. */
export interface BlockMark extends z.output<typeof blockMark> {
  readonly bootId: string;
  /** Of our own only: the blocks of the others, by party, above which ours were asked for already. */
  readonly passed?: Readonly<Record<string, number>> | undefined;
}

/** What an edge has on its disk of all parties' blocks in one set, its own included. Changed by the effect `keepBlocks` only. */
export interface BlockBook {
  /** Whether it is an address of the set. */
  has(devAddr: string): boolean;
  /** By party. */
  ofDevice(devAddr: string): ReadonlyMap<EdgeId, BlockMark>;
  /** By address, rising. */
  all(by: EdgeId): readonly BlockMark[];
  /** Of whom there are any. */
  parties(): readonly EdgeId[];
}

/** Why what was told of blocks is not kept, or what was answered not believed. */
export type BlockRefusal = 'party' | 'holder' | 'device' | 'slot' | 'beyond' | 'behind';
