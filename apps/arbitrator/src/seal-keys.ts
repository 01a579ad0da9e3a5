import { AntirioError, type EdgeId, type SealKey } from '@antirio/kernel';
import type { LedgerClient } from './ledger-client.ts';

/** What is sealed to these edges is sealed with: all of them asked for at once. @throws AntirioError notFound */
export async function sealKeysFor(
  ledger: Pick<LedgerClient, 'sealKeyOf'>,
  edges: readonly EdgeId[],
): Promise<(edge: EdgeId) => SealKey> {
  const found = await Promise.all(edges.map(async (edge) => [edge, await ledger.sealKeyOf(edge)] as const));
  const sealKeys = new Map(found);
  return (edge) => {
    const key = sealKeys.get(edge);
    if (key !== undefined) return key;
    throw new AntirioError('internal', 'no seal key was asked for', { edge });
  };
}
