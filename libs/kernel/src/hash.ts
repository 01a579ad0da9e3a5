import { createHash, createHmac, hash, timingSafeEqual } from 'node:crypto';

/** Short messages, which most are, are hashed in one call: an object for each would cost more than the hash. */
const together = (parts: readonly Uint8Array[]): Uint8Array => {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
};

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(hash('sha256', together(parts), 'buffer'));
}

export function sha256Hex(...parts: readonly Uint8Array[]): string {
  return hash('sha256', together(parts), 'hex');
}

/** SHA-256 over bytes that come one after the other, of any length in all. */
export interface RunningSha256 {
  update(bytes: Uint8Array): void;
  /** Of everything so far; nothing can be added behind it. */
  hex(): string;
}

export function createSha256(): RunningSha256 {
  const running = createHash('sha256');
  return { update: (bytes) => void running.update(bytes), hex: () => running.digest('hex') };
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** Comparison in constant time; different lengths are simply different. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
