import { z } from 'zod';
import { FaultProxyError } from './errors.ts';

/** Which way bytes go: from whoever connects to whom the link leads, or back. */
export type Direction = 'toTarget' | 'toClient';

export const DIRECTIONS: readonly Direction[] = ['toTarget', 'toClient'];

const ratio = z.number().min(0).max(1);
const milliseconds = z.number().min(0).max(600_000);

const faultsSchema = z.strictObject({
  /** Added to each datagram or piece of stream. */
  delayMs: milliseconds.default(0),
  /** Added on top, uniformly from 0 to this. Streams keep their order. */
  jitterMs: milliseconds.default(0),
  /** Part of the datagrams that disappear. Datagrams only: a stream loses nothing but time. */
  loss: ratio.default(0),
  /** Part of the datagrams that arrive twice. */
  duplicate: ratio.default(0),
  /** Part of the datagrams held back by `reorderMs`, so that later ones overtake them. */
  reorder: ratio.default(0),
  reorderMs: milliseconds.default(50),
});

/** How one direction of a link behaves while it is not cut. */
export type Faults = z.output<typeof faultsSchema>;
/** Faults to set; what is absent stays as it is. */
export type FaultsInput = Partial<Faults>;

/**
 * What a cut does to streams. `blackhole`: bytes stand still, new connections get no answer, as when a cable is
 * pulled. `reset`: connections are reset and new ones too, as when a firewall rejects.
 */
export type CutMode = 'blackhole' | 'reset';
/** What healing does to the streams that a blackhole held: they go on, or are reset. */
export type HealMode = 'continue' | 'reset';

const cutSchema = z.strictObject({
  direction: z.enum(['both', 'toTarget', 'toClient']).default('both'),
  mode: z.enum(['blackhole', 'reset']).default('blackhole'),
  onHeal: z.enum(['continue', 'reset']).default('continue'),
});

/** A cut, complete. */
export type Cut = z.output<typeof cutSchema>;
/** A cut as asked for: both directions, `blackhole` and `continue` unless said otherwise. */
export type CutInput = z.input<typeof cutSchema>;

const linkSchema = z.strictObject({
  name: z.string().min(1).max(100),
  kind: z.enum(['tcp', 'udp']),
  /** Names under which several links are switched together. */
  groups: z.array(z.string().min(1)).default([]),
  listenHost: z.string().min(1).default('127.0.0.1'),
  /** 0: any free port. */
  listenPort: z.int().min(0).max(65_535).default(0),
  target: z.strictObject({ host: z.string().min(1), port: z.int().min(1).max(65_535) }),
  /** How both directions behave from the start and after `heal`. */
  faults: faultsSchema.prefault({}),
  /** Connections at a time; more are reset. */
  maxConnections: z.int().min(1).max(65_535).default(1_024),
  /** Senders of datagrams remembered for replies; beyond, the one silent for longest is forgotten. */
  maxSources: z.int().min(1).max(65_535).default(1_024),
  /** Datagrams delayed at a time; more are dropped. */
  maxInFlight: z.int().min(1).max(1_000_000).default(10_000),
});

/** A link, complete. */
export type LinkOptions = z.output<typeof linkSchema>;
/** A link as asked for. */
export type LinkOptionsInput = z.input<typeof linkSchema>;

function check<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const parsed = schema.safeParse(input);
  if (!parsed.success) {
    throw new FaultProxyError('badOptions', z.prettifyError(parsed.error), { cause: parsed.error });
  }
  return parsed.data;
}

/** Each throws `badOptions` with the path of every wrong key. */
export const parseLink = (input: unknown): LinkOptions => check(linkSchema, input);
export const parseCut = (input: unknown): Cut => check(cutSchema, input);
export const mergeFaults = (faults: Faults, changes: unknown): Faults => {
  const asked = check(z.record(z.string(), z.unknown()), changes);
  return check(faultsSchema, { ...faults, ...asked });
};

/** The switches of one link, read for each datagram and each piece of stream. */
export interface LinkState {
  cut: Cut | undefined;
  faults: Record<Direction, Faults>;
}

export const isCut = ({ cut }: LinkState, direction: Direction): boolean =>
  cut !== undefined && (cut.direction === 'both' || cut.direction === direction);
