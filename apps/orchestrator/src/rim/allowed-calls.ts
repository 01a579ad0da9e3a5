import { AntirioError } from '@antirio/kernel';
import { addNames, decodeSegment, isFields, type Namespace, type Shape } from './names.ts';
import { deviceRequests, eventShape, profileRequests, serviceRequests } from './shapes.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One call that a device service may make. `:` stands for a name of its own, `*` for any segment. */
interface AllowedCall {
  readonly method: Method;
  readonly path: readonly string[];
  readonly to: 'coreData' | 'coreMetadata';
  readonly body?: (body: unknown, namespace: Namespace, baseAddress: string) => unknown;
}

/** Requests name what they are about: an id could be anybody's. */
function ownRequests(key: string, shape: Shape) {
  return (body: unknown, namespace: Namespace): unknown => {
    // A device service that has nothing to add sends null (EdgeX SDK)
    if (body === null || body === undefined) return null;
    if (!Array.isArray(body))
      throw new AntirioError('invalidInput', `expected an array of requests with a ${key}`);
    const requests = body.map((request: unknown) => {
      const item = isFields(request) ? request[key] : undefined;
      if (!isFields(request) || !isFields(item) || typeof item['name'] !== 'string' || item['name'] === '')
        throw new AntirioError('invalidInput', `each request must have a ${key} with its name`);
      const fields = Object.entries(item).filter(([field]) => field.toLowerCase() !== 'id');
      return { ...request, [key]: Object.fromEntries(fields) };
    });
    return addNames(requests, shape, namespace);
  };
}

const serviceBody = ownRequests('service', serviceRequests);

/** The address that core-command will call leads through the orchestrator, whatever the service says. */
function ownService(body: unknown, namespace: Namespace, baseAddress: string): unknown {
  const renamed = serviceBody(body, namespace);
  if (!Array.isArray(renamed)) return renamed;
  return renamed.map((request: Record<string, unknown>) => {
    const { service } = request;
    return { ...request, service: isFields(service) ? { ...service, baseAddress } : service };
  });
}

const ownEvent = (body: unknown, namespace: Namespace): unknown => {
  if (!isFields(body) || !isFields(body['event']))
    throw new AntirioError('invalidInput', 'expected an event');
  return addNames(body, eventShape, namespace);
};

const ownDevices = ownRequests('device', deviceRequests);
const ownProfiles = ownRequests('profile', profileRequests);

const call = (
  method: Method,
  path: string,
  to: AllowedCall['to'] = 'coreMetadata',
  body?: AllowedCall['body'],
): AllowedCall => ({ method, path: path.split('/'), to, ...(body === undefined ? {} : { body }) });

/** What EdgeX's device service SDK does at its start and while it runs, and no more. */
const ALLOWED: readonly AllowedCall[] = [
  call('GET', 'ping'),
  call('GET', 'version'),
  call('POST', 'event/:/:/:/*', 'coreData', ownEvent),
  call('GET', 'device/service/name/:'),
  call('GET', 'device/name/:'),
  call('DELETE', 'device/name/:'),
  call('POST', 'device', 'coreMetadata', ownDevices),
  call('PATCH', 'device', 'coreMetadata', ownDevices),
  call('GET', 'provisionwatcher/service/name/:'),
  call('GET', 'deviceservice/name/:'),
  call('POST', 'deviceservice', 'coreMetadata', ownService),
  call('PATCH', 'deviceservice', 'coreMetadata', ownService),
  call('GET', 'deviceprofile/name/:'),
  call('DELETE', 'deviceprofile/name/:'),
  call('POST', 'deviceprofile', 'coreMetadata', ownProfiles),
  call('PUT', 'deviceprofile', 'coreMetadata', ownProfiles),
];

const PREFIX = '/api/v3/';
const QUERY = ['limit', 'offset'];

export interface TranslatedCall {
  readonly to: AllowedCall['to'];
  /** With query, in the provider's names. */
  readonly path: string;
  /** Undefined where the call takes no body. */
  readonly body: ((body: unknown) => unknown) | undefined;
}

function matches(allowed: AllowedCall, method: string, segments: readonly string[]): boolean {
  if (allowed.method !== method || allowed.path.length !== segments.length) return false;
  return allowed.path.every((part, i) => part === ':' || part === '*' || part === segments[i]);
}

function translateSegment(part: string | undefined, segment: string, namespace: Namespace): string {
  if (part !== ':' && part !== '*') return segment;
  const name = decodeSegment(segment);
  if (name === '' || name === '.' || name === '..')
    throw new AntirioError('invalidInput', 'a name in the path is empty');
  return encodeURIComponent(part === ':' ? namespace.add(name) : name);
}

/**
 * A foreign service's call in the words of the core services.
 * @throws AntirioError forbidden for every call that a device service has no need of.
 */
export function translateCall(
  method: string,
  url: string,
  namespace: Namespace,
  baseAddress: string,
): TranslatedCall {
  const [path = '', query = ''] = url.split('?', 2);
  const segments = path.startsWith(PREFIX) ? path.slice(PREFIX.length).split('/') : [];
  const allowed = ALLOWED.find((candidate) => matches(candidate, method, segments));
  if (allowed === undefined)
    throw new AntirioError('forbidden', `a foreign service may not call ${method} ${path}`, { method, path });
  const named = segments.map((segment, i) => translateSegment(allowed.path[i], segment, namespace));
  const kept = [...new URLSearchParams(query)].filter(([key]) => QUERY.includes(key));
  const rest = kept.length === 0 ? '' : `?${new URLSearchParams(kept).toString()}`;
  const { body } = allowed;
  return {
    to: allowed.to,
    path: PREFIX + named.join('/') + rest,
    body: body === undefined ? undefined : (value) => body(value, namespace, baseAddress),
  };
}
