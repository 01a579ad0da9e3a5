import { Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import type { Standing } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

const DOCUMENT = 'ringLives';
/** Names that are remembered: one that comes back, as with a backup, is no new life. */
const NAMES_KEPT = 32;

const lives = z.looseObject({ count: z.int().min(0), names: z.array(z.string().max(64)) });

type Store = Pick<ContractStore, 'document' | 'putDocument'>;

/** In how many lives the provider's ring of a contract has been seen: 0 before the first root, 1 where nothing was lost. */
export function ringLives(store: Pick<ContractStore, 'document'>, contractId: string): number {
  return lives.safeParse(store.document(contractId, DOCUMENT)).data?.count ?? 0;
}

/** A root of the provider's ring was shown. Each life of a ring has a name of its own; roots of older versions have none. */
export function noteRingLife(store: Store, contractId: string, name: string | undefined): void {
  const known = lives.safeParse(store.document(contractId, DOCUMENT)).data ?? { count: 0, names: [] };
  if (name === undefined || known.names.includes(name)) return;
  const names = [...known.names, name].slice(-NAMES_KEPT);
  store.putDocument(contractId, DOCUMENT, { count: known.count + 1, names });
}

export function countRingLives(
  metrics: Registry,
  store: Pick<ContractStore, 'document'>,
  drivers: ReadonlyMap<string, Standing>,
): void {
  new Gauge({
    name: 'antirio_ring_new_lives',
    help: 'by how many lives the rings of the contracts’ providers were begun anew, with what they had heard lost: by contract, as provider and as customer',
    labelNames: ['contract'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const [contract, one] of drivers)
        if (one.phase().at !== 'ended') this.set({ contract }, Math.max(0, ringLives(store, contract) - 1));
    },
  });
}
