import { AntirioError } from '@antirio/kernel';

/** One thing that a token lets its bearer do. */
export type Scope =
  /** Everything, also what only an operator may. */
  | { readonly kind: 'operator' }
  /** Speaking for other edges: of edge2edge alone. */
  | { readonly kind: 'relay' }
  | { readonly kind: 'service'; readonly service: string; readonly access: 'read' | 'write' };

const SERVICE_SCOPE = /^(\*|[a-z0-9][a-z0-9._-]{0,63}):(read|write)$/;

/** `core-data:read`, `*:write`, `operator`, `relay`. @throws AntirioError invalidInput */
export function parseScope(text: string): Scope {
  if (text === 'operator' || text === 'relay') return { kind: text };
  const [, service, access] = SERVICE_SCOPE.exec(text) ?? [];
  if (service === undefined || (access !== 'read' && access !== 'write'))
    throw new AntirioError(
      'invalidInput',
      `${JSON.stringify(text)} is no scope: <service>:read, <service>:write, *:read, *:write, operator or relay`,
    );
  return { kind: 'service', service, access };
}

/** What a request needs. */
export interface Need {
  readonly service: string;
  readonly access: 'read' | 'write' | 'operator';
}

export const needText = ({ service, access }: Need): string =>
  access === 'operator' ? 'operator' : `${service}:${access}`;

/** Writing includes reading; an operator's scope includes all but speaking for other edges. */
export function grants(scopes: readonly Scope[], { service, access }: Need): boolean {
  return scopes.some((scope) => {
    if (scope.kind === 'operator') return true;
    if (scope.kind === 'relay' || access === 'operator') return false;
    return (
      (scope.service === '*' || scope.service === service) && (scope.access === 'write' || access === 'read')
    );
  });
}

/** What only a token with the scope `operator` is for: forcing a contract's state, storing a service's secrets, and the keys of its volumes. */
const OPERATOR_PATHS = /^\/(?:arbitrator\/v1\/(?:operator|volume)|api\/v3\/secret)(?:\/|$)/;

/** As the router sees it: without query, small letters (it does not tell them apart), decoded. */
function plainPath(url: string): string | undefined {
  const path = url.startsWith('/') ? url.replace(/[?#].*$/, '') : URL.parse(url)?.pathname;
  try {
    return path === undefined ? undefined : decodeURIComponent(path).toLowerCase();
  } catch {
    return undefined;
  }
}

/** What a request needs of the service that is asked; a path that cannot be read needs an operator. */
function needHere(service: string, method: string, url: string): Need {
  const path = plainPath(url);
  if (path === undefined || OPERATOR_PATHS.test(path)) return { service, access: 'operator' };
  return { service, access: method === 'GET' || method === 'HEAD' ? 'read' : 'write' };
}

/** The door to the rooms of edges, the own one among them: `/edge2edge/peer/<edge>/<service>/<path>`. Read as edge2edge reads it. */
const DOOR = /^\/edge2edge\/peer\/[^/?]+\/([a-z0-9-]+)(\/.*)$/;

/**
 * All that a request of a service needs. edge2edge asks the room behind its door as the edge itself, so what that room would have asked
 * for is asked for here as well.
 */
export function needsOf(service: string, method: string, url: string): readonly Need[] {
  const need = needHere(service, method, url);
  if (service !== 'edge2edge' || plainPath(url)?.startsWith('/edge2edge/peer/') !== true) return [need];
  const [, inner, path] = DOOR.exec(url) ?? [];
  const behind =
    inner === undefined || path === undefined || DOOR.test(path)
      ? ({ service, access: 'operator' } as const)
      : needHere(inner, method, path);
  return [need, behind];
}
