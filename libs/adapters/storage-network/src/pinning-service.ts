import { httpPeer, type HttpAnswer, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError, type ErrorCode } from '@antirio/kernel';
import { z } from 'zod';
import { readSecret } from './kubo-rpc.ts';

const pinStatus = z.object({
  requestid: z.string().min(1).max(1024),
  status: z.enum(['queued', 'pinning', 'pinned', 'failed']),
  created: z.iso.datetime({ offset: true }),
  pin: z.object({ cid: z.string().max(1024), name: z.string().max(255).nullish() }),
  delegates: z.array(z.string().max(1024)).max(64).default([]),
  info: z.record(z.string(), z.string()).nullish(),
});

const pinResults = z.object({ count: z.int().min(0), results: z.array(pinStatus).max(1000) });

/** What a pinning service tells of one request. */
export type RemotePin = z.output<typeof pinStatus>;

export interface PinRequest {
  readonly cid: string;
  /** Up to 255 characters. */
  readonly name: string;
  /** Where the blocks can be had; up to 20 are told. */
  readonly origins: readonly string[];
}

/**
 * A remote pinning service by the IPFS Pinning Service API (https://ipfs.github.io/pinning-services-api-spec/).
 * @throws AntirioError invalidInput (400) | unauthenticated (401) | notFound (404) | storageFull (409: it wants money or room) | busy (429) |
 * unavailable | timeout
 */
export interface PinningService {
  readonly name: string;
  /** All requests for a CID, whatever has become of them. */
  list(cid: string): Promise<RemotePin[]>;
  /** All requests with this in their names. */
  named(part: string): Promise<RemotePin[]>;
  add(pin: PinRequest): Promise<RemotePin>;
  get(requestId: string): Promise<RemotePin>;
  /** False where it has no such request. */
  remove(requestId: string): Promise<boolean>;
  /** Asks for a single request, as a sign of life and of valid credentials. */
  requireWell(): Promise<void>;
  close(): void;
}

export interface PinningServiceOptions {
  /** What stands before `/pins`. */
  readonly endpoint: string;
  /** Holds the access token; read at each call. */
  readonly tokenFile: string;
  readonly timeoutMs?: number;
}

const PAGE = 100;
const MAX_PAGES = 100;
const MAX_ORIGINS = 20;
const MAX_ANSWER_BYTES = 4 << 20;
const ALL = 'queued,pinning,pinned,failed';

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalidInput',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'notFound',
  409: 'storageFull',
  413: 'storageFull',
  429: 'busy',
  507: 'storageFull',
};

/** @throws AntirioError badConfig for what is no URL of a service */
export function pinningService(options: PinningServiceOptions): PinningService {
  const url = URL.parse(options.endpoint);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (!isPlain || url.hash !== '')
    throw new AntirioError('badConfig', `not the endpoint of a pinning service: ${options.endpoint}`);
  return new HttpPinningService(options, url);
}

class HttpPinningService implements PinningService {
  readonly name: string;
  readonly #options: PinningServiceOptions;
  readonly #peer: HttpPeer;
  readonly #below: string;

  constructor(options: PinningServiceOptions, url: URL) {
    this.#options = options;
    // What fails is told with the address of the peer, and a path may hold a token.
    this.#peer = httpPeer({ url: url.origin });
    this.#below = url.pathname.replace(/\/+$/, '');
    this.name = `pinning:${url.host}`;
  }

  list(cid: string): Promise<RemotePin[]> {
    return this.#pages({ cid });
  }

  named(part: string): Promise<RemotePin[]> {
    return this.#pages({ name: part, match: 'partial' });
  }

  /** The newest come first; each page is of what was made before the last one of the page before. */
  async #pages(filter: Readonly<Record<string, string>>): Promise<RemotePin[]> {
    const found = new Map<string, RemotePin>();
    let before: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const query = new URLSearchParams({ ...filter, status: ALL, limit: String(PAGE) });
      if (before !== undefined) query.set('before', before);
      const answer = await this.#call({ path: `/pins?${query.toString()}` });
      const { count, results } = this.#read(pinResults, answer);
      for (const pin of results) found.set(pin.requestid, pin);
      before = results.at(-1)?.created;
      if (results.length === 0 || results.length >= count) return [...found.values()];
    }
    throw new AntirioError(
      'tooLarge',
      `${this.name} has over ${MAX_PAGES * PAGE} requests for ${Object.values(filter).join(' ')}`,
    );
  }

  async add({ cid, name, origins }: PinRequest): Promise<RemotePin> {
    const json = { cid, name: name.slice(0, 255), origins: origins.slice(0, MAX_ORIGINS) };
    return this.#read(pinStatus, await this.#call({ method: 'POST', path: '/pins', json }));
  }

  async get(requestId: string): Promise<RemotePin> {
    return this.#read(pinStatus, await this.#call({ path: pathOf(requestId) }));
  }

  async remove(requestId: string): Promise<boolean> {
    const answer = await this.#call({ method: 'DELETE', path: pathOf(requestId) }, 404);
    return answer.status !== 404;
  }

  async requireWell(): Promise<void> {
    this.#read(pinResults, await this.#call({ path: '/pins?limit=1' }));
  }

  close(): void {
    this.#peer.close();
  }

  async #call(call: HttpCall, expected?: number): Promise<HttpAnswer> {
    const { timeoutMs = 15_000, tokenFile } = this.#options;
    const headers = { authorization: `Bearer ${readSecret(tokenFile)}` };
    const answer = await this.#peer.call({
      ...call,
      path: this.#below + call.path,
      headers,
      timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    if ((answer.status < 200 || answer.status > 299) && answer.status !== expected)
      throw this.#failure(answer);
    return answer;
  }

  #failure(answer: HttpAnswer): AntirioError {
    const { status } = answer;
    if (status >= 300 && status < 400)
      return new AntirioError('forbidden', `${this.name} redirects, which is not followed`, { status });
    return new AntirioError(CODES[status] ?? 'unavailable', `${this.name}: ${reasonOf(answer)}`, { status });
  }

  #read<T>(shape: z.ZodType<T>, answer: HttpAnswer): T {
    const read = shape.safeParse(answer.json());
    if (read.success) return read.data;
    const issue = z.prettifyError(read.error);
    throw new AntirioError('unavailable', `${this.name} does not answer as the API says: ${issue}`);
  }
}

const pathOf = (requestId: string): string => `/pins/${encodeURIComponent(requestId)}`;

const failure = z.object({ error: z.object({ reason: z.string(), details: z.string().optional() }) });

function reasonOf(answer: HttpAnswer): string {
  try {
    const { reason, details } = failure.parse(answer.json()).error;
    return `${reason}${details === undefined ? '' : ` (${details})`}`.slice(0, 500);
  } catch {
    return `HTTP ${answer.status}`;
  }
}
