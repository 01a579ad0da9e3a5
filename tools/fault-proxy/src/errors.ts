/** What can go wrong in the proxy by its caller's or its surroundings' doing. */
export type FaultProxyErrorCode =
  'badOptions' | 'badCommand' | 'badTarget' | 'linkExists' | 'unknownLink' | 'cannotListen';

/** The one error the proxy throws; `code` tells the kind, `cause` what was underneath. */
export class FaultProxyError extends Error {
  readonly code: FaultProxyErrorCode;

  constructor(code: FaultProxyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FaultProxyError';
    this.code = code;
  }
}
