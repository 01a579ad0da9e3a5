import { randomUUID } from 'node:crypto';
import { ContractBroken } from './contract-broken.ts';
import type { Contract, DocumentedAnswer, Method } from './contract.ts';

/** One request, and which status it is to get. */
export interface Exchange {
  readonly method: Method;
  /** As documented, with its parameters in braces. */
  readonly path: string;
  /** Path parameters; sent percent-encoded. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, in place of `json`; JSON text or bytes with a `content-type` of their own among the headers. */
  readonly body?: string | Uint8Array | FormData;
  readonly expect: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** The parsed body, undefined where it is no JSON. Integers beyond 2^53 lose digits: look at `text` for those. */
  readonly json: unknown;
  readonly text: string;
}

/** A documented status that no test of the suite gets, and why. */
export interface Unprovoked {
  readonly method: Method;
  readonly path: string;
  readonly status: number;
  readonly reason: string;
}

/** Requests to one running service, held to its contract, and the record of what was tried. */
export interface Suite {
  /**
   * Sends the request; the answer has the status that was expected, which is documented, with the headers, media type and body that are.
   * @throws ContractBroken saying what was wrong
   */
  exchange(exchange: Exchange): Promise<Answer>;
  /** `GET /path 404` for every documented answer that no exchange got, 500 too, or that needlessly stands among the unprovoked. */
  missing(): readonly string[];
}

export interface SuiteOptions {
  readonly contract: Contract;
  /** Of the service, up to and without `/api/v3`. */
  readonly url: () => string;
  readonly unprovoked?: readonly Unprovoked[];
}

const INTERNAL_ERROR = 500;
/** The documents have a 500 for what asks nothing that could fail as well. */
const STORELESS = ['/config', '/ping', '/version', '/uom'];
const JSON_TYPE = 'application/json';
const CORRELATION = 'x-correlation-id';

function fill(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new ContractBroken(`${path} needs the parameter ${name}`);
    return encodeURIComponent(value);
  });
}

function addressOf(url: string, { path, params = {}, query = {} }: Exchange): string {
  const texts = Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]);
  const search = new URLSearchParams(texts).toString();
  return `${url}/api/v3${fill(path, params)}${search === '' ? '' : `?${search}`}`;
}

function requestOf({ method, headers, json, body }: Exchange, correlation: string): RequestInit {
  const type = json === undefined ? {} : { 'content-type': JSON_TYPE };
  const sent = json === undefined ? body : JSON.stringify(json);
  return {
    method,
    headers: { [CORRELATION]: correlation, ...type, ...headers },
    ...(sent === undefined ? {} : { body: sent as NonNullable<RequestInit['body']> }),
  };
}

async function read(response: Response): Promise<Answer> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, bytes, json, text };
}

function headerFaults({ headers: documented }: DocumentedAnswer, { headers }: Answer): string[] {
  return [...documented].flatMap(([name, judge]) => {
    const value = headers.get(name);
    if (value === null) return [`there is no header ${name}`];
    const fault = judge(value);
    return fault === undefined ? [] : [`header ${name}: ${fault}`];
  });
}

function bodyFaults({ bodies }: DocumentedAnswer, { status, headers, json, bytes }: Answer): string[] {
  if (status === 204 && bytes.length > 0) return ['204 has a body'];
  if (bodies === undefined) return [];
  const type = headers.get('content-type')?.replace(/;.*/, '').trim() ?? '(none)';
  const judge = bodies.get(type);
  if (judge === undefined) return [`the media type ${type} is not documented`];
  if (type !== JSON_TYPE) return [];
  const fault = json === undefined ? 'no JSON' : judge(json);
  return fault === undefined ? [] : [`body: ${fault}`];
}

/** What the body says of the status is what the status is. */
function statusFaults({ status, json }: Answer): string[] {
  const said = (json as { readonly statusCode?: unknown } | null | undefined)?.statusCode;
  return said === undefined || said === status ? [] : [`the body says statusCode ${JSON.stringify(said)}`];
}

const keyOf = (method: Method, path: string, status: number): string => `${method} ${path} ${status}`;

function storeless({ operations }: Contract): Unprovoked[] {
  return operations
    .filter(({ path }) => STORELESS.includes(path))
    .map(({ method, path }) => ({ method, path, status: INTERNAL_ERROR, reason: 'it asks no store' }));
}

export function openSuite({ contract, url, unprovoked = [] }: SuiteOptions): Suite {
  const got = new Set<string>();
  const documented = contract.operations.flatMap(({ method, path, statuses }) =>
    statuses.map((status) => keyOf(method, path, status)),
  );
  const excused = new Set(
    [...storeless(contract), ...unprovoked].map(({ method, path, status }) => keyOf(method, path, status)),
  );

  return {
    async exchange(exchange) {
      const { method, path, expect } = exchange;
      const correlation = exchange.headers?.[CORRELATION] ?? randomUUID();
      const answer = await read(await fetch(addressOf(url(), exchange), requestOf(exchange, correlation)));
      const what = `${keyOf(method, path, answer.status)}: `;
      if (answer.status !== expect)
        throw new ContractBroken(`${what}expected ${expect}; ${answer.text.slice(0, 500)}`);
      const promised = contract.answer(method, path, answer.status);
      const faults = [
        ...(answer.headers.get(CORRELATION) === correlation ? [] : ['the correlation id is not echoed']),
        ...headerFaults(promised, answer),
        ...bodyFaults(promised, answer),
        ...statusFaults(answer),
      ];
      if (faults.length > 0)
        throw new ContractBroken(`${what}${faults.join('; ')}; ${answer.text.slice(0, 500)}`);
      got.add(keyOf(method, path, answer.status));
      return answer;
    },
    missing: () => [
      ...documented.filter((key) => !got.has(key) && !excused.has(key)),
      ...[...excused]
        .filter((key) => got.has(key) || !documented.includes(key))
        .map((key) => `${key} (needlessly excused)`),
    ],
  };
}
