import { AntirioError } from '@antirio/kernel';

/** An answer as it came. */
export interface PlainAnswer {
  readonly status: number;
  /** Names in lower case; of a repeated field all values. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Uint8Array;
}

export interface TakenAnswer {
  /** Bytes of it. */
  readonly length: number;
  /** Undefined for an interim answer (1xx). */
  readonly answer: PlainAnswer | undefined;
  /** The server closes the connection after it. */
  readonly isLast: boolean;
}

const MAX_HEAD = 16 << 10;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const NEWLINE = Buffer.from('\r\n');
const STATUS = /^HTTP\/1\.([01]) (\d{3})(?: |$)/;
const FIRST_FINAL = 200;
const NO_CONTENT = new Set([204, 304]);

const bad = (what: string): AntirioError => new AntirioError('unavailable', `an HTTP answer with ${what}`);

function fieldsOf(lines: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw bad('a field without name');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const known = fields[name];
    fields[name] = known === undefined ? value : [known, value].flat();
  }
  return fields;
}

interface Body {
  readonly bytes: Uint8Array;
  /** Where it ends. */
  readonly end: number;
}

/** RFC 9112, section 7.1; extensions and trailers are skipped. Undefined while it is not whole. */
function chunkedBody(bytes: Buffer, from: number, limit: number): Body | undefined {
  const chunks: Buffer[] = [];
  let size = 0;
  for (let at = from; ;) {
    const line = bytes.indexOf(NEWLINE, at);
    if (line < 0) return undefined;
    const digits = /^[0-9a-fA-F]{1,8}(?=$|[; \t])/.exec(bytes.toString('latin1', at, line))?.[0];
    if (digits === undefined) throw bad('a chunk without size');
    const length = Number.parseInt(digits, 16);
    size += length;
    if (size > limit) throw new AntirioError('tooLarge', 'answer over the limit', { limit });
    if (length === 0) {
      // trailers, if any, and the empty line
      const last = bytes.indexOf(END_OF_HEAD, line);
      return last < 0 ? undefined : { bytes: Buffer.concat(chunks), end: last + END_OF_HEAD.length };
    }
    const data = line + NEWLINE.length;
    if (bytes.length < data + length + NEWLINE.length) return undefined;
    chunks.push(bytes.subarray(data, data + length));
    at = data + length + NEWLINE.length;
  }
}

function bodyOf(
  bytes: Buffer,
  from: number,
  status: number,
  headers: PlainAnswer['headers'],
  limit: number,
): Body | undefined {
  if (NO_CONTENT.has(status)) return { bytes: new Uint8Array(), end: from };
  if (headers['transfer-encoding'] !== undefined) {
    if (headers['transfer-encoding'] !== 'chunked') throw bad('an unknown transfer encoding');
    return chunkedBody(bytes, from, limit);
  }
  const text = headers['content-length'];
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text)) throw bad('no length');
  const length = Number(text);
  if (length > limit) throw new AntirioError('tooLarge', 'answer over the limit', { limit });
  return bytes.length < from + length
    ? undefined
    : { bytes: bytes.subarray(from, from + length), end: from + length };
}

interface Head {
  readonly status: number;
  readonly headers: PlainAnswer['headers'];
  readonly isLast: boolean;
}

function headOf(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, digits] = STATUS.exec(first) ?? [];
  if (digits === undefined) throw bad('no status');
  const headers = fieldsOf(lines);
  const connection = String(headers['connection'] ?? '').toLowerCase();
  const isLast = connection.includes('close') || (minor === '0' && !connection.includes('keep-alive'));
  return { status: Number(digits), headers, isLast };
}

/** Where the head ends; undefined while it is not whole. */
function headEndOf(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(END_OF_HEAD);
  if (end > MAX_HEAD || (end < 0 && bytes.length > MAX_HEAD)) throw bad('too long a head');
  return end < 0 ? undefined : end;
}

/**
 * Takes the answer that the bytes begin with; undefined while it is not whole (RFC 9112).
 * @throws AntirioError unavailable for what is no answer, tooLarge for a body over the limit.
 */
export function takeAnswer(bytes: Buffer, limit: number): TakenAnswer | undefined {
  const headEnd = headEndOf(bytes);
  if (headEnd === undefined) return undefined;
  const { status, headers, isLast } = headOf(bytes.toString('latin1', 0, headEnd));
  const from = headEnd + END_OF_HEAD.length;
  if (status < FIRST_FINAL) return { length: from, answer: undefined, isLast: false };
  const body = bodyOf(bytes, from, status, headers, limit);
  if (body === undefined) return undefined;
  return { length: body.end, answer: { status, headers, body: new Uint8Array(body.bytes) }, isLast };
}
