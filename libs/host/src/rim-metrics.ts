import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Counter, collectDefaultMetrics, type Registry } from 'prom-client';
import type { AntirioError } from '@antirio/kernel';
import { answerEarly, isComing } from './early-answer.ts';
import { errorBody } from './error-answer.ts';
import { refusalOf, type RimAccess } from './rim-access.ts';

/** What a registered metric is, whether it has a value yet or not. */
export interface MetricView {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** As prom-client keeps it. */
interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames?: readonly string[];
}

export function listMetrics(registry: Registry): MetricView[] {
  return (registry.getMetricsAsArray() as unknown as Registered[])
    .map((metric) => ({
      name: metric.name,
      type: metric.type,
      help: metric.help,
      labels: [...(metric.labelNames ?? [])],
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The process's own metrics are collected from the first time on that somebody asks for any. */
export function withProcessMetrics(registry: Registry): () => Registry {
  let collecting = false;
  return () => {
    if (!collecting) collectDefaultMetrics({ register: registry });
    collecting = true;
    return registry;
  };
}

export type CountRequest = (method: string | undefined, status: number, tookMs: number) => void;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Requests by method and status: plain additions, which cost next to nothing; they become metrics when somebody asks. */
export function createRequestCount(registry: Registry): CountRequest {
  const counts = new Map<string, { method: string; status: number; requests: number; ms: number }>();
  const labelNames = ['method', 'status'];
  const counter = (name: string, help: string, value: (one: { requests: number; ms: number }) => number) =>
    new Counter({
      ...{ name, help, labelNames, registers: [registry] },
      collect() {
        this.reset();
        for (const { method, status, ...one } of counts.values())
          this.inc({ method, status: String(status) }, value(one));
      },
    });
  counter('antirio_http_requests_total', 'HTTP requests that were answered', ({ requests }) => requests);
  counter('antirio_http_request_seconds_total', 'time that they took, in sum', ({ ms }) => ms / 1000);
  return (given = '', status, tookMs) => {
    const method = METHODS.has(given) ? given : 'OTHER';
    const key = `${method} ${status}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { method, status, requests: 1, ms: tookMs });
    else {
      known.requests += 1;
      known.ms += tookMs;
    }
  };
}

/** Counts a request when it is answered. */
export function countAnswer(
  count: CountRequest,
  { method }: IncomingMessage,
  response: ServerResponse,
): void {
  const began = performance.now();
  response.once('finish', () => count(method, response.statusCode, performance.now() - began));
}

/** Of what a stranger sends little is read. */
const STRANGERS_BODY = { bytes: 1 << 20, ms: 1000 };

function answerRefusal(refusal: AntirioError, request: IncomingMessage, response: ServerResponse): void {
  const body = errorBody(refusal, undefined);
  if (refusal.statusCode === 401) response.setHeader('www-authenticate', 'Bearer');
  if (isComing(request)) {
    answerEarly(request, response, refusal.statusCode, body, STRANGERS_BODY);
    return;
  }
  const text = JSON.stringify(body);
  response.writeHead(refusal.statusCode, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** Lets through who may ask for what is asked. */
export function guarded(
  then: RequestListener,
  access: RimAccess,
  serviceKey: string,
  registry: Registry,
): RequestListener {
  const refused = new Counter({
    name: 'antirio_http_refused_total',
    help: 'requests refused for want of a token, or of its scope',
    labelNames: ['status'],
    registers: [registry],
  });
  return (request, response) => {
    const refusal = refusalOf(access, serviceKey, request);
    if (refusal === undefined) {
      then(request, response);
      return;
    }
    refused.inc({ status: refusal.statusCode });
    answerRefusal(refusal, request, response);
  };
}
