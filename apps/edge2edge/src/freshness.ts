import { toHex, type Clock, type EdgeId, type Random } from '@antirio/kernel';

/**
 * Keeps recorded requests from being sent again. A nonce is `<challenge>.<anything>`: the challenge is ours, random, and changes, so
 * that a request is good for two of its lives at most, and the nonces used in them are remembered. Nothing here trusts a clock of
 * another edge or needs to survive a restart: after one, all earlier challenges are void.
 */
export interface Freshness {
  /** What new nonces should begin with. */
  challenge(): string;
  /** `fresh` once for each nonce; `stale`: its challenge is not in force; `used`: seen before; `full`: too many of that edge. */
  check(from: EdgeId, nonce: string): 'fresh' | 'stale' | 'used' | 'full';
}

interface Generation {
  readonly challenge: string;
  readonly since: number;
  readonly used: Map<EdgeId, Set<string>>;
}

const LIFE_MS = 60_000;
const MAX_EDGES = 2048;
const NONCE = /^([0-9a-f]{32})\.([A-Za-z0-9._-]{1,64})$/;

export function createFreshness(
  clock: Pick<Clock, 'monotonic'>,
  random: Random,
  maxPerEdge: number,
): Freshness {
  const begin = (): Generation => ({
    challenge: toHex(random.bytes(16)),
    since: clock.monotonic(),
    used: new Map(),
  });
  let current = begin();
  let previous: Generation | undefined;

  const turn = (): void => {
    const age = clock.monotonic() - current.since;
    if (age < LIFE_MS && current.used.size < MAX_EDGES) return;
    previous = age < 2 * LIFE_MS ? current : undefined;
    current = begin();
  };
  return {
    challenge() {
      turn();
      return current.challenge;
    },
    check(from, nonce) {
      turn();
      const [, challenge, rest = ''] = NONCE.exec(nonce) ?? [];
      const generation = [current, previous].find((known) => known?.challenge === challenge);
      if (generation === undefined) return 'stale';
      const used = generation.used.get(from) ?? new Set();
      if (used.has(rest)) return 'used';
      if (used.size >= maxPerEdge || (used.size === 0 && generation.used.size >= MAX_EDGES)) return 'full';
      used.add(rest);
      generation.used.set(from, used);
      return 'fresh';
    },
  };
}
