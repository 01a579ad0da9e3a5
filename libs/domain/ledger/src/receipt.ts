import type { ErrorCode } from '@antirio/kernel';

/** What became of a transaction. A refusal is data, not an error: the transaction was understood and not allowed. */
export type Receipt =
  | {
      readonly ok: true;
      readonly txId: string;
      readonly height: number;
      readonly time: number;
      /** What the transaction made, such as `{matchId}`. */
      readonly result: Readonly<Record<string, unknown>>;
    }
  | {
      readonly ok: false;
      readonly txId: string;
      readonly height: number;
      readonly time: number;
      readonly code: ErrorCode;
      readonly message: string;
    };

export interface RecordedReceipt {
  readonly receipt: Receipt;
  readonly expiryHeight: number;
}

export interface ExpiryMark {
  readonly txId: string;
}

/** What a rule says to a transaction. */
export type Outcome =
  | { readonly ok: true; readonly result: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

export function done(result: Readonly<Record<string, unknown>> = {}): Outcome {
  return { ok: true, result };
}

export function refuse(code: ErrorCode, message: string): Outcome & { readonly ok: false } {
  return { ok: false, code, message };
}

/** Something that happened, for those who follow the ledger. */
export interface MachineEvent {
  readonly type: string;
  /** The record that changed. */
  readonly key: string;
  readonly data: Readonly<Record<string, unknown>>;
}
