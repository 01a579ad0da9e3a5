import { describeError, type Clock } from '@antirio/kernel';

export type WorkKind = 'upload' | 'import' | 'fetch' | 'export' | 'verify' | 'push';

/** What a piece of work is about; the CID of an import is known at its end. */
export interface WorkSubject {
  readonly cid?: string;
  readonly imageId?: string;
  readonly fileName?: string;
}

/** How far a piece of work is. */
export interface Seen {
  readonly bytes: number;
  /**
   * Where it is known. Of fetches and verifications it is what the root says: blocks that stand in it twice count twice, so that
   * these may end earlier.
   */
  readonly totalBytes?: number | undefined;
  readonly blocks?: number;
}

/** What listeners are told of a piece of work. */
export interface WorkReport extends WorkSubject, Seen {
  /** One attempt at something; unique since the start. */
  readonly workId: number;
  readonly kind: WorkKind;
  readonly state: 'running' | 'done' | 'failed';
  /** Of the last seconds. */
  readonly bytesPerS: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  /** Milliseconds. */
  readonly elapsedMs: number;
  /** Why it failed. */
  readonly error?: string;
}

/** A report with its place in the order of all since the start. */
export interface NumberedReport {
  readonly seq: number;
  readonly report: WorkReport;
}

/** What a piece of work tells while it goes on. */
export interface Teller {
  seen(seen: Seen): void;
  /** What it turned out to be about. */
  about(subject: WorkSubject): void;
}

/**
 * How far long work is, of which listeners are told at most five times a second each, and of its end. Only the newest report of each
 * piece is kept, and those of the last pieces that are over: memory stays small however much is told, and who missed some reports
 * gets what they came to.
 */
export interface Progress {
  /** Runs a piece of work and tells of it. */
  track<T>(kind: WorkKind, subject: WorkSubject, work: (tell: Teller) => Promise<T>): Promise<T>;
  /** Newest reports after this one, in order; undefined where some of them are forgotten. */
  since(seq: number): NumberedReport[] | undefined;
  /** Of work that is not over. */
  running(): WorkReport[];
  /** Of the newest report. */
  readonly seq: number;
  /** Told of each report; of undefined, when something else changed that work was about. Gives the way to end that. */
  listen(listener: (report: NumberedReport | undefined) => void): () => void;
  /** Something changed that is no work of its own: a record failed for good, or went. */
  changed(): void;
}

const REPORT_EVERY_MS = 200;
const FINISHED_KEPT = 128;
/** Over which the rate is smoothed. */
const RATE_MS = 3000;

export function createProgress(clock: Clock): Progress {
  return new ProgressOf(clock);
}

class ProgressOf implements Progress {
  readonly #clock: Clock;
  /** In the order of their numbers. */
  readonly #newest = new Map<number, NumberedReport>();
  readonly #finished: number[] = [];
  readonly #listeners = new Set<(report: NumberedReport | undefined) => void>();
  #works = 0;
  #seq = 0;
  #forgottenThrough = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get seq(): number {
    return this.#seq;
  }

  async track<T>(kind: WorkKind, subject: WorkSubject, work: (tell: Teller) => Promise<T>): Promise<T> {
    const telling = new Telling(++this.#works, kind, subject, this.#clock, (report) => this.#tell(report));
    telling.begin();
    try {
      const result = await work(telling);
      telling.end('done');
      return result;
    } catch (error) {
      telling.end('failed', describeError(error));
      throw error;
    }
  }

  since(seq: number): NumberedReport[] | undefined {
    if (seq < this.#forgottenThrough || seq > this.#seq) return undefined;
    return [...this.#newest.values()].filter((each) => each.seq > seq);
  }

  running(): WorkReport[] {
    return [...this.#newest.values()].flatMap(({ report }) => (report.state === 'running' ? report : []));
  }

  listen(listener: (report: NumberedReport | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener(undefined);
  }

  #tell(report: WorkReport): void {
    const numbered = { seq: ++this.#seq, report };
    this.#newest.delete(report.workId);
    this.#newest.set(report.workId, numbered);
    if (report.state !== 'running') this.#forget(report.workId);
    for (const listener of this.#listeners) listener(numbered);
  }

  #forget(finished: number): void {
    this.#finished.push(finished);
    if (this.#finished.length <= FINISHED_KEPT) return;
    const oldest = this.#finished.shift() ?? 0;
    this.#forgottenThrough = this.#newest.get(oldest)?.seq ?? this.#forgottenThrough;
    this.#newest.delete(oldest);
  }
}

/** One piece of work on its way. */
class Telling implements Teller {
  readonly #head: Pick<WorkReport, 'workId' | 'kind' | 'startedAt'>;
  readonly #clock: Clock;
  readonly #begun: number;
  readonly #tell: (report: WorkReport) => void;
  #subject: WorkSubject;
  #seen: Seen = { bytes: 0 };
  #told: number;
  #toldBytes = 0;
  #bytesPerS = 0;
  #later: NodeJS.Timeout | undefined;

  constructor(
    workId: number,
    kind: WorkKind,
    subject: WorkSubject,
    clock: Clock,
    tell: (report: WorkReport) => void,
  ) {
    this.#head = { workId, kind, startedAt: clock.now() };
    this.#subject = subject;
    this.#clock = clock;
    this.#begun = this.#told = clock.monotonic();
    this.#tell = tell;
  }

  begin(): void {
    this.#report('running');
  }

  about(subject: WorkSubject): void {
    this.#subject = { ...this.#subject, ...subject };
  }

  seen(seen: Seen): void {
    this.#seen = { ...this.#seen, ...seen };
    const waitMs = REPORT_EVERY_MS - (this.#clock.monotonic() - this.#told);
    if (waitMs <= 0) this.#report('running');
    else this.#later ??= setTimeout(() => this.#report('running'), waitMs);
  }

  end(state: 'done' | 'failed', error?: string): void {
    this.#report(state, error);
  }

  #report(state: WorkReport['state'], error?: string): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    const now = this.#clock.monotonic();
    this.#measure(now);
    this.#tell({
      ...this.#head,
      state,
      ...this.#subject,
      ...this.#seen,
      bytesPerS: Math.round(this.#bytesPerS),
      elapsedMs: Math.round(now - this.#begun),
      ...(error === undefined ? {} : { error }),
    });
  }

  #measure(now: number): void {
    const ms = now - this.#told;
    if (ms <= 0) return;
    const current = (Math.max(0, this.#seen.bytes - this.#toldBytes) / ms) * 1000;
    const isFirst = this.#bytesPerS === 0;
    this.#bytesPerS += (current - this.#bytesPerS) * (isFirst ? 1 : 1 - Math.exp(-ms / RATE_MS));
    this.#told = now;
    this.#toldBytes = this.#seen.bytes;
  }
}

/** The same bytes, of whose number somebody is told. */
export async function* counted(
  source: AsyncIterable<Uint8Array>,
  tell: Pick<Teller, 'seen'>,
  totalBytes?: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    tell.seen({ bytes, totalBytes });
    yield piece;
  }
}
