import { AntirioError, type ErrorCode } from '@antirio/kernel';

/** EdgeX's words for an error and for what led to it, as it shows them. */
export function because(...texts: readonly string[]): string {
  return texts.join(' -> ');
}

export function fault(code: ErrorCode, ...texts: readonly string[]): AntirioError {
  return new AntirioError(code, because(...texts));
}

/** The same error, told of from further away. */
export function within(code: ErrorCode, text: string, cause: AntirioError): AntirioError {
  return new AntirioError(code, because(text, cause.message), cause.details, cause.cause);
}
