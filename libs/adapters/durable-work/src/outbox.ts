import { callJson, repeat, type Database, type HttpPeer, type Log, type Repeating } from '@antirio/host';
import { AntirioError, describeError, type Clock, type Random } from '@antirio/kernel';
import { createBackoff, type Backoff, type BackoffOptions } from './backoff.ts';

/** What another room is to be told, until it has taken it. */
export interface Letter {
  /** A name in `peers`. */
  readonly peer: string;
  readonly path: string;
  readonly json: unknown;
  /** Letters about one subject arrive in their order; those about others do not wait for them. */
  readonly subject: string;
}

export interface Undelivered extends Letter {
  readonly attempts: number;
  readonly lastError: string;
}

export interface OutboxOptions extends Partial<BackoffOptions> {
  readonly db: Database;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How often a refusal (a 4xx answer) is put to the test before the letter is given up (default 5). */
  readonly refusalsAllowed?: number;
  /** Letters that may wait; further ones are `busy` (default 10000). */
  readonly maxWaiting?: number;
  /** Told when a letter was taken; maybe again, where the process ends right then. */
  readonly onDelivered?: (letter: Letter) => void;
  /** Told once for a letter that is given up; it may put something in the same database. */
  readonly onRefused?: (letter: Letter, error: string) => void;
}

/** Durable POSTs to other rooms: at least once each, in order by subject, again after every restart until taken. */
export interface Outbox {
  /** Puts a letter in; durable with the transaction that the caller has open. @throws AntirioError busy */
  add(letter: Letter): void;
  /** Delivers now what is due; to be called behind the transaction. */
  poke(): void;
  waiting(): Undelivered[];
  start(): void;
  stop(): Promise<void>;
}

/** One of the migrations of the database that the outbox is in. */
export const OUTBOX_MIGRATION = `CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL, path TEXT NOT NULL,
  json TEXT NOT NULL, subject TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, lastError TEXT NOT NULL DEFAULT '')`;

interface Row extends Undelivered {
  readonly id: number;
}

const IDLE_MS = 1000;

export function createOutbox(options: OutboxOptions): Outbox {
  return new SqliteOutbox(options);
}

class SqliteOutbox implements Outbox {
  readonly #options: OutboxOptions;
  readonly #backoff: Backoff;
  /** When a letter that failed is due again, on the monotonic clock; after a start everything is due. */
  readonly #due = new Map<number, number>();
  #delivering: Repeating | undefined;

  constructor(options: OutboxOptions) {
    const { firstDelayMs = 500, maxDelayMs = 30_000 } = options;
    this.#options = options;
    this.#backoff = createBackoff({ firstDelayMs, maxDelayMs }, options.random);
  }

  add(letter: Letter): void {
    const { db, maxWaiting = 10_000 } = this.#options;
    const waiting = Number(db.prepare('SELECT COUNT(*) AS n FROM outbox').get()?.['n']);
    if (waiting >= maxWaiting) throw new AntirioError('busy', `${waiting} messages wait for other rooms`);
    db.prepare('INSERT INTO outbox (peer, path, json, subject) VALUES (?, ?, ?, ?)').run(
      letter.peer,
      letter.path,
      JSON.stringify(letter.json),
      letter.subject,
    );
  }

  poke(): void {
    this.#delivering?.poke();
  }

  waiting(): Undelivered[] {
    return this.#rows().map(({ id: _, ...undelivered }) => undelivered);
  }

  start(): void {
    this.#delivering ??= repeat('deliver messages', IDLE_MS, this.#options.log, () => this.#deliverDue());
  }

  async stop(): Promise<void> {
    await this.#delivering?.stop();
    this.#delivering = undefined;
  }

  #rows(): Row[] {
    const rows = this.#options.db.prepare('SELECT * FROM outbox ORDER BY id').all();
    return rows.map((row) => ({
      id: Number(row['id']),
      peer: String(row['peer']),
      path: String(row['path']),
      json: JSON.parse(String(row['json'])) as unknown,
      subject: String(row['subject']),
      attempts: Number(row['attempts']),
      lastError: String(row['lastError']),
    }));
  }

  async #deliverDue(): Promise<void> {
    const held = new Set<string>();
    for (const row of this.#rows()) {
      const due = (this.#due.get(row.id) ?? 0) <= this.#options.clock.monotonic();
      if (held.has(row.subject) || !due || !(await this.#deliver(row))) held.add(row.subject);
    }
  }

  /** Whether the letter is off the table. */
  async #deliver(row: Row): Promise<boolean> {
    try {
      await callJson(this.#peer(row.peer), { method: 'POST', path: row.path, json: row.json });
    } catch (error) {
      return this.#failed(row, error);
    }
    this.#options.onDelivered?.(row);
    this.#remove(row.id);
    return true;
  }

  #peer(name: string): HttpPeer {
    const peer = this.#options.peers[name];
    if (peer === undefined) throw new AntirioError('unavailable', `no peer ${name} is configured`);
    return peer;
  }

  #failed(row: Row, error: unknown): boolean {
    const attempts = row.attempts + 1;
    const text = describeError(error);
    if (isRefusal(error) && attempts >= (this.#options.refusalsAllowed ?? 5)) {
      this.#options.log.error(
        { peer: row.peer, path: row.path, error: text },
        'a message was refused and is given up',
      );
      this.#options.onRefused?.(row, text);
      this.#remove(row.id);
      return true;
    }
    this.#options.db
      .prepare('UPDATE outbox SET attempts = ?, lastError = ? WHERE id = ?')
      .run(attempts, text, row.id);
    this.#due.set(row.id, this.#options.clock.monotonic() + this.#backoff(attempts));
    return false;
  }

  #remove(id: number): void {
    this.#due.delete(id);
    this.#options.db.prepare('DELETE FROM outbox WHERE id = ?').run(id);
  }
}

/** An answer that will hardly change by itself; a missing resource may, when its room is still starting. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof AntirioError)) return false;
  const status = Number(error.details['status'] ?? 0);
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
