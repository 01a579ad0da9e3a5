import { combine, split } from 'shamir-secret-sharing';
import { isDeepStrictEqual } from 'node:util';

/**
 * Shamir's secret sharing over GF(2^8) by an audited library, which takes its randomness from the system itself. One of one, and
 * one of many, is the secret itself.
 */
export async function splitSecret(
  secret: Uint8Array,
  count: number,
  threshold: number,
): Promise<Uint8Array[]> {
  return threshold === 1
    ? Array.from({ length: count }, () => secret.slice())
    : split(secret, count, threshold);
}

/** So many combinations are tried where shares disagree: all of them with up to eight holders. */
const MOST_TRIES = 128;

function* subsets<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (const [i, item] of items.entries())
    for (const rest of subsets(items.slice(i + 1), size - 1)) yield [item, ...rest];
}

/** What every `threshold` of the shares give; which one is right, only what it opens can tell. */
export async function* candidateSecrets(
  shares: readonly Uint8Array[],
  threshold: number,
): AsyncGenerator<Uint8Array> {
  let tries = 0;
  const distinct = shares.filter((one, i) => shares.findIndex((two) => isDeepStrictEqual(one, two)) === i);
  for (const chosen of subsets(distinct, threshold)) {
    if (tries++ >= MOST_TRIES) return;
    const [only] = chosen;
    const secret = threshold === 1 ? only : await combined(chosen);
    if (secret?.length === 32) yield secret;
  }
}

/** Undefined where these cannot be shares of one secret. */
async function combined(shares: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  try {
    return await combine([...shares]);
  } catch {
    return undefined;
  }
}
