import { z } from 'zod';
import { hasLogin, openDatabase } from '@antirio/host';
import type { PlaceRange } from './not-taken.ts';

/** Who we are where readings are forwarded to. */
export const forwardingLogin = z.strictObject({
  username: z.string().min(1).max(256),
  password: z.string().min(1).max(1024),
});
export type ForwardingLogin = z.output<typeof forwardingLogin>;

const noLogin = (url: string): boolean => !hasLogin(url);
const url = (protocols: RegExp): z.ZodURL =>
  z.url({ protocol: protocols }).max(1024).refine(noLogin, 'a login has its own place');

const common = {
  /** Only events of devices whose names begin so. */
  devicePrefix: z.string().max(256).default(''),
  /** Whether they go without it, as their owner calls them. */
  stripPrefix: z.boolean().default(false),
  /** Where a new rule begins: with what comes from now on, or with what is stored. */
  from: z.enum(['now', 'stored']).default('now'),
  /** Readings that may wait; of more the oldest are given up and counted. */
  maxWaiting: z.int().min(1).max(100_000_000).default(1_000_000),
  /** Whether it cannot be begun without a login, which is kept in memory only. */
  needsLogin: z.boolean().default(false),
};

/** Where events go besides this edge. */
export const forwardingRule = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('http'), url: url(/^https?$/), ...common }),
  z.strictObject({
    kind: z.literal('mqtt'),
    url: url(/^mqtts?$/),
    /** Before the device's name. */
    topic: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^+#\0]+$/, 'no wildcards')
      .default('antirio/readings'),
    ...common,
  }),
]);
export type ForwardingRule = z.output<typeof forwardingRule>;

export const ruleName = z.string().regex(/^[A-Za-z0-9._~-]{1,128}$/, 'letters, digits and - . _ ~');

/** How far a rule has come, as it is on the disk. */
export interface Progress {
  /** Everything that arrived up to here is done with. */
  readonly cursor: number;
  readonly sent: number;
  /** Given up: refused by the receiver for good. */
  readonly refused: number;
  /** Readings of all devices that were given up: too many waited, or they had left the store. */
  readonly dropped: number;
  /** What arrived after that, up to the cursor, was taken by the receiver, but for `notTaken`. */
  readonly since: number;
  /** Was refused for good, or given up. */
  readonly notTaken: readonly PlaceRange[];
}

export interface StoredRule {
  readonly id: string;
  readonly rule: ForwardingRule;
  /** Set where it ends once everything up to here is done with. */
  readonly endsAt?: number | undefined;
  readonly progress: Progress;
}

/** Rules, durable when a method returns, and how far they have come, which survives the process. */
export interface RuleStore {
  all(): StoredRule[];
  put(stored: StoredRule): void;
  progress(id: string, progress: Progress): void;
  remove(id: string): void;
  close(): void;
}

const MIGRATIONS = [
  'CREATE TABLE rule (id TEXT PRIMARY KEY, json TEXT NOT NULL, endsAt INTEGER, progress TEXT NOT NULL) STRICT',
];

const progressSchema = z.object({
  cursor: z.int().min(0),
  sent: z.int(),
  refused: z.int(),
  dropped: z.int(),
  since: z.int().optional(),
  notTaken: z.array(z.tuple([z.int(), z.int()])).default([]),
});

/** Of what was done with before it was noted nothing is known. */
function progressIn(json: string): Progress {
  const progress = progressSchema.parse(JSON.parse(json));
  return { ...progress, since: progress.since ?? progress.cursor };
}

export function openRuleStore(path: string): RuleStore {
  const db = openDatabase(path, MIGRATIONS);
  // A cursor that falls back after a power cut sends again what the receiver knows: it need not be synced. Rules are.
  const loosely = (): void => db.exec('PRAGMA synchronous=NORMAL');
  loosely();
  const synced = (write: () => void): void => {
    db.exec('PRAGMA synchronous=FULL');
    write();
    loosely();
  };
  const select = db.prepare('SELECT * FROM rule ORDER BY id');
  const upsert = db.prepare(
    'INSERT INTO rule VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json, endsAt = excluded.endsAt, progress = excluded.progress',
  );
  const update = db.prepare('UPDATE rule SET progress = ? WHERE id = ?');
  const remove = db.prepare('DELETE FROM rule WHERE id = ?');
  return {
    all: () =>
      select.all().map((row) => ({
        id: String(row['id']),
        rule: forwardingRule.parse(JSON.parse(String(row['json']))),
        endsAt: typeof row['endsAt'] === 'number' ? row['endsAt'] : undefined,
        progress: progressIn(String(row['progress'])),
      })),
    put: ({ id, rule, endsAt, progress }) =>
      synced(() => void upsert.run(id, JSON.stringify(rule), endsAt ?? null, JSON.stringify(progress))),
    progress: (id, progress) => void update.run(JSON.stringify(progress), id),
    remove: (id) => synced(() => void remove.run(id)),
    close: () => db.close(),
  };
}
