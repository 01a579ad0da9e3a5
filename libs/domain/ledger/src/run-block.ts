import type { Env } from './context.ts';
import { Draft } from './draft.ts';
import { apply, type Applied } from './machine.ts';
import { cursorOf, type LedgerEvent } from './port.ts';
import type { Receipt } from './receipt.ts';
import { nextStateHash, type StateView, type Write } from './state.ts';
import { isSigned, type SignedTx } from './transaction.ts';

/** What a block did. */
export interface BlockRun {
  /** Of each transaction, in their order. */
  readonly receipts: readonly Receipt[];
  /** Of all together, sorted by key. */
  readonly writes: readonly Write[];
  readonly events: readonly LedgerEvent[];
  /** Those that left something behind. */
  readonly txs: readonly SignedTx[];
  readonly stateHash: string;
}

/**
 * Applies a block's transactions one after the other on top of a state that stays as it is: one way for every engine, so that the same
 * log leads to the same state hash on each. `isVerified` may remember which signatures stood.
 *
 * @throws AntirioError as `apply` does: the engine must then stop
 */
export function runBlock(
  state: StateView,
  txs: readonly SignedTx[],
  env: Env,
  stateHash: string,
  isVerified: (tx: SignedTx) => boolean = isSigned,
): BlockRun {
  const { height, now: time } = env;
  const overlay = new Draft(state);
  let hash = stateHash;
  const receipts: Receipt[] = [];
  const kept: SignedTx[] = [];
  const events: LedgerEvent[] = [];
  const take = (tx: SignedTx, { receipt, writes, events: happened }: Applied): void => {
    receipts.push(receipt);
    if (writes.length === 0) return;
    kept.push(tx);
    hash = nextStateHash(hash, writes);
    for (const [key, value] of writes) overlay.put(key, value);
    for (const event of happened)
      events.push({ ...event, cursor: cursorOf(height, events.length), height, time, txId: receipt.txId });
  };
  for (const tx of txs) take(tx, apply(overlay, tx, env, isVerified));
  return { receipts, writes: overlay.writes(), events, txs: kept, stateHash: hash };
}
