import { apply, type ContractRecord, type Write } from '@antirio/ledger-machine';
import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** The rent of a degraded provider runs on. */
function runsOn([key, value]: Write, now: number): Write {
  const contract = value as ContractRecord;
  const isDegraded = key.startsWith('contract/') && contract.life.state === 'DEGRADED';
  if (!isDegraded || contract.rent === undefined) return [key, value];
  return [key, { ...contract, rent: { since: now, ...contract.rent } }];
}

/** What keeps a customer from paying for who does not stand by, with a check missing. */
export const rentMutants: readonly Mutant[] = [
  {
    name: 'paid for nothing: a provider that hears nothing itself is paid for standing by',
    from: 43,
    pieces: () => ({
      ...honestPieces(),
      apply(state, tx, env, isVerified) {
        const applied = apply(state, tx, env, isVerified);
        return { ...applied, writes: applied.writes.map((write) => runsOn(write, env.now)) };
      },
    }),
  },
];
