import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { API_VERSION, type HttpPeer, type Log } from '@antirio/host';
import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import { translateCall, type TranslatedCall } from './allowed-calls.ts';
import { readBody, rewriteAnswer, rewriteRequest } from './bodies.ts';
import { isFields, stripNames, type Namespace } from './names.ts';
import { answerShape } from './shapes.ts';

export interface HttpSideOptions {
  readonly namespace: Namespace;
  /** What becomes the service's base address in core-metadata. */
  readonly baseAddress: string;
  readonly coreData: HttpPeer;
  readonly coreMetadata: HttpPeer;
  readonly log: Log;
  readonly onCall: (outcome: 'passed' | 'refused' | 'failed') => void;
}

const MAX_BODY_BYTES = 1 << 20;
const MAX_CALLS_AT_ONCE = 32;
const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;

function forwardedHeaders(incoming: IncomingMessage): Record<string, string> {
  const correlation = incoming.headers['x-correlation-id'];
  return typeof correlation === 'string' && correlation.length <= 128
    ? { 'x-correlation-id': correlation }
    : {};
}

/** Devices of others that were given to the service's name by hand are not its own. */
function ownOnly(value: unknown, namespace: Namespace): unknown {
  if (!isFields(value) || !Array.isArray(value['devices'])) return value;
  const devices = value['devices'].filter(
    (device) => isFields(device) && typeof device['name'] === 'string' && namespace.owns(device['name']),
  );
  return { ...value, devices, totalCount: devices.length };
}

async function pass(
  options: HttpSideOptions,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { namespace } = options;
  const method = incoming.method ?? '';
  const call: TranslatedCall = translateCall(method, incoming.url ?? '', namespace, options.baseAddress);
  const headers = forwardedHeaders(incoming);
  const bytes = await readBody(incoming, MAX_BODY_BYTES);
  const rewritten =
    call.body === undefined ? undefined : rewriteRequest(bytes, incoming.headers['content-type'], call.body);
  const answer = await options[call.to].call({
    method: method as 'GET',
    path: call.path,
    headers: rewritten === undefined ? headers : { ...headers, 'content-type': rewritten.contentType },
    ...(rewritten === undefined ? {} : { body: rewritten.body }),
    timeoutMs: TIMEOUT_MS,
  });
  const type = answer.headers['content-type'];
  const contentType = typeof type === 'string' ? type : undefined;
  const body = rewriteAnswer(answer.body, contentType, (value) =>
    stripNames(ownOnly(value, namespace), answerShape(value), namespace),
  );
  response.writeHead(answer.status, {
    ...headers,
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
  });
  response.end(body);
}

function refuse(error: unknown, response: ServerResponse, namespace: Namespace): void {
  const statusCode = isAntirioError(error) ? error.statusCode : 500;
  const message = describeError(error).replaceAll(namespace.prefix, '');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(statusCode, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ apiVersion: API_VERSION, message, statusCode }));
}

/**
 * The core services as a foreign service sees them: only the calls that a device service needs, and only its own names, which
 * are `<contractId>.<name>` behind this rim.
 */
export function createHttpSide(options: HttpSideOptions): Server {
  let calls = 0;
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (calls >= MAX_CALLS_AT_ONCE)
        throw new AntirioError('busy', `more than ${MAX_CALLS_AT_ONCE} calls at once`);
      calls++;
      try {
        await pass(options, incoming, response);
      } finally {
        calls--;
      }
      options.onCall('passed');
    } catch (error) {
      options.onCall(isAntirioError(error) && error.statusCode < 500 ? 'refused' : 'failed');
      options.log.debug(
        { error: describeError(error), url: incoming.url },
        'a foreign call was not passed on',
      );
      refuse(error, response, options.namespace);
    }
  };
  const settings = { requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 30_000 };
  const server = createServer(settings, (incoming, response) => void handle(incoming, response));
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}
