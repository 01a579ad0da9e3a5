import { AntirioError, isAntirioError } from '@antirio/kernel';
import type { FilecoinChain } from './chain.ts';
import { pieceProvider, type PieceProvider, type ProviderTimes } from './provider.ts';
import type { Synapse } from './synapse.ts';

/** How long the registry is not asked again about a provider. */
const KNOWN_MS = 600_000;
const MAX_KNOWN = 256;

/** The providers of the registry, by their ids. */
export class Providers {
  readonly #synapse: Synapse;
  readonly #chain: FilecoinChain;
  readonly #times: ProviderTimes;
  readonly #now: () => number;
  readonly #known = new Map<bigint, { provider: PieceProvider; until: number }>();

  constructor(synapse: Synapse, chain: FilecoinChain, times: ProviderTimes, now: () => number) {
    this.#synapse = synapse;
    this.#chain = chain;
    this.#times = times;
    this.#now = now;
  }

  /** @throws AntirioError notFound | unavailable */
  async get(id: bigint): Promise<PieceProvider> {
    const known = this.#known.get(id);
    if (known !== undefined && this.#now() < known.until) return known.provider;
    const found = await this.#chain.provider(id);
    if (found?.isActive !== true)
      throw new AntirioError('notFound', `there is no provider ${id} that is active`, {
        provider: String(id),
      });
    const provider = pieceProvider(this.#synapse, found, this.#times);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(id, { provider, until: this.#now() + KNOWN_MS });
    return provider;
  }

  /** Those that can be had, and why the others cannot. */
  async all(ids: Iterable<bigint>): Promise<{ providers: PieceProvider[]; failures: AntirioError[] }> {
    const providers: PieceProvider[] = [];
    const failures: AntirioError[] = [];
    for (const id of new Set(ids)) {
      try {
        providers.push(await this.get(id));
      } catch (error) {
        if (!isAntirioError(error)) throw error;
        failures.push(error);
      }
    }
    return { providers, failures };
  }
}

/** The ids among the names of a reference; names of other networks are left out. */
export const idsIn = (names: readonly string[]): bigint[] =>
  names.filter((name) => /^\d{1,20}$/.test(name)).map(BigInt);
