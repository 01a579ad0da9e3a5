import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { AntirioError, isAntirioError } from '@antirio/kernel';

export interface PutBytes {
  /** So many are announced, and sent. */
  readonly size: number;
  /** A part is not touched any more once the next one is asked for. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Of the server, for messages. */
  readonly name: string;
  /**
   * A server that takes nothing for so long, or does not answer for so long once it has all, is given up, in milliseconds. The time
   * that the source takes does not count.
   */
  readonly idleMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Bytes that have been sent so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface PutAnswer {
  readonly status: number;
  /** As much of its body as is worth showing. */
  readonly text: string;
}

/** Handed over in one go: a way that carries as much in time is slow, and not idle. */
const SLICE_BYTES = 64 << 10;
/** In the time that a server has to take something: a machine that stood still has looked once, and waited for nobody. */
const LOOKS = 10;
const MAX_TEXT = 4096;

/**
 * A PUT of what may be large, on a connection of its own: one part is in memory at a time, and the next one is asked for when the
 * connection has taken it. An answer that comes before the end ends the sending. Redirects are answers, and not followed.
 * @throws AntirioError unavailable | timeout, corrupt where more or fewer bytes came than were announced, and what the source throws
 */
export async function putBytes(url: URL, put: PutBytes): Promise<PutAnswer> {
  const sending = new Sending(url, put);
  try {
    return await sending.answer();
  } finally {
    sending.end();
  }
}

class Sending {
  readonly #put: PutBytes;
  readonly #outgoing: ClientRequest;
  #idle: NodeJS.Timeout | undefined;
  /** Nothing more is to be sent. */
  #isOver = false;

  constructor(url: URL, put: PutBytes) {
    const { size, signal } = put;
    const headers = { 'content-type': 'application/octet-stream', 'content-length': size };
    const send = url.protocol === 'https:' ? tlsRequest : request;
    this.#put = put;
    this.#outgoing = send(url, { method: 'PUT', agent: false, headers, signal });
  }

  answer(): Promise<PutAnswer> {
    return new Promise((resolve, reject) => {
      let isAnswered = false;
      this.#outgoing.on('response', (incoming) => {
        this.#isOver = isAnswered = true;
        this.#wait();
        void textOf(incoming).then((text) => resolve({ status: incoming.statusCode ?? 0, text }));
      });
      const fail = (cause?: unknown): void => {
        this.#isOver = true;
        // Whoever has begun to answer may end the connection: what it said counts.
        if (!isAnswered) reject(this.#failureOf(cause));
      };
      this.#outgoing.on('error', fail);
      this.#outgoing.on('close', () => fail());
      this.#send().catch(reject);
    });
  }

  end(): void {
    this.#isOver = true;
    clearInterval(this.#idle);
    this.#outgoing.destroy();
  }

  /** Fails only with what is wrong with the source: what is wrong with the connection is told by its events. */
  async #send(): Promise<void> {
    const { bytes, size, onProgress } = this.#put;
    let sent = 0;
    for await (const part of bytes) {
      if (sent + part.length > size) throw this.#wrongSize('more');
      if (!(await this.#write(part))) return;
      sent += part.length;
      onProgress?.(sent);
    }
    if (this.#isOver) return;
    if (sent < size) throw this.#wrongSize(sent);
    this.#wait();
    this.#outgoing.end();
  }

  /** Whether there is more to send. */
  async #write(part: Uint8Array): Promise<boolean> {
    for (let at = 0; at < part.length && !this.#isOver; at += SLICE_BYTES) {
      this.#wait();
      if (!(await this.#taken(part.subarray(at, at + SLICE_BYTES)))) return false;
      this.#rest();
    }
    return !this.#isOver;
  }

  /** Resolves when the memory of a slice is free again; false where the connection did not take it. */
  #taken(slice: Uint8Array): Promise<boolean> {
    const outgoing = this.#outgoing;
    return new Promise((resolve) => {
      const lost = (): void => resolve(false);
      outgoing.once('close', lost);
      outgoing.write(slice, (error) => {
        outgoing.off('close', lost);
        resolve(error === null || error === undefined);
      });
    });
  }

  /** From now on it is the server's time. */
  #wait(): void {
    const { idleMs, name } = this.#put;
    clearInterval(this.#idle);
    let looks = LOOKS;
    this.#idle = setInterval(() => {
      looks -= 1;
      if (looks > 0) return;
      this.#outgoing.destroy(new AntirioError('timeout', `${name} took nothing for ${idleMs} ms`));
    }, idleMs / LOOKS);
  }

  /** From now on it is the source's, unless the server has begun to answer. */
  #rest(): void {
    if (!this.#isOver) clearInterval(this.#idle);
  }

  #wrongSize(came: number | string): AntirioError {
    return new AntirioError('corrupt', `of ${this.#put.size} bytes that were to be sent ${came} came`);
  }

  #failureOf(cause: unknown): AntirioError {
    if (isAntirioError(cause)) return cause;
    return new AntirioError('unavailable', `the connection to ${this.#put.name} broke off`, {}, cause);
  }
}

/** What came of it, where it breaks off. */
async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const piece of incoming) {
      text += String(piece);
      if (text.length > MAX_TEXT) break;
    }
  } catch {
    // The status says the most.
  }
  return text;
}
