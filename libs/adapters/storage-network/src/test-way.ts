import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Transform } from 'node:stream';

/**
 * lie: a byte of each piece of an answer that is not JSON is another. stall: an answer stops after its first bytes. redirect: to where
 * it would have been answered. endless: an answer goes on. full: what brings something is told that there is no room. error: HTTP 500.
 * reset: the connection ends in the middle of what is sent, or of the answer. down: nobody answers.
 */
export type WayFault = 'lie' | 'stall' | 'redirect' | 'endless' | 'full' | 'error' | 'reset' | 'down';

/** Stands between a network's client and its server, and spoils what goes over it when asked to. */
export interface TestWay {
  /** In place of the server's. */
  readonly url: string;
  /** Bytes of bodies to the server and from it, since `forget`. */
  readonly sent: number;
  readonly received: number;
  forget(): void;
  fault(kind: WayFault | undefined): void;
  close(): Promise<void>;
}

export interface TestWayOptions {
  /** What the server says when it has no room (default: HTTP 507). */
  readonly full?: { readonly status: number; readonly body: string };
  /** Bytes after which `stall` and `reset` strike (default 1000). */
  readonly after?: number;
}

const CLOSE_AFTER_MS = 500;

export async function openTestWay(target: string, options: TestWayOptions = {}): Promise<TestWay> {
  const way = new FaultyWay(target, options);
  await way.listen();
  return way;
}

class FaultyWay implements TestWay {
  readonly #target: string;
  readonly #options: TestWayOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #fault: WayFault | undefined;
  url = '';
  sent = 0;
  received = 0;

  constructor(target: string, options: TestWayOptions) {
    this.#target = target.replace(/\/$/, '');
    this.#options = options;
    this.#server = createServer((incoming, answer) => this.#pass(incoming, answer));
    this.#server.on('connection', (socket) => {
      if (this.#fault === 'down') socket.destroy();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  forget(): void {
    this.sent = this.received = 0;
  }

  fault(kind: WayFault | undefined): void {
    this.#fault = kind;
    if (kind === 'down') for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(incoming: IncomingMessage, answer: ServerResponse): void {
    if (this.#refuses(incoming, answer)) return;
    const url = `${this.#target}${incoming.url ?? ''}`;
    const headers = { ...incoming.headers, host: new URL(this.#target).host };
    const outgoing = request(url, { method: incoming.method, headers, agent: false });
    const end = (): void => void answer.destroy();
    outgoing.on('error', end);
    incoming.on('error', () => outgoing.destroy());
    answer.on('close', () => outgoing.destroy());
    outgoing.on('response', (response) => {
      response.on('error', end);
      this.#answer(response, answer);
    });
    let sent = 0;
    const count = new Transform({
      transform: (piece: Buffer, _encoding, done) => {
        sent += piece.length;
        this.sent += piece.length;
        if (this.#fault === 'reset' && sent > this.#after) incoming.socket.destroy();
        done(null, piece);
      },
    });
    incoming.pipe(count).pipe(outgoing);
  }

  get #after(): number {
    return this.#options.after ?? 1000;
  }

  #refuses(incoming: IncomingMessage, answer: ServerResponse): boolean {
    const { full = { status: 507, body: '{"message":"no room"}' } } = this.#options;
    const brings =
      incoming.headers['transfer-encoding'] !== undefined ||
      Number(incoming.headers['content-length'] ?? 0) > 0;
    const refused =
      this.#fault === 'redirect'
        ? { status: 307, body: '', location: `${this.#target}${incoming.url ?? ''}` }
        : this.#fault === 'error'
          ? { status: 500, body: '{"Message":"it broke","Code":0,"Type":"error"}' }
          : this.#fault === 'full' && brings
            ? full
            : undefined;
    if (refused === undefined) return false;
    const { status, body, ...headers } = refused;
    const all = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers };
    answer.writeHead(status, { connection: 'close', ...all });
    answer.write(body);
    // As Go's server: a connection that closes while its client still sends would take the answer with it.
    const closing = setTimeout(() => answer.end(), CLOSE_AFTER_MS);
    incoming.on('end', () => answer.end());
    answer.on('close', () => {
      clearTimeout(closing);
    });
    incoming.on('error', () => undefined);
    incoming.resume();
    return true;
  }

  #answer(response: IncomingMessage, answer: ServerResponse): void {
    const headers = { ...response.headers };
    const isEndless = this.#fault === 'endless';
    if (isEndless) delete headers['content-length'];
    const trailers = response.headers['trailer'];
    answer.writeHead(response.statusCode ?? 502, headers);
    const spoil = this.#spoiler(String(response.headers['content-type']).includes('json'), answer);
    response.pipe(spoil).pipe(answer, { end: false });
    spoil.on('end', () => {
      if (trailers !== undefined) answer.addTrailers(response.trailers);
      if (isEndless) goOn(answer);
      else answer.end();
    });
  }

  #spoiler(isJson: boolean, answer: ServerResponse): Transform {
    let seen = 0;
    return new Transform({
      transform: (given: Buffer, _encoding, done) => {
        seen += given.length;
        this.received += given.length;
        const piece = this.#fault === 'lie' && !isJson ? flipped(given) : given;
        if (this.#fault === 'reset' && seen > this.#after) answer.destroy();
        else if (this.#fault !== 'stall') done(null, piece);
        // Without `done` nothing more comes.
        else answer.write(piece.subarray(0, this.#after));
      },
    });
  }
}

function flipped(piece: Buffer): Buffer {
  const copy = Buffer.from(piece);
  const at = copy.length >> 1;
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

function goOn(answer: ServerResponse): void {
  const spaces = Buffer.alloc(1 << 16, ' ');
  const more = (): void => {
    while (!answer.destroyed) if (!answer.write(spaces)) return;
  };
  answer.on('drain', more);
  more();
}
