import { quoteOf, type StoragePrice, type StorageQuote } from '@antirio/storage-network';
import type { FilecoinChain, ServicePrice } from './chain.ts';

export const EPOCH_SECONDS = 30;
const TIB = 1n << 40n;
/** How long a price that was read is told without reading it again. */
const PRICE_MS = 600_000;

/**
 * The storage service's price list for a number of copies. A data set costs a least amount for a month: it is counted as if this
 * were alone in its data set, so that no quote is too low.
 */
export function servicePrice(
  chain: Pick<FilecoinChain, 'price'>,
  copies: number,
  now: () => number,
): StoragePrice {
  let known: { price: ServicePrice; until: number } | undefined;
  return {
    async quote(ask): Promise<StorageQuote> {
      if (known === undefined || now() >= known.until)
        known = { price: await chain.price(), until: now() + PRICE_MS };
      const { price, until } = known;
      const { numerator, denominator } = perByteEpoch(price, BigInt(Math.max(1, Math.trunc(ask.bytes) || 1)));
      return quoteOf(ask, {
        numerator: numerator * BigInt(copies),
        denominator,
        currency: price.currency,
        epochSeconds: EPOCH_SECONDS,
        validUntil: until,
      });
    },
  };
}

function perByteEpoch(
  { perTiBMonth, minimumPerMonth, epochsPerMonth }: ServicePrice,
  bytes: bigint,
): { numerator: bigint; denominator: bigint } {
  const isLeast = bytes * perTiBMonth < minimumPerMonth * TIB;
  return isLeast
    ? { numerator: minimumPerMonth, denominator: bytes * epochsPerMonth }
    : { numerator: perTiBMonth, denominator: TIB * epochsPerMonth };
}
