import { describeError, isAntirioError } from '@antirio/kernel';

export const API_VERSION = 'v3';

/** The status that tells of an error; 500 for what nobody planned. */
export function statusOf(error: unknown): number {
  if (isAntirioError(error)) return error.statusCode;
  // express and its body parser mark what the client did wrong with a status of their own
  const status = (error as { status?: unknown }).status;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

/** EdgeX's error body; with the request id of the request's body, where it has one. */
export function errorBody(error: unknown, requestBody: unknown): Record<string, unknown> {
  const requestId: unknown = (requestBody as { requestId?: unknown } | null | undefined)?.requestId;
  const body = { apiVersion: API_VERSION, message: describeError(error), statusCode: statusOf(error) };
  return typeof requestId === 'string' ? { ...body, requestId } : body;
}
