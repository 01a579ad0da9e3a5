import { connect, type Socket } from 'node:net';
import { AntirioError } from '@antirio/kernel';
import { takeAnswer, type PlainAnswer } from './http-answer-parser.ts';

/** Where a pipeline connects to. */
export type PipelineTarget = { readonly host: string; readonly port: number } | { readonly path: string };

export interface PipelinedRequest {
  /** Request line and header fields, with the empty line. */
  readonly head: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

/** Requests on few connections, each sent without waiting for the answers to those before it (RFC 9112, section 9.3.2). */
export interface HttpPipeline {
  /** @throws AntirioError unavailable | timeout | tooLarge; the request may have been carried out all the same. */
  send(request: PipelinedRequest): Promise<PlainAnswer>;
  close(): void;
}

const CONNECTIONS = 2;

interface Waiting {
  readonly request: PipelinedRequest;
  readonly resolve: (answer: PlainAnswer) => void;
  readonly reject: (error: AntirioError) => void;
  readonly deadline: number;
  /** It went out on a connection that ended before it was answered. */
  sentBefore: boolean;
}

/** What was not answered, whether others were before, and why the connection ended. */
type OnEnd = (unanswered: readonly Waiting[], wasInUse: boolean, error: AntirioError) => void;

/** One connection: answers come in the order of the requests. */
class Connection {
  readonly #name: string;
  readonly #socket: Socket;
  readonly #onEnd: OnEnd;
  #waiting: Waiting[] = [];
  #unsent: Waiting[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #answered = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(target: PipelineTarget, name: string, onEnd: OnEnd) {
    this.#name = name;
    this.#onEnd = onEnd;
    this.#socket = connect('path' in target ? target : { ...target, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', (cause) => this.#end(this.#unavailable(cause)));
    this.#socket.on('close', () => this.#end(this.#unavailable()));
  }

  get size(): number {
    return this.#waiting.length;
  }

  send(entry: Waiting): void {
    this.#waiting.push(entry);
    this.#unsent.push(entry);
    // Those of one turn go out together.
    if (this.#unsent.length === 1) process.nextTick(() => this.#write());
    this.#timer ??= setTimeout(() => this.#look(), entry.request.timeoutMs);
  }

  close(): void {
    this.#end(this.#unavailable());
  }

  #unavailable(cause?: unknown): AntirioError {
    return new AntirioError('unavailable', `${this.#name} does not answer`, {}, cause);
  }

  #write(): void {
    const unsent = this.#unsent;
    this.#unsent = [];
    if (this.#ended) return;
    this.#socket.cork();
    for (const { request } of unsent) {
      this.#socket.write(request.head, 'latin1');
      this.#socket.write(request.body);
    }
    this.#socket.uncork();
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    try {
      while (this.#takeOne());
    } catch (error) {
      this.#end(error instanceof AntirioError ? error : this.#unavailable(error));
    }
  }

  /** Whether there may be more. */
  #takeOne(): boolean {
    const [oldest] = this.#waiting;
    const taken = takeAnswer(this.#rest, oldest?.request.maxAnswerBytes ?? 0);
    if (taken === undefined) return false;
    this.#rest = this.#rest.subarray(taken.length);
    if (taken.answer === undefined) return true;
    // an answer to nothing
    if (oldest === undefined) throw this.#unavailable();
    this.#waiting.shift();
    this.#answered += 1;
    oldest.resolve(taken.answer);
    if (taken.isLast) this.#end(this.#unavailable());
    return !taken.isLast;
  }

  /** The oldest one has waited longest; one timer looks after all. */
  #look(): void {
    this.#timer = undefined;
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    const left = oldest.deadline - performance.now();
    if (left > 0) {
      this.#timer = setTimeout(() => this.#look(), left);
      return;
    }
    const { timeoutMs } = oldest.request;
    this.#end(new AntirioError('timeout', `${this.#name} did not answer in ${timeoutMs} ms`));
  }

  #end(error: AntirioError): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
    this.#onEnd(this.#waiting.splice(0), this.#answered > 0, error);
  }
}

class TwoConnections implements HttpPipeline {
  readonly #target: PipelineTarget;
  readonly #name: string;
  readonly #connections = new Set<Connection>();
  #closed = false;

  constructor(target: PipelineTarget, name: string) {
    this.#target = target;
    this.#name = name;
  }

  send(request: PipelinedRequest): Promise<PlainAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<PlainAnswer>();
    const deadline = performance.now() + request.timeoutMs;
    if (this.#closed) reject(new AntirioError('unavailable', `the way to ${this.#name} is closed`));
    else this.#start({ request, resolve, reject, deadline, sentBefore: false });
    return promise;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
  }

  #start(entry: Waiting): void {
    let best: Connection | undefined;
    for (const one of this.#connections) if (best === undefined || one.size < best.size) best = one;
    if (best === undefined || (best.size > 0 && this.#connections.size < CONNECTIONS)) best = this.#open();
    best.send(entry);
  }

  #open(): Connection {
    const opened = new Connection(this.#target, this.#name, (unanswered, wasInUse, error) => {
      this.#connections.delete(opened);
      for (const entry of unanswered) this.#again(entry, wasInUse, error);
    });
    this.#connections.add(opened);
    return opened;
  }

  /** A kept-alive connection that the server has closed says nothing of the server: each request is tried once more. */
  #again(entry: Waiting, wasInUse: boolean, error: AntirioError): void {
    if (this.#closed || entry.sentBefore || !wasInUse || error.code !== 'unavailable') entry.reject(error);
    else {
      entry.sentBefore = true;
      this.#start(entry);
    }
  }
}

/** Opens connections when they are needed, to a server called `name` in errors. */
export function createHttpPipeline(target: PipelineTarget, name: string): HttpPipeline {
  return new TwoConnections(target, name);
}
