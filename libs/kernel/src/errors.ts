/**
 * The one catalogue of what can go wrong. `code` is stable and for machines, `message` is for the person who reads it,
 * `details` are plain data. At the HTTP rim a code becomes a status and an EdgeX error body.
 */
export const errorCodes = {
  /** The caller sent something malformed or of the wrong type. */
  invalidInput: 400,
  /** No identity, or a signature that does not verify. */
  unauthenticated: 401,
  /** A known identity that may not do this. */
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  /** The caller accepts none of the formats that are served here. */
  notAcceptable: 406,
  /** Exists already, is referenced, or a compare-and-set lost. */
  conflict: 409,
  /** Was there and has ended: an expired contract, a released epoch. */
  gone: 410,
  /** A body, a datagram or a block over its limit. */
  tooLarge: 413,
  /** EdgeX: a resource that is locked (adminState) . */
  locked: 423,
  unsupportedMediaType: 415,
  rangeNotSatisfiable: 416,
  /** A queue, a rate or a budget is full; the caller may come again. */
  busy: 429,
  /** A bug of ours. */
  internal: 500,
  /** Nothing here is broken, and EdgeX answers 500: a device that did not answer, a command whose values are not all there. */
  failed: 500,
  notImplemented: 501,
  /** A peer, broker, engine or ledger does not answer or answered nonsense. */
  unavailable: 503,
  timeout: 504,
  /** The disk or the quota is full. */
  storageFull: 507,
  /** Configuration that stops the start; never crosses HTTP. */
  badConfig: 500,
  /** Bytes that are not what their name, hash or checksum says. */
  corrupt: 500,
} as const;

export type ErrorCode = keyof typeof errorCodes;

export class AntirioError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'AntirioError';
    this.code = code;
    this.details = details;
  }

  get statusCode(): number {
    return errorCodes[this.code];
  }
}

export function isAntirioError(error: unknown, code?: ErrorCode): error is AntirioError {
  return error instanceof AntirioError && (code === undefined || error.code === code);
}

/** The text of whatever was thrown, causes included, for logs and error bodies. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describeError(error.cause)}`;
}

/** What a switch's default gets when every case was meant to be handled. */
export function assertNever(value: never): never {
  throw new AntirioError('internal', `unhandled case ${JSON.stringify(value)}`);
}
