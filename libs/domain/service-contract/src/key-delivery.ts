import type { EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { holdersOf, type EscrowOf } from './escrow.ts';
import type { CallArgs } from './messages.ts';

/** How far one version of the keys has come: a share with every holder first, then the package with the provider. */
export interface KeyDelivery {
  /** As the first delivery said; undefined before it. */
  readonly keyVersion?: number;
  readonly sharesWith: readonly EdgeId[];
  readonly withProvider: boolean;
}

export const nothingDelivered: KeyDelivery = { sharesWith: [], withProvider: false };

/** What is to be delivered next, each to whom. `provider`: whether its turn may come at all. */
export function deliverNext(
  terms: EscrowOf & { readonly contractId: string },
  delivery: KeyDelivery,
  provider: boolean,
): readonly { readonly to: EdgeId; readonly call: CallArgs }[] {
  const { contractId } = terms;
  const lacking = holdersOf(terms).filter((holder) => !delivery.sharesWith.includes(holder));
  if (lacking.length > 0)
    return lacking.map((holder) => ({
      to: holder,
      call: { method: 'keyShare', args: { contractId, holder } },
    }));
  return provider && !delivery.withProvider
    ? [{ to: terms.provider, call: { method: 'keys', args: { contractId } } }]
    : [];
}

const delivered = z.object({ keyVersion: z.int() });

/** After the answer of a holder, or of the provider (`holder` undefined). Parts of two versions open nothing: it begins anew. */
export function wasDelivered(delivery: KeyDelivery, holder: EdgeId | undefined, value: unknown): KeyDelivery {
  const { keyVersion } = delivered.parse(value);
  const other = delivery.keyVersion !== undefined && delivery.keyVersion !== keyVersion;
  const known = other ? nothingDelivered : delivery;
  if (holder === undefined) return { ...known, keyVersion, withProvider: !other };
  const sharesWith = known.sharesWith.includes(holder) ? known.sharesWith : [...known.sharesWith, holder];
  return { ...known, keyVersion, sharesWith };
}
