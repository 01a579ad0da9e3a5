/** What can end a demo before its verdict. */
export type DemoErrorCode =
  /** The command line is wrong. */
  | 'badOptions'
  /** The machine lacks something: free ports, an engine. */
  | 'unavailable'
  /** A process of ours ended, or did not start. */
  | 'process'
  /** Something did not happen in time. */
  | 'deadline'
  /** A service answered what it should not. */
  | 'badAnswer'
  /** A sabotage found not exactly the code that it was to remove. */
  | 'badSabotage'
  /** Ctrl-C, or the end of whoever started us. */
  | 'interrupted';

/** The one error the demo throws; the message is for the person who watches it. */
export class DemoError extends Error {
  readonly code: DemoErrorCode;

  constructor(code: DemoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DemoError';
    this.code = code;
  }
}
