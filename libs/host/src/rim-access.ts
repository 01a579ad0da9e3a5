import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { AntirioError } from '@antirio/kernel';
import { grants, needsOf, needText } from './scopes.ts';
import type { Tokens } from './tokens.ts';

/** What a caller shows of itself. */
export interface Credentials {
  readonly token?: (() => string) | undefined;
  readonly tls?: (() => SecureContextOptions) | undefined;
}

/** Who may call the services of this process, and what they show when they call others. */
export interface RimAccess {
  /** What listeners beyond this host speak; without it they speak plain HTTP. */
  readonly tls?: (() => SecureContextOptions) | undefined;
  /** Whether callers must have certificates. */
  readonly clientCertificates: boolean;
  readonly tokens: Tokens;
  /** Whether callers of this host need tokens as well. */
  readonly requireTokens: boolean;
  isOwnHost(socket: Pick<Socket, 'remoteAddress' | 'localAddress'>): boolean;
  /** What to show at an address. */
  credentialsFor(url: string): Credentials | undefined;
  /** Where, and with what, a base address that a service announced is called from here: one of this host by its loopback. */
  placeOf(url: string): Place;
}

interface Place {
  readonly url: string;
  readonly credentials: Credentials | undefined;
}

const LOOPBACK = /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/i;

/**
 * Whether the other end is this very host: its loopback, or the address that it called. A packet from elsewhere with one of our own
 * addresses as its source is dropped by the kernel.
 */
export function isOwnHost({
  remoteAddress,
  localAddress,
}: Pick<Socket, 'remoteAddress' | 'localAddress'>): boolean {
  if (remoteAddress === undefined) return false;
  return LOOPBACK.test(remoteAddress) || remoteAddress === localAddress;
}

/** They say nothing but that there is a service, and whether it is well. */
const OPEN = new Set(['/api/v3/ping', '/api/v3/ready']);

const BEARER = /^bearer +(\S+)$/i;

export function bearerOf(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
}

const isOpen = ({ method, url = '' }: IncomingMessage): boolean =>
  // a browser asks what it may without showing who it is for
  method === 'OPTIONS' || ((method === 'GET' || method === 'HEAD') && OPEN.has(url));

/** Whether anybody is asked who they are. */
const asks = ({ tls, requireTokens }: RimAccess): boolean => tls !== undefined || requireTokens;

/** Whether a request needs no token, whatever it asks for. */
const isTrusted = (access: RimAccess, { socket }: IncomingMessage): boolean =>
  !asks(access) || (!access.requireTokens && access.isOwnHost(socket));

/**
 * Why a request is refused, or undefined.
 * @param service key of the service that is called
 */
export function refusalOf(
  access: RimAccess,
  service: string,
  request: IncomingMessage,
): AntirioError | undefined {
  if (isTrusted(access, request) || isOpen(request)) return undefined;
  const token = bearerOf(request.headers.authorization);
  if (token === undefined)
    return new AntirioError('unauthenticated', 'a token is wanted: Authorization: Bearer <token>');
  const scopes = access.tokens.scopesOf(token);
  if (scopes === undefined)
    return new AntirioError('unauthenticated', 'the token is not known here, revoked or expired');
  const missing = needsOf(service, request.method ?? '', request.url ?? '').find(
    (need) => !grants(scopes, need),
  );
  if (missing !== undefined)
    return new AntirioError('forbidden', `the token has not the scope ${needText(missing)}`);
  const speaksForOthers = request.headers['x-antirio-peer'] !== undefined;
  if (speaksForOthers && !scopes.some(({ kind }) => kind === 'relay'))
    return new AntirioError(
      'forbidden',
      'the token has not the scope relay: it may not speak for other edges',
    );
  return undefined;
}

/** Whether the request came without a token from where one is wanted: such a caller is told no details. */
export function isStranger(access: RimAccess | undefined, request: IncomingMessage): boolean {
  if (access === undefined || isTrusted(access, request)) return false;
  const token = bearerOf(request.headers.authorization);
  return token === undefined || access.tokens.scopesOf(token) === undefined;
}
