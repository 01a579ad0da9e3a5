import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { AddressInfo, Server } from 'node:net';
import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import { AntirioError, describeError } from '@antirio/kernel';
import { answerLate } from './client-error.ts';
import { parseInput } from './config.ts';
import { CORRELATION_HEADER, isCorrelation, withCorrelation } from './correlation.ts';
import { answerEarly, isAnsweredEarly, isComing } from './early-answer.ts';
import { API_VERSION, errorBody, statusOf } from './error-answer.ts';
import { takeHotRoutes, type HotRoute } from './hot-route.ts';
import { plainListening, tlsListening, type Listening } from './listening.ts';
import type { Log } from './log.ts';
import { openApi, type DocumentedRoute, type Method } from './open-api.ts';
import { isStranger, type RimAccess } from './rim-access.ts';
import { logAnswer } from './log-answer.ts';
import { countAnswer, createRequestCount, guarded, listMetrics, withProcessMetrics } from './rim-metrics.ts';
import { isHealthy, type Health } from './service.ts';
import { shown } from './logins.ts';
import { removeStaleSocket } from './stale-socket.ts';

const MAX_BODY_BYTES = 1 << 20;
const REQUEST_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
const JSON_TYPES = ['application/json', '+json'];

/** What one route takes and gives; the OpenAPI document is made from it. */
export interface RouteSpec<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly summary: string;
  readonly params?: P;
  readonly query?: Q;
  /** A JSON body; leave it out for routes that read `request.body` as bytes or not at all. */
  readonly body?: B;
  /** How a body that is refused is told about, in place of the paths and messages of the schema. */
  readonly refusal?: (error: z.ZodError, body: unknown) => string;
  readonly answer?: z.ZodType;
  /** Media type of a body, or an answer, that is no JSON. */
  readonly bodyType?: string;
  readonly answerType?: string;
  readonly status?: number;
}

export interface RouteInput<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly request: Request;
  readonly response: Response;
}

export interface HttpRim {
  readonly app: Express;
  readonly metrics: Registry;
  /**
   * Adds a route. What the handler returns is sent as JSON with the route's status; undefined sends nothing but the status,
   * unless the handler has answered by itself.
   */
  route<P extends z.ZodType = z.ZodAny, Q extends z.ZodType = z.ZodAny, B extends z.ZodType = z.ZodAny>(
    method: Method,
    path: string,
    spec: RouteSpec<P, Q, B>,
    handler: (input: RouteInput<z.output<P>, z.output<Q>, z.output<B>>) => unknown,
  ): void;
  /**
   * Takes the plain requests of a route past express, where that would cost more than what the route does. The same route has to be added
   * with `route`: it documents it, and answers the requests that are not plain. Only where the rim has a `parseBody`.
   */
  hotRoute(hot: HotRoute): void;
  /** Listens; port 0 takes a free one. Resolves with the port. @throws AntirioError unavailable when the port is taken. */
  listen(port: number, bind: string): Promise<number>;
  /** Listens on a unix socket; one that a killed process left is replaced. @throws AntirioError unavailable | badConfig where the name is in use. */
  listenOn(socketPath: string): Promise<void>;
  close(): Promise<void>;
}

export interface RimOptions {
  /** EdgeX's service key, such as `core-data`. */
  readonly serviceKey: string;
  readonly version: string;
  /** Shown at `/config`, so without secrets. */
  readonly config: () => unknown;
  readonly health: () => Health | Promise<Health>;
  readonly log: Log;
  /** Bodies over this are refused with 413 (default 1 MiB). */
  readonly maxBodyBytes?: number;
  /** From a connection's, or the next request's, first byte to the last one of its body; answered with 408 (default 30 s). */
  readonly requestWithinMs?: number;
  /** Requests whose bodies may take longer: their routes read them as streams, and see to it that bytes come. */
  readonly isUpload?: (request: IncomingMessage) => boolean;
  /**
   * Reads bodies of every media type in place of the JSON parser, where other forms must be read or integers keep their digits:
   * what it gives is `body`, and the bytes themselves are `response.locals.bytes`.
   */
  readonly parseBody?: (bytes: Uint8Array, contentType: string | undefined) => unknown;
  readonly clock: { now(): number };
  /** Who may call by TCP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  /** Run for every request, before its body is read. */
  readonly before?: readonly RequestHandler[];
}

type BodyRules = Pick<RouteSpec<z.ZodType, z.ZodType, z.ZodType>, 'body' | 'refusal'>;

/** @throws AntirioError invalidInput */
function bodyOf({ body: schema, refusal }: BodyRules, body: unknown): unknown {
  if (schema === undefined) return body;
  if (refusal === undefined) return parseInput(schema, body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', refusal(parsed.error, body));
}

/** The body parsers would read all of it before they refuse it. */
const refuseLongBodies =
  (limit: number, types?: string[]): RequestHandler =>
  (request, response, next) => {
    const tooLarge = (): AntirioError => new AntirioError('tooLarge', `request body over ${limit} bytes`);
    // other types are for the routes to read, which have limits of their own
    if (types !== undefined && request.is(types) === false) {
      next();
      return;
    }
    if (Number(request.headers['content-length'] ?? 0) > limit) {
      next(tooLarge());
      return;
    }
    if (request.headers['transfer-encoding'] !== undefined)
      whenOver(request, limit, () => {
        if (response.headersSent) return;
        const error = tooLarge();
        answerEarly(request, response, error.statusCode, errorBody(error, undefined));
      });
    next();
  };

/** Calls once when more than so many bytes of the body have come; does not read by itself. */
function whenOver(request: IncomingMessage, limit: number, call: () => void): void {
  let size = 0;
  const count = (chunk: Buffer): void => {
    size += chunk.length;
    if (size <= limit) return;
    request.off('data', count);
    call();
  };
  request.on('data', count);
}

/** In place of the server's own limit, which is one for all requests. */
const bodyWithin =
  (ms: number, isUpload: (request: IncomingMessage) => boolean): RequestHandler =>
  (request, response, next) => {
    if (!isUpload(request)) {
      const timer = setTimeout(() => {
        if (request.complete) return;
        if (response.headersSent) request.destroy();
        else answerLate(request.socket);
      }, ms);
      for (const done of ['end', 'close']) request.once(done, () => clearTimeout(timer));
    }
    next();
  };

function bodyReaders(options: RimOptions): RequestHandler[] {
  const limit = options.maxBodyBytes ?? MAX_BODY_BYTES;
  const { parseBody } = options;
  if (parseBody === undefined)
    return [refuseLongBodies(limit, JSON_TYPES), express.json({ limit, strict: false, type: JSON_TYPES })];
  const read: RequestHandler = (request, response, next) => {
    const bytes: unknown = request.body;
    if (bytes instanceof Uint8Array) {
      response.locals['bytes'] = bytes;
      // a body that cannot be read is none to look for a request id in
      request.body = undefined;
      request.body = parseBody(bytes, request.get('content-type'));
    }
    next();
  };
  return [refuseLongBodies(limit), express.raw({ limit, type: () => true }), read];
}

/** The HTTP side of a room: EdgeX's common resources, checked input, error bodies, correlation ids, limits, metrics. */
export function createHttpRim(options: RimOptions): HttpRim {
  const { serviceKey, version, log, requestWithinMs = REQUEST_WITHIN_MS } = options;
  const app = express();
  const metrics = new Registry();
  const routes: DocumentedRoute[] = [];
  const listenings: Listening[] = [];
  const hot: HotRoute[] = [];
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  const count = createRequestCount(metrics);
  app.use((request, response, next) => {
    countAnswer(count, request, response);
    const correlation = request.get(CORRELATION_HEADER);
    if (isCorrelation(correlation)) response.set(CORRELATION_HEADER, correlation);
    // one that comes without a name gets one, for what is called and logged because of it
    withCorrelation(isCorrelation(correlation) ? correlation : randomUUID(), () => {
      if (log.isLevelEnabled('debug')) logAnswer(log, request, response);
      next();
    });
  });
  if (options.isUpload !== undefined) app.use(bodyWithin(requestWithinMs, options.isUpload));
  app.use(...(options.before ?? []), ...bodyReaders(options));

  const route: HttpRim['route'] = (method, path, spec, handler) => {
    routes.push({ method, path, spec });
    const handle: RequestHandler = async (request, response) => {
      const input = {
        params: spec.params === undefined ? request.params : parseInput(spec.params, request.params),
        query: spec.query === undefined ? request.query : parseInput(spec.query, request.query),
        body: bodyOf(spec, request.body),
        request,
        response,
      };
      const answer = await handler(input as Parameters<typeof handler>[0]);
      if (response.headersSent || response.writableEnded) return;
      response.status(spec.status ?? 200);
      if (answer === undefined) response.end();
      else response.json(answer);
    };
    app[method](path, handle);
  };

  const base = { apiVersion: API_VERSION, serviceName: serviceKey };
  route('get', '/api/v3/ping', { summary: 'whether the process answers' }, () => ({
    ...base,
    timestamp: new Date(options.clock.now()).toUTCString(),
  }));
  route('get', '/api/v3/version', { summary: 'the version' }, () => ({ ...base, version }));
  route('get', '/api/v3/config', { summary: 'the configuration in force, without secrets' }, () => ({
    ...base,
    config: shown(options.config()),
  }));
  const readiness = { summary: 'the truth about store, bus and peers' };
  route('get', '/api/v3/ready', readiness, async ({ request, response }) => {
    const checks = await options.health();
    response.status(isHealthy(checks) ? 200 : 503);
    const told = isStranger(options.access, request) ? {} : checks;
    response.json({ ...base, ready: isHealthy(checks), checks: told });
  });
  route('get', '/api/v3/openapi.json', { summary: 'this document' }, () =>
    openApi(serviceKey, version, routes),
  );
  const collected = withProcessMetrics(metrics);
  app.get('/api/v3/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await collected().metrics());
  });
  route('get', '/api/v3/metrics/list', { summary: 'what the metrics are' }, () => ({
    ...base,
    metrics: listMetrics(collected()),
  }));

  const fail = (error: unknown, request: Request, response: Response, _next: NextFunction): void => {
    const statusCode = statusOf(error);
    if (statusCode >= 500) log.error({ path: request.path, error: describeError(error) }, 'request failed');
    if (isAnsweredEarly(response)) return;
    if (!response.headersSent && isComing(request)) {
      answerEarly(request, response, statusCode, errorBody(error, request.body));
      return;
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(statusCode).json(errorBody(error, request.body));
  };
  /** What no route has answered: a path that has others, or none. */
  const finish = (): void => {
    for (const path of new Set(routes.map((route) => route.path)))
      // not `app.all`, which makes a handler for each of 35 methods: of all paths of an edge those held 4 MB
      app.route(path).all((request, response, next) => {
        const methods = routes.filter((one) => one.path === path).map(({ method }) => method.toUpperCase());
        response.set('allow', methods.join(', '));
        next(new AntirioError('methodNotAllowed', `no ${request.method} on ${request.path}`));
      });
    app.use((request, _response, next) => {
      next(new AntirioError('notFound', `no resource ${request.method} ${request.path}`));
    });
    app.use(fail);
  };
  const listener = (): RequestListener => {
    const { parseBody, maxBodyBytes = MAX_BODY_BYTES } = options;
    const others = (request: IncomingMessage, response: ServerResponse): void => {
      app(request as Request, response as Response);
    };
    return hot.length === 0 || parseBody === undefined
      ? others
      : takeHotRoutes(hot, others, { log, maxBodyBytes, parseBody, count });
  };
  const { access } = options;
  let shared: RequestListener | undefined;
  const open = async (
    make: (whole: RequestListener) => Listening,
    start: (server: Server) => void,
  ): Promise<Server> => {
    if (shared === undefined) finish();
    const listening = make((shared ??= listener()));
    const { server } = listening;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'EADDRINUSE' ? 'its port is taken' : 'cannot listen';
        reject(new AntirioError('unavailable', `${serviceKey}: ${why}`, {}, cause));
      });
      server.once('listening', resolve);
      start(server);
    });
    listenings.push(listening);
    return server;
  };
  const limits = {
    requestTimeout: options.isUpload === undefined ? requestWithinMs : 0,
    headersTimeout: Math.min(HEADERS_WITHIN_MS, requestWithinMs),
    connectionsCheckingInterval: Math.ceil(requestWithinMs / 6),
    keepAliveTimeout: 30_000,
  };
  const byTcp = (whole: RequestListener): Listening => {
    if (access === undefined) return plainListening(limits, whole);
    const { tls } = access;
    const asking = guarded(whole, access, serviceKey, metrics);
    return tls === undefined
      ? plainListening(limits, asking)
      : tlsListening(limits, asking, { ...access, tls });
  };
  return {
    app,
    metrics,
    route,
    hotRoute: (added) => void hot.push(added),
    async listen(port, bind) {
      const server = await open(byTcp, (s) => s.listen(port, bind));
      return (server.address() as AddressInfo).port;
    },
    async listenOn(socketPath) {
      await removeStaleSocket(socketPath);
      await open(
        (whole) => plainListening(limits, whole),
        (s) => s.listen(socketPath),
      );
    },
    async close() {
      await Promise.all(listenings.splice(0).map((listening) => listening.close()));
    },
  };
}
