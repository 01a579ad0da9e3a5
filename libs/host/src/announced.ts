import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import type { RimAccess } from './rim-access.ts';

const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);
const LOOPBACK = /^(?:localhost|\[?::1\]?|127\.\d+\.\d+\.\d+)$/i;

/** Name or address under which others reach who listens at `bind`: this host's name where it listens at all of its addresses. */
export function announcedHost(bind: string): string {
  return ANY.has(bind) ? hostname() : bind;
}

/** What callers at a host have to speak: nothing but TLS where they come from beyond it, and TLS is on. */
export function schemeAt(access: Pick<RimAccess, 'tls'> | undefined, host: string): 'http' | 'https' {
  return access?.tls === undefined || LOOPBACK.test(host) ? 'http' : 'https';
}

/** The address that others are told of who listens at `bind`, an address or a host's name. */
export function announcedUrl(access: Pick<RimAccess, 'tls'> | undefined, bind: string, port: number): string {
  const host = announcedHost(bind);
  return `${schemeAt(access, host)}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
