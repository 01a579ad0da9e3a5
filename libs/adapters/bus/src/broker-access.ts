import { equalBytes, hmacSha256, toHex, utf8 } from '@antirio/kernel';

const LOGIN = /^contract\/[A-Za-z0-9._-]{1,128}$/;

/** A foreign service's user name: what it may use lies below it. */
export function contractLogin(contractId: string): string {
  return `contract/${contractId}`;
}

/** The password of a foreign service: hex HMAC-SHA-256 of its user name, with the broker's 32-byte secret as the key. */
export function contractPassword(secret: Uint8Array, login: string): string {
  return toHex(hmacSha256(secret, utf8(login)));
}

/** Whether these are the credentials of a foreign service. */
export function isContractLogin(secret: Uint8Array, login: string, password: Uint8Array): boolean {
  return LOGIN.test(login) && equalBytes(utf8(contractPassword(secret, login)), password);
}

/**
 * Whether a foreign service may use a topic or a topic filter. Its own first two levels must stand in it letter by letter, so that no
 * wildcard reaches beyond them.
 */
export function mayUse(login: string, topicOrFilter: string): boolean {
  return topicOrFilter.startsWith(`${login}/`) && topicOrFilter.length > login.length + 1;
}

/** Whether an address of a socket is this host's own loopback. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || plain.startsWith('127.');
}
