import { readFileSync } from 'node:fs';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { AntirioError, isAntirioError, type ErrorCode } from '@antirio/kernel';

/** What a command is given: its arguments and options, as Kubo's RPC names them. */
export type KuboQuery = Readonly<Record<string, string | number | boolean>>;

export interface KuboCall {
  readonly signal?: AbortSignal | undefined;
  /** Without a byte in either direction for so long the call is given up (default that of the node). */
  readonly idleMs?: number | undefined;
  /** Of the answer (default 1 MiB). */
  readonly maxBytes?: number;
  /** Sent as the one file of a multipart form, as it comes. */
  readonly file?: AsyncIterable<Uint8Array>;
}

/**
 * One Kubo node by its RPC (`/api/v0`), in plain HTTP: every command is a POST, every failure of one HTTP 500 with a message, from which the
 * code is read. Redirects are not followed.
 * @throws AntirioError notFound | storageFull | timeout | unavailable | unauthenticated | forbidden | tooLarge
 */
export interface KuboRpc {
  readonly url: string;
  /** Without a byte in either direction for so long a call is given up. */
  readonly idleMs: number;
  /** The objects of an answer: one, or a line of JSON each. */
  ask(command: string, query?: KuboQuery, call?: KuboCall): Promise<Record<string, unknown>[]>;
  /** The bytes of an answer, whole. */
  bytes(command: string, query: KuboQuery, call: KuboCall & { maxBytes: number }): Promise<Uint8Array>;
  /** The bytes of an answer as they come. Fails at the end where Kubo says in a trailer that it broke off. */
  stream(command: string, query: KuboQuery, call?: KuboCall): AsyncIterable<Uint8Array>;
  close(): void;
}

export interface KuboRpcOptions {
  /** Of the API, with or without `/api/v0`. */
  readonly url: string;
  /** Holds `bearer:<token>` or `basic:<user>:<password>`, as Kubo's `API.Authorizations` has it; read at each call. */
  readonly authFile?: string | undefined;
  readonly idleMs: number;
}

const MAX_ANSWER_BYTES = 1 << 20;
const MAX_ERROR_BYTES = 16 << 10;
const BOUNDARY = 'antirio-8f2b6c1d9a7e4f03';
const HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="dag.car"\r\nContent-Type: application/octet-stream\r\n\r\n`;
const TAIL = `\r\n--${BOUNDARY}--\r\n`;

/** @throws AntirioError badConfig for what is no URL of an RPC */
export function kuboRpc(options: KuboRpcOptions): KuboRpc {
  return new HttpKuboRpc(options, apiOf(options.url));
}

function apiOf(text: string): URL {
  const url = URL.parse(text);
  const isApi = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (!isApi || url.password !== '' || url.hash !== '')
    throw new AntirioError(
      'badConfig',
      `not the URL of a Kubo RPC: ${text}; it takes http or https, host and port`,
    );
  url.pathname = `${url.pathname.replace(/\/+$/, '').replace(/\/api\/v0$/, '')}/api/v0/`;
  return url;
}

class HttpKuboRpc implements KuboRpc {
  readonly url: string;
  readonly idleMs: number;
  readonly #api: URL;
  readonly #options: KuboRpcOptions;
  readonly #agent: Agent;

  constructor(options: KuboRpcOptions, api: URL) {
    this.#options = options;
    this.idleMs = options.idleMs;
    this.#api = api;
    this.url = api.origin;
    const pool = { keepAlive: true, maxSockets: 32 };
    this.#agent = api.protocol === 'https:' ? new TlsAgent(pool) : new Agent(pool);
  }

  async ask(command: string, query: KuboQuery = {}, call: KuboCall = {}): Promise<Record<string, unknown>[]> {
    const { maxBytes = MAX_ANSWER_BYTES } = call;
    return parseLines(await this.bytes(command, query, { ...call, maxBytes }), this.url);
  }

  async bytes(command: string, query: KuboQuery, call: KuboCall & { maxBytes: number }): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.stream(command, query, call)) {
      size += piece.length;
      if (size > call.maxBytes)
        throw new AntirioError('tooLarge', `${this.url} answers ${command} with over ${call.maxBytes} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  async *stream(command: string, query: KuboQuery, call: KuboCall = {}): AsyncGenerator<Uint8Array> {
    const incoming = await this.#send(command, query, call);
    try {
      if (incoming.statusCode !== 200) throw await failureOf(this.url, command, incoming);
      for await (const piece of incoming) yield piece as Uint8Array;
      const broken = incoming.trailers['x-stream-error'];
      if (broken !== undefined) throw asKuboError(this.url, command, broken);
    } catch (cause) {
      throw this.#asFailure(command, cause, call.signal);
    } finally {
      incoming.destroy();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(command: string, query: KuboQuery, call: KuboCall): Promise<IncomingMessage> {
    const url = new URL(command, this.#api);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    const { signal, file, idleMs = this.idleMs } = call;
    const headers: Record<string, string> = { ...this.#authorization() };
    if (file !== undefined) headers['content-type'] = `multipart/form-data; boundary=${BOUNDARY}`;
    const send = url.protocol === 'https:' ? tlsRequest : request;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) throw brokenOff();
      // What is streamed cannot be sent again, as it must be where a kept connection has been closed meanwhile.
      const agent = file === undefined ? this.#agent : false;
      const outgoing = send(url, { method: 'POST', headers, agent, timeout: idleMs, signal });
      outgoing.on('timeout', () => {
        outgoing.destroy(
          new AntirioError('timeout', `${this.url} was silent for ${idleMs} ms at ${command}`),
        );
      });
      outgoing.on('error', (cause: NodeJS.ErrnoException) => {
        if (outgoing.reusedSocket && cause.code === 'ECONNRESET') resolve(this.#send(command, query, call));
        else reject(this.#asFailure(command, cause, signal));
      });
      outgoing.on('response', (incoming) => {
        // Whoever reads the body is told; before somebody does, there must be a listener.
        incoming.on('error', () => undefined);
        resolve(incoming);
      });
      if (file === undefined) outgoing.end();
      else upload(file, outgoing, reject);
    });
  }

  #authorization(): Record<string, string> {
    const { authFile } = this.#options;
    if (authFile === undefined) return {};
    const secret = readSecret(authFile);
    const [, kind, rest = ''] = /^(bearer|basic):(\S+)$/.exec(secret) ?? [];
    if (kind === 'bearer') return { authorization: `Bearer ${rest}` };
    if (kind === 'basic') return { authorization: `Basic ${Buffer.from(rest).toString('base64')}` };
    throw new AntirioError(
      'badConfig',
      `${authFile} holds neither bearer:<token> nor basic:<user>:<password>`,
    );
  }

  #asFailure(command: string, cause: unknown, signal: AbortSignal | undefined): AntirioError {
    if (signal?.aborted === true) return brokenOff();
    if (isAntirioError(cause)) return cause;
    return new AntirioError('unavailable', `${this.url} does not answer ${command}`, {}, cause);
  }
}

const brokenOff = (): AntirioError => new AntirioError('timeout', 'it was broken off');

/** The trimmed content of a file with a secret. @throws AntirioError badConfig */
export function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new AntirioError('badConfig', `the secret in ${file} cannot be read`, {}, cause);
  }
}

/** What the source throws is what the call fails with; an answer that comes before the end ends the sending. */
function upload(
  file: AsyncIterable<Uint8Array>,
  outgoing: ClientRequest,
  reject: (error: Error) => void,
): void {
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from(HEAD);
    yield* file;
    yield Buffer.from(TAIL);
  };
  const body = Readable.from(parts(), { objectMode: true, highWaterMark: 1 });
  body.on('error', (error) => {
    reject(error);
    outgoing.destroy();
  });
  outgoing.on('response', () => {
    if (!body.readableEnded) body.destroy();
  });
  outgoing.on('close', () => body.destroy());
  body.pipe(outgoing);
}

function parseLines(bytes: Uint8Array, url: string): Record<string, unknown>[] {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const value = parseLine(line, url);
      const { Message } = value;
      if (typeof Message === 'string' && value['Type'] === 'error') throw asKuboError(url, 'it', Message);
      return value;
    });
}

function parseLine(line: string, url: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new AntirioError('unavailable', `${url} answers with what is no JSON object`);
}

async function failureOf(url: string, command: string, incoming: IncomingMessage): Promise<AntirioError> {
  const status = incoming.statusCode ?? 0;
  if (status >= 300 && status < 400)
    return new AntirioError('forbidden', `${url} redirects (HTTP ${status}), which is not followed`, {
      status,
    });
  if (status === 401)
    return new AntirioError('unauthenticated', `${url} takes no such credentials`, { status });
  if (status === 403) return new AntirioError('forbidden', `${url} does not let us ${command}`, { status });
  const said = await messageOf(incoming);
  if (status === 507 || status === 413) return new AntirioError('storageFull', `${url}: ${said}`, { status });
  if (status === 500) return asKuboError(url, command, said);
  return new AntirioError('unavailable', `${url} answers ${command} with HTTP ${status}: ${said}`, {
    status,
  });
}

async function messageOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of incoming) {
    text += String(piece);
    if (text.length > MAX_ERROR_BYTES) break;
  }
  try {
    const { Message } = JSON.parse(text) as { Message?: unknown };
    if (typeof Message === 'string') return Message;
  } catch {
    // Then the text itself is what it says.
  }
  return text.slice(0, 500);
}

/** Kubo's errors have no codes that tell them apart, but their texts have stayed the same for years. */
const MEANINGS: readonly [RegExp, ErrorCode][] = [
  [/could not find|not found locally|is not pinned|not pinned or pinned|merkledag: not found/i, 'notFound'],
  [/no space left|disk quota|not enough (disk )?space|storage limit|exceeds? .*StorageMax/i, 'storageFull'],
  [/deadline exceeded|timed out/i, 'timeout'],
];

function asKuboError(url: string, command: string, message: string): AntirioError {
  const code = MEANINGS.find(([text]) => text.test(message))?.[1] ?? 'unavailable';
  return new AntirioError(code, `${url} fails at ${command}: ${message.slice(0, 500)}`);
}
