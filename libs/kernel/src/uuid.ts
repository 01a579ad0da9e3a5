import { hash } from 'node:crypto';
import type { Random } from './clock.ts';
import { concatBytes, fromHex, toHex } from './bytes.ts';

function format(bytes: Uint8Array, version: number): string {
  const b = Uint8Array.from(bytes.subarray(0, 16));
  b[6] = ((b[6] ?? 0) & 0x0f) | (version << 4);
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
  const hex = toHex(b);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** RFC 9562, name-based with SHA-1: the same namespace and name give the same id everywhere. */
export function uuidV5(namespace: string, name: Uint8Array): string {
  const named = concatBytes(fromHex(namespace.replaceAll('-', ''), 16), name);
  return format(hash('sha1', named, 'buffer'), 5);
}

/** RFC 9562, random. */
export function uuidV4(random: Random): string {
  return format(random.bytes(16), 4);
}
