import type { Request, Response } from 'express';
import { AntirioError, toHex, type Random } from '@antirio/kernel';
import type { NumberedReport, Progress, WorkReport } from './progress.ts';

export interface EventOptions {
  /** Streams open at once; more are answered 429. */
  readonly maxListeners: number;
  /** Between two signs of life. */
  readonly heartbeatMs: number;
  /** Who takes nothing for so long is cut off. */
  readonly stallMs: number;
}

/** What a listener wants to hear. */
export interface EventScope {
  concerns(report: WorkReport): boolean;
  /** What a listener is shown first, and at the end: the record that it is about. */
  state(): object;
  /** Whether there is nothing more to come of it; a stream without this goes on until one side closes it. */
  isOver?(): boolean;
}

/** Progress of long work as server-sent events (WHATWG HTML, section 9.2). */
export interface EventStreams {
  /**
   * Answers with a stream of events: with a `snapshot` first, or where the client says in `Last-Event-ID` up to where it knows, with
   * what came since; 204, which keeps a browser from asking again, where nothing did and all is over. @throws AntirioError busy
   */
  open(request: Request, response: Response, scope: EventScope): void;
  readonly listeners: number;
  /** Streams that were cut off since the start, because their clients were too slow. */
  readonly cutOff: number;
  /** Ends all streams. */
  close(): void;
}

/** Reports that wait for a slow listener, one of each piece of work. */
const MAX_WAITING = 256;
const RECONNECT_MS = 1000;
const EVENT_STREAM = 'text/event-stream';

export function createEventStreams(progress: Progress, options: EventOptions, random: Random): EventStreams {
  /** Numbers of another start mean nothing. */
  const life = toHex(random.bytes(4));
  const streams = new Set<EventStream>();
  let cutOff = 0;
  let closed = false;
  const stopListening = progress.listen((report) => {
    for (const stream of streams) stream.take(report);
  });
  const beating = setInterval(() => {
    for (const stream of streams) stream.beat();
  }, options.heartbeatMs);
  return {
    get listeners() {
      return streams.size;
    },
    get cutOff() {
      return cutOff;
    },
    open(request, response, scope) {
      if (closed) throw new AntirioError('unavailable', 'this room is being stopped');
      const missed = missedBy(request, progress, life)?.filter(({ report }) => scope.concerns(report));
      if (missed?.length === 0 && scope.isOver?.() === true) {
        response.status(204).end();
        return;
      }
      if (streams.size >= options.maxListeners)
        throw new AntirioError('busy', `there are already ${options.maxListeners} listeners`);
      const stream = new EventStream(response, scope, { ...options, life });
      stream.begin(progress, missed);
      if (request.method === 'HEAD') {
        response.end();
        return;
      }
      streams.add(stream);
      response.once('close', () => {
        streams.delete(stream);
        if (stream.end()) cutOff++;
      });
      stream.take(undefined);
    },
    close() {
      closed = true;
      stopListening();
      clearInterval(beating);
      for (const stream of streams) stream.finish();
    },
  };
}

/** What came since the event that the client says it had last; undefined where that cannot be told. */
function missedBy(request: Request, progress: Progress, life: string): NumberedReport[] | undefined {
  const [, ofLife, seq] = /^([0-9a-f]{8})\.(\d{1,15})$/.exec(request.get('last-event-id') ?? '') ?? [];
  return ofLife === life ? progress.since(Number(seq)) : undefined;
}

class EventStream {
  readonly #response: Response;
  readonly #scope: EventScope;
  readonly #options: EventOptions & { readonly life: string };
  /** By piece of work: of one that has newer news only these go out. */
  readonly #waiting = new Map<number, NumberedReport>();
  #seq = 0;
  #isFull = false;
  #isCutOff = false;
  #stalled: NodeJS.Timeout | undefined;

  constructor(response: Response, scope: EventScope, options: EventOptions & { readonly life: string }) {
    this.#response = response;
    this.#scope = scope;
    this.#options = options;
  }

  begin(progress: Progress, missed: readonly NumberedReport[] | undefined): void {
    this.#response.writeHead(200, {
      'content-type': EVENT_STREAM,
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    this.#response.flushHeaders();
    this.#seq = (missed?.[0]?.seq ?? progress.seq + 1) - 1;
    this.#write(`retry: ${RECONNECT_MS}\n\n`);
    if (missed === undefined) {
      const works = progress.running().filter((report) => this.#scope.concerns(report));
      this.#write(this.#event('snapshot', { ...this.#scope.state(), works }));
    } else for (const report of missed) this.#waiting.set(report.report.workId, report);
  }

  take(news: NumberedReport | undefined): void {
    if (news !== undefined && this.#scope.concerns(news.report)) {
      this.#waiting.delete(news.report.workId);
      this.#waiting.set(news.report.workId, news);
    }
    if (this.#waiting.size > MAX_WAITING) this.#cutOff();
    else this.#flush();
  }

  beat(): void {
    if (!this.#isFull) this.#write(': still here\n\n');
    this.#flush();
  }

  /** Ends the stream as a server that stops does: the client asks again. */
  finish(): void {
    this.#response.end();
  }

  /** Its connection is closed. Whether it was this side that cut it off. */
  end(): boolean {
    clearTimeout(this.#stalled);
    this.#waiting.clear();
    return this.#isCutOff;
  }

  #flush(): void {
    for (const [workId, { seq, report }] of this.#waiting) {
      if (this.#isFull || !this.#response.writable) return;
      this.#waiting.delete(workId);
      this.#seq = seq;
      this.#write(this.#event('progress', report));
    }
    if (this.#isFull || !this.#response.writable || this.#scope.isOver?.() !== true) return;
    this.#write(this.#event('end', this.#scope.state()));
    this.#response.end();
  }

  #event(name: string, data: unknown): string {
    return `id: ${this.#options.life}.${this.#seq}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  }

  #write(text: string): void {
    if (!this.#response.writable || this.#response.write(text) || this.#isFull) return;
    this.#isFull = true;
    this.#stalled = setTimeout(() => this.#cutOff(), this.#options.stallMs);
    this.#response.once('drain', () => {
      clearTimeout(this.#stalled);
      this.#isFull = false;
      this.#flush();
    });
  }

  #cutOff(): void {
    this.#isCutOff = true;
    this.#response.destroy();
  }
}
