import { AntirioError, fromUtf8, sha256Hex, utf8 } from '@antirio/kernel';
import type { Genesis, SignedTx } from '@antirio/ledger-machine';

/** What one record of the log holds. `previous` is the SHA-256 of the record before it: the log is a hash chain. */
export interface Block {
  readonly height: number;
  readonly time: number;
  readonly previous: string;
  readonly txs: readonly SignedTx[];
  /** After its transactions. */
  readonly stateHash: string;
  /** Of block 0 only. */
  readonly genesis?: Genesis;
}

/** `previous` of the first block. */
export const GENESIS_HASH = sha256Hex();

export function encodeBlock(block: Block): Uint8Array {
  return utf8(JSON.stringify(block));
}

/** @throws AntirioError corrupt when it is no block, or not the one that follows. */
export function decodeNextBlock(record: Uint8Array, previous: string, height: number, time: number): Block {
  let block: Block;
  try {
    // The log is our own and each record carries a checksum; what it says is proven by replaying it.
    block = JSON.parse(fromUtf8(record)) as Block;
  } catch (cause) {
    throw new AntirioError('corrupt', `block ${height} of the ledger is unreadable`, { height }, cause);
  }
  if (block.height !== height || block.previous !== previous || block.time < time)
    throw new AntirioError('corrupt', `block ${height} of the ledger does not follow the one before it`, {
      height,
    });
  return block;
}
