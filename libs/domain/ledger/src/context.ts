import type { EdgeId } from '@antirio/kernel';
import type { Draft } from './draft.ts';
import type { Genesis } from './genesis.ts';

/** The engine's word on where and when a transaction is applied; the only time that rules know. */
export interface Env {
  /** Milliseconds since the Unix epoch, agreed by the engine, never going back. */
  readonly now: number;
  readonly height: number;
}

/** What a rule works with. */
export interface Context {
  readonly draft: Draft;
  readonly env: Env;
  readonly by: EdgeId;
  readonly txId: string;
  readonly genesis: Genesis;
}
