import { AntirioError } from '@antirio/kernel';

/** What is asked for: so many bytes for so many days. */
export interface StorageAsk {
  readonly bytes: number;
  readonly days: number;
}

/** What storing costs. An epoch is `epochSeconds` long (Filecoin: 30 s). */
export interface StoragePrice {
  /** @throws AntirioError invalidInput for what cannot be asked, unavailable where the price cannot be had now */
  quote(ask: StorageAsk): Promise<StorageQuote>;
}

export interface StorageQuote extends StorageAsk {
  /** Rounded up: an epoch begun is paid for. */
  readonly epochs: number;
  readonly epochSeconds: number;
  /** In the currency's smallest unit, exactly. */
  readonly perByteEpoch: { readonly numerator: bigint; readonly denominator: bigint };
  /** In the currency's smallest unit, rounded up. */
  readonly amount: bigint;
  readonly currency: string;
  /** Milliseconds since the Unix epoch; without it the price stands until it is changed. */
  readonly validUntil?: number;
}

/** A price that does not depend on how much is stored, nor for how long. */
export interface StorageRate {
  /** Of the currency's smallest unit, for a byte and an epoch. */
  readonly numerator: bigint;
  readonly denominator: bigint;
  readonly currency: string;
  readonly epochSeconds: number;
  /** Milliseconds since the Unix epoch. */
  readonly validUntil?: number;
}

const MAX_DAYS = 36_500;
const DAY_SECONDS = 86_400;

/** Filecoin's epoch, which every network here counts in unless it says otherwise. */
export const EPOCH_SECONDS = 30;

/** What storing costs where it costs nothing. */
export const FREE: StorageRate = {
  numerator: 0n,
  denominator: 1n,
  currency: 'none',
  epochSeconds: EPOCH_SECONDS,
};

/** @throws AntirioError invalidInput | badConfig */
export function quoteOf(ask: StorageAsk, rate: StorageRate): StorageQuote {
  requireAsk(ask);
  const { numerator, denominator, currency, epochSeconds, validUntil } = requireRate(rate);
  const epochs = Math.ceil((ask.days * DAY_SECONDS) / epochSeconds);
  const dividend = BigInt(ask.bytes) * BigInt(epochs) * numerator;
  return {
    bytes: ask.bytes,
    days: ask.days,
    epochs,
    epochSeconds,
    perByteEpoch: { numerator, denominator },
    amount: (dividend + denominator - 1n) / denominator,
    currency,
    ...(validUntil === undefined ? {} : { validUntil }),
  };
}

/** @throws AntirioError badConfig for a rate that is none */
export function fixedPrice(rate: StorageRate): StoragePrice {
  requireRate(rate);
  return { quote: async (ask) => quoteOf(ask, rate) };
}

function requireAsk({ bytes, days }: StorageAsk): void {
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new AntirioError('invalidInput', 'bytes must be a whole number from 1 on', { bytes });
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS)
    throw new AntirioError('invalidInput', `days must be a whole number from 1 to ${MAX_DAYS}`, { days });
}

function requireRate(rate: StorageRate): StorageRate {
  const { numerator, denominator, epochSeconds } = rate;
  const isRate = numerator >= 0n && denominator >= 1n && Number.isInteger(epochSeconds) && epochSeconds >= 1;
  if (!isRate || epochSeconds > DAY_SECONDS)
    throw new AntirioError(
      'badConfig',
      'not a price: it takes 0 or more of 1 or more, and epochs of a day or less',
      {
        numerator: String(numerator),
        denominator: String(denominator),
        epochSeconds,
      },
    );
  return rate;
}
