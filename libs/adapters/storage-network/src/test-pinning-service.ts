import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

type Status = 'queued' | 'pinning' | 'pinned' | 'failed';

interface StoredPin {
  requestid: string;
  status: Status;
  created: string;
  pin: { cid: string; name?: string; origins?: string[]; meta?: Record<string, string> };
  delegates: string[];
  info: Record<string, string>;
}

interface Said {
  status: number;
  body?: unknown;
}

const refuse = (status: number, reason: string, details?: string): Said => ({
  status,
  body: { error: { reason, ...(details === undefined ? {} : { details }) } },
});

/**
 * A pinning service as the IPFS Pinning Service API 1.0 describes it: shapes, filters, pages, and what it refuses. What a real one
 * fetches in its own time is here moved on by `settle`.
 */
export class TestPinningService {
  readonly token = 'right-token';
  readonly pins: StoredPin[] = [];
  readonly asked: string[] = [];
  /** Answers everything with this, where it is set. */
  instead: Said | undefined;
  /** Most pins that it has room for. */
  room = 1000;
  url = '';
  #count = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      read(request).then(
        (body) => {
          const { status, body: said } = this.instead ?? this.#answer(request, body);
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(said === undefined ? undefined : JSON.stringify(said));
        },
        () => response.writeHead(400).end(),
      );
    });
  }

  async open(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api`;
    return this;
  }

  /** What is queued or being pinned becomes this. */
  settle(status: Status): void {
    for (const pin of this.pins) if (pin.status === 'queued' || pin.status === 'pinning') pin.status = status;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, body: string): Said {
    const url = new URL(request.url ?? '', this.url);
    this.asked.push(`${request.method ?? ''} ${url.pathname}${url.search}`);
    if (request.headers.authorization !== `Bearer ${this.token}`)
      return refuse(401, 'UNAUTHORIZED', 'Access token is missing or invalid');
    const id = /^\/api\/pins\/([^/]+)$/.exec(url.pathname)?.[1];
    if (id !== undefined) return this.#one(request, decodeURIComponent(id));
    if (url.pathname !== '/api/pins') return refuse(404, 'NOT_FOUND');
    if (request.method === 'GET') return this.#list(url.searchParams);
    if (request.method === 'POST') return this.#add(body);
    return refuse(405, 'METHOD_NOT_ALLOWED');
  }

  #one(request: IncomingMessage, id: string): Said {
    const at = this.pins.findIndex((pin) => pin.requestid === id);
    if (at < 0) return refuse(404, 'NOT_FOUND', 'The specified resource was not found');
    if (request.method === 'DELETE') this.pins.splice(at, 1);
    return request.method === 'DELETE' ? { status: 202 } : { status: 200, body: this.pins[at] };
  }

  #list(query: URLSearchParams): Said {
    const limit = Number(query.get('limit') ?? 10);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) return refuse(400, 'BAD_REQUEST', 'limit');
    const cids = query.get('cid')?.split(',');
    if (cids !== undefined && cids.length > 10) return refuse(400, 'BAD_REQUEST', 'cid');
    // Without the filter only those that are pinned are told.
    const statuses = (query.get('status') ?? 'pinned').split(',');
    const before = query.get('before');
    const name = query.get('name');
    const isNamed = (given = ''): boolean =>
      name === null || (query.get('match') === 'partial' ? given.includes(name) : given === name);
    const found = this.pins
      .filter((pin) => statuses.includes(pin.status) && (cids === undefined || cids.includes(pin.pin.cid)))
      .filter((pin) => isNamed(pin.pin.name))
      .filter((pin) => before === null || pin.created < before)
      .sort((a, b) => (a.created < b.created ? 1 : -1));
    return { status: 200, body: { count: found.length, results: found.slice(0, limit) } };
  }

  #add(body: string): Said {
    const pin = parse(body);
    if (pin === undefined) return refuse(400, 'BAD_REQUEST', 'The pin object is malformed');
    if (this.pins.length >= this.room)
      return refuse(409, 'INSUFFICIENT_FUNDS', 'Unable to process request due to the lack of funds');
    const made: StoredPin = {
      requestid: `request/${++this.#count}`,
      status: 'queued',
      created: new Date(1_700_000_000_000 + this.#count * 1000).toISOString(),
      pin,
      delegates: ['/ip4/203.0.113.1/tcp/4001/p2p/12D3KooWRQASEyzgCavpk84DVmkabrrJWr4hY48p9TE5yEa918ot'],
      info: { status_details: `Queue position: ${this.#count}` },
    };
    this.pins.push(made);
    return { status: 202, body: made };
  }
}

function parse(body: string): StoredPin['pin'] | undefined {
  try {
    const pin = JSON.parse(body) as StoredPin['pin'];
    const isName = pin.name === undefined || pin.name.length <= 255;
    const isShort = (pin.origins ?? []).length <= 20;
    return /^(Qm|b)[A-Za-z0-9]{30,}$/.test(pin.cid) && isName && isShort ? pin : undefined;
  } catch {
    return undefined;
  }
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request) text += String(piece);
  return text;
}
