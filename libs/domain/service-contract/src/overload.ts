import { z } from 'zod';
import type { CustomerState, Step } from './customer-state.ts';
import { giveWordOnce } from './deaf.ts';
import type { Observed } from './party.ts';

/** A customer that has more to do than it can gives its service away, and asks for it back when it is calm again. */

const permille = z.int().min(1).max(1000);

/** Times are milliseconds of the customer's own monotonic clock. */
export const overloadTerms = z
  .strictObject({
    /** Of all processors of the customer, how much is busy. */
    cpuPermille: permille.optional(),
    /** Of the memory that it may use, how much is. */
    memoryPermille: permille.optional(),
    /** Frames that it has acknowledged to a gateway and not stored as readings yet. */
    queue: z.int().min(1).max(1_000_000_000).optional(),
    /** One of them has been reached for so long. */
    forMs: z.int().min(1000).max(3_600_000).default(30_000),
    /** Calm is what is below this part of each of them ... */
    calmPermille: z.int().min(1).max(999).default(700),
    /** ... for so long. */
    calmForMs: z.int().min(1000).max(86_400_000).default(60_000),
    /** No sooner does it give its service away again after it was calm. */
    restMs: z.int().min(1000).max(86_400_000).default(600_000),
  })
  .refine(
    ({ cpuPermille, memoryPermille, queue }) =>
      [cpuPermille, memoryPermille, queue].some((one) => one !== undefined),
    'overload is of cpuPermille, memoryPermille or queue',
  );
export type OverloadTerms = z.output<typeof overloadTerms>;

/** What a customer measures of itself; what is missing could not be measured. */
export interface Load {
  readonly cpuPermille?: number;
  readonly memoryPermille?: number;
  readonly queue?: number;
}

/** What a customer remembers of its load. Forgotten at a restart. */
export interface Strain {
  readonly overSince: number | undefined;
  readonly calmSince: number | undefined;
  /** When it was away because of its load last. */
  readonly awayAt: number;
}

export const unstrained: Strain = { overSince: undefined, calmSince: undefined, awayAt: -Infinity };

const MEASURES = ['cpuPermille', 'memoryPermille', 'queue'] as const;

/** The most strained measure, as a part of its threshold; undefined where none could be taken. */
function strainOf(terms: OverloadTerms, load: Load): number | undefined {
  const parts = MEASURES.flatMap((measure) => {
    const [limit, value] = [terms[measure], load[measure]];
    return limit === undefined || value === undefined ? [] : [value / limit];
  });
  return parts.length === 0 ? undefined : Math.max(...parts);
}

/** Between calm and too much lies what changes nothing but that it is neither. */
export function feel({ terms, strain, phase }: CustomerState, { load }: Observed, now: number): Strain {
  const { overload } = terms.activation;
  if (overload === undefined || load === undefined) return strain;
  const part = strainOf(overload, load);
  if (part === undefined) return strain;
  const isAway = phase.at === 'recovering' && phase.waits === 'calm';
  return {
    overSince: part >= 1 ? (strain.overSince ?? now) : undefined,
    calmSince: part * 1000 < overload.calmPermille ? (strain.calmSince ?? now) : undefined,
    awayAt: isAway ? now : strain.awayAt,
  };
}

export function whenOverloaded(state: CustomerState, now: number): Step {
  const { overSince, awayAt } = state.strain;
  const { overload } = state.terms.activation;
  if (overload === undefined || overSince === undefined) return [state, []];
  const due = now - overSince >= overload.forMs && now - awayAt >= overload.restMs;
  return due ? giveWordOnce(state, 'overload', now) : [state, []];
}

/** Surely, and for long enough. */
export function isCalm({ strain, terms }: CustomerState, now: number): boolean {
  const { calmSince } = strain;
  const { overload } = terms.activation;
  return overload !== undefined && calmSince !== undefined && now - calmSince >= overload.calmForMs;
}
