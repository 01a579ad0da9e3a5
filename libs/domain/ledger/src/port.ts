import type { MachineEvent, Receipt } from './receipt.ts';
import type { SignedTx } from './transaction.ts';

/** An event with its place in the ledger; `cursor` is what to resume from. */
export interface LedgerEvent extends MachineEvent {
  readonly cursor: string;
  readonly height: number;
  readonly time: number;
  readonly txId: string;
}

export interface Head {
  readonly height: bigint;
  readonly stateHash: string;
  /** The engine's time of the newest block. */
  readonly time: number;
}

/** A ledger as every room sees it, whichever engine is behind it. */
export interface LedgerPort {
  /** Resolves at finality. A refusal is a receipt; it throws only where there was no answer. */
  submit(tx: SignedTx): Promise<Receipt>;
  query<T>(key: string): Promise<T | undefined>;
  range(prefix: string): Promise<[string, unknown][]>;
  /** Ordered, at least once; resumes behind the cursor, or begins with the oldest event that is kept. */
  onEvent(from: string | undefined, fn: (event: LedgerEvent) => void | Promise<void>): { close(): void };
  head(): Promise<Head>;
}

/** Where an event stands: block and place in it, so that cursors compare as text. */
export function cursorOf(height: number, index: number): string {
  return `${String(height).padStart(12, '0')}-${String(index).padStart(6, '0')}`;
}

/** Behind everything up to this block: what to follow from after reading the state at this height. */
export function cursorBehind(height: bigint | number): string {
  return cursorOf(Number(height), 999_999);
}
