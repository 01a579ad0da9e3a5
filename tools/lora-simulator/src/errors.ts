/** What can go wrong in the simulator by its caller's or its surroundings' doing. */
export type SimulatorErrorCode =
  | 'badConfig'
  | 'badCommand'
  | 'logExists'
  | 'unknownGateway'
  | 'unknownMote'
  | 'notOtaa'
  | 'noPositions'
  | 'badTrace'
  | 'badTarget'
  | 'badFrame';

/** The one error the simulator throws; `code` tells the kind, `cause` what was underneath. */
export class SimulatorError extends Error {
  readonly code: SimulatorErrorCode;

  constructor(code: SimulatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SimulatorError';
    this.code = code;
  }
}
