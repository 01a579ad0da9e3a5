import { z } from 'zod';
import { ENCODINGS } from '../bus/encoding.ts';
import { keptSchema } from './kept-rings.ts';
import type { RingSettings } from './ring.ts';

/** The ring that another edge's ring is asked for what this one lacks. */
export interface GapSource {
  readonly edgeId: string;
  readonly ringId: string;
  /** Its joins are known here up to this number; where it tells of a higher one, nothing is read. Without it nobody asks. */
  readonly joins?: number | undefined;
  /** Read once more, from its first frame on, under this name; nothing is let go of there. */
  readonly anew?: string | undefined;
}

export const ringIdSchema = z
  .string()
  .regex(/^(?!\.)[A-Za-z0-9._-]{1,128}$/, 'letters, digits, `.`, `_` and `-`');

export const devAddrSchema = z
  .string()
  .regex(/^[0-9a-fA-F]{8}$/, 'a DevAddr: 8 hex digits')
  .transform((text) => text.toLowerCase());

export const devEuiSchema = z
  .string()
  .regex(/^[0-9a-fA-F]{16}$/, 'a DevEUI: 16 hex digits')
  .transform((text) => text.toLowerCase());

export const gapSourceSchema = z.strictObject({
  edgeId: z.string().min(1).max(128),
  ringId: ringIdSchema,
  joins: z.int().min(0).optional(),
  anew: z.string().min(1).max(64).optional(),
});

/** What the disk has of a ring beside its log. */
export const storedSchema = z.object({
  incarnation: z.string().min(1),
  /** The edge whose frames these are: the only neighbour that may read and acknowledge. */
  owner: z.string().optional(),
  source: gapSourceSchema.optional(),
  /** What was heard of its motes before it was there is still to be taken in. */
  unfilled: z.boolean().optional(),
  /** Its contract is over. */
  kept: keptSchema.optional(),
  settings: z.object({
    devAddrs: z.array(z.string()),
    devEuis: z.array(z.string()).default([]),
    sharing: z.array(z.array(z.string()).readonly()).readonly().optional(),
    budgetBytes: z.int(),
    prefix: z.string(),
    deliver: z.boolean(),
    encoding: z.enum(ENCODINGS).optional(),
    joins: z.int().optional(),
    retainS: z.int(),
  }),
});
export type Stored = z.output<typeof storedSchema>;

/** A ring that has taken its last frame; how long it stays is not for its own ages to say. */
export function keptSettings({ sharing: _none, ...settings }: Stored['settings']): Stored['settings'] {
  return { ...settings, devAddrs: [], devEuis: [], deliver: false, retainS: 31_536_000 };
}

/** What is to be stored for a ring that is made or changed. */
export function storedOf(
  settings: RingSettings,
  owner: string | undefined,
  known: Stored | undefined,
  newIncarnation: () => string,
): Stored {
  const { devAddrs, devEuis } = settings;
  const copy = { ...settings, devAddrs: [...new Set(devAddrs)], devEuis: [...new Set(devEuis)] };
  const incarnation = known?.incarnation ?? newIncarnation();
  const added = copy.devAddrs.some((devAddr) => known?.settings.devAddrs.includes(devAddr) !== true);
  const unfilled = added || known?.unfilled === true ? { unfilled: true } : {};
  return { incarnation, owner, source: known?.source, ...unfilled, settings: copy };
}
