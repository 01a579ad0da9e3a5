import type { CID } from '@antirio/content-store';
import { AntirioError, describeError } from '@antirio/kernel';
import type { Piece } from './piece-cid.ts';
import type { PieceProvider } from './provider.ts';

export const broken = (what: string, cause: unknown): AntirioError =>
  new AntirioError('timeout', `the ${what} was broken off`, {}, cause);

export const nowhere = (cid: CID): AntirioError =>
  new AntirioError('notFound', `no piece is known of ${cid.toString()}`, { cid: cid.toString() });

/** Whether another provider may do better. */
export const isOfProvider = ({ code }: AntirioError): boolean =>
  ['unavailable', 'timeout', 'forbidden', 'notFound', 'conflict', 'tooLarge', 'storageFull'].includes(code);

/** @throws AntirioError tooLarge */
export function requireFit({ bytes }: Piece, { id, limits }: PieceProvider): void {
  if (bytes > limits.max || bytes < limits.min)
    throw new AntirioError(
      'tooLarge',
      `provider ${id} takes pieces of ${limits.min} to ${limits.max} bytes, and not of ${bytes}`,
      { limit: limits.max },
    );
}

/** What the last failure was decides what the put failed with. */
export function tooFew(made: number, copies: number, failures: readonly AntirioError[]): AntirioError {
  const last = failures.at(-1);
  const why = failures.map(describeError).join('; ') || 'there is no provider to ask';
  const text = `${made} of ${copies} copies on Filecoin: ${why}`;
  return new AntirioError(last?.code ?? 'unavailable', text, last?.details ?? {}, last);
}
