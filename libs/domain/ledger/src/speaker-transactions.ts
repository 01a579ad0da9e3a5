import { z } from 'zod';
import { edgeId } from '@antirio/service-contract';

const contractId = z.uuid();
const day = 86_400_000;

/** The least silence after which a speaker may be heard, and the longest that an edge may ask for, ms. */
export const SILENCE_OF_EDGE = { least: 10_000, most: 30 * day } as const;
/** For how long an appointment may stand without being renewed, ms. */
export const APPOINTED_AT_MOST_MS = 400 * day;

/**
 * What a speaker may be appointed for. None moves an epoch, a lease or keys. `roots` is said to the central arbitrator, which rules by
 * the provider's own signatures; the others are transactions.
 */
export const speakerAct = z.enum(['cancel', 'expire', 'coverage', 'roots']);
export type SpeakerAct = z.output<typeof speakerAct>;

/** What a speaker says in its edge's place: as the edge would, without anybody's consent. */
export const spoken = z.discriminatedUnion('type', [
  /** Of a contract that never became READY. */
  z.strictObject({ type: z.literal('contract/cancel'), contractId }),
  z.strictObject({ type: z.literal('contract/expire'), contractId }),
  /** Has what was claimed of an outage judged. */
  z.strictObject({ type: z.literal('coverage/rule'), contractId, epoch: z.int().min(1) }),
]);
export type Spoken = z.output<typeof spoken>;

export const speakerPayloads = [
  /** By an edge: who speaks for it where it has been silent on the ledger for `silentMs`. The newest word counts. */
  z.strictObject({
    type: z.literal('speaker/appoint'),
    speaker: edgeId,
    acts: z
      .array(speakerAct)
      .min(1)
      .max(speakerAct.options.length)
      .refine((acts) => new Set(acts).size === acts.length, 'an act is named twice'),
    silentMs: z.int().min(SILENCE_OF_EDGE.least).max(SILENCE_OF_EDGE.most),
    until: z.int().min(0),
  }),
  /** By an edge: nobody speaks for it any more. */
  z.strictObject({ type: z.literal('speaker/dismiss') }),
  /** By the speaker of an edge. */
  z.strictObject({ type: z.literal('speaker/speak'), edge: edgeId, act: spoken }),
] as const;
