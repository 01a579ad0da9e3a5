import type { Request } from 'express';

/** Both ends included. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The one range that a request wants of so many bytes (RFC 9110, section 14). Undefined where it wants everything: without
 * Range, with several ranges or malformed ones, or where If-Range names another version.
 */
export function byteRangeOf(
  request: Request,
  etag: string,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const ifRange = request.get('if-range');
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const [, first = '', last = ''] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(request.get('range') ?? '') ?? [];
  const range = first === '' ? lastBytes(last, size) : bytesFrom(Number(first), last, size);
  return range !== undefined && range.from >= size ? 'unsatisfiable' : range;
}

function lastBytes(count: string, size: number): ByteRange | undefined {
  if (count === '') return undefined;
  return Number(count) === 0
    ? { from: size, to: size }
    : { from: Math.max(0, size - Number(count)), to: size - 1 };
}

function bytesFrom(from: number, last: string, size: number): ByteRange | undefined {
  if (last === '') return { from, to: size - 1 };
  return Number(last) < from ? undefined : { from, to: Math.min(Number(last), size - 1) };
}
