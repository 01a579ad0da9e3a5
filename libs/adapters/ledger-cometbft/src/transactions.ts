import {
  AntirioError,
  canonicalBytes,
  equalBytes,
  fromUtf8,
  sha256Hex,
  type ErrorCode,
} from '@antirio/kernel';
import { isSigned, signedTx, type SignedTx } from '@antirio/ledger-machine';
import { keptTerms } from '@antirio/service-contract';

/** As CometBFT's mempool has it by itself. */
export const MAX_TX_BYTES = 1 << 20;

/** The one way in which a transaction stands in a block, so that it has one hash. */
export function encodeTx(tx: SignedTx): Uint8Array {
  return canonicalBytes(tx);
}

/** Terms of before lack what came later: both edges have signed them so, and every node decided them so. */
function asSent(read: SignedTx, sent: unknown): SignedTx {
  const { body } = read;
  if (body.payload.type !== 'contract/validate') return read;
  const { terms } = (sent as { readonly body: { readonly payload: typeof body.payload } }).body.payload;
  const payload = { ...body.payload, terms: keptTerms(body.payload.terms, terms) };
  return { ...read, body: { ...body, payload } };
}

/**
 * A transaction as it was signed, where it has the shape of one.
 * @throws AntirioError invalidInput
 */
export function readTx(json: unknown): SignedTx {
  const parsed = signedTx.safeParse(json);
  if (parsed.success) return asSent(parsed.data, json);
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new AntirioError('invalidInput', `not a transaction: ${where}: ${issue?.message ?? ''}`);
}

/** @throws AntirioError tooLarge, invalidInput */
function decodeTx(bytes: Uint8Array): SignedTx {
  if (bytes.length > MAX_TX_BYTES)
    throw new AntirioError(
      'tooLarge',
      `a transaction has ${MAX_TX_BYTES} bytes at most, not ${bytes.length}`,
    );
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'not a transaction: no JSON', {}, cause);
  }
  const tx = readTx(json);
  if (!equalBytes(encodeTx(tx), bytes))
    throw new AntirioError(
      'invalidInput',
      'not a transaction: not in its canonical form (RFC 8785), or without a field that it must say',
    );
  return tx;
}

export type ReadTx =
  | { readonly tx: SignedTx; readonly hash: string; readonly isVerified: boolean }
  | { readonly code: ErrorCode; readonly message: string };

/** All that are remembered together. */
const MAX_REMEMBERED_BYTES = 16 << 20;

/** Reads transactions, and remembers those whose signature stands: each comes in a check, a proposal and a block. */
export class TxReader {
  readonly #known = new Map<string, { read: Extract<ReadTx, { tx: SignedTx }>; bytes: number }>();
  readonly #signed = new WeakSet<SignedTx>();
  #bytes = 0;

  /** Whether the signature of one that was read here stands. */
  readonly isVerified = (tx: SignedTx): boolean => this.#signed.has(tx) || isSigned(tx);

  read(bytes: Uint8Array): ReadTx {
    const hash = sha256Hex(bytes);
    const known = this.#known.get(hash);
    if (known !== undefined) return known.read;
    try {
      const tx = decodeTx(bytes);
      const read = { tx, hash, isVerified: isSigned(tx) };
      if (read.isVerified) this.#remember(read, bytes.length);
      return read;
    } catch (error) {
      if (!(error instanceof AntirioError)) throw error;
      return { code: error.code, message: error.message };
    }
  }

  #remember(read: Extract<ReadTx, { tx: SignedTx }>, bytes: number): void {
    this.#signed.add(read.tx);
    this.#known.set(read.hash, { read, bytes });
    this.#bytes += bytes;
    for (const [hash, oldest] of this.#known) {
      if (this.#bytes <= MAX_REMEMBERED_BYTES) break;
      this.#known.delete(hash);
      this.#bytes -= oldest.bytes;
    }
  }
}
