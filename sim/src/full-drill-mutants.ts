import { apply, type ContractRecord, type SetRecord, type StateView } from '@antirio/ledger-machine';
import type { FullDrill } from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces, type Pieces } from './pieces.ts';

type Look = (key: string, value: unknown) => unknown;

/** The ledger's rules for these transactions see its state through `look`. */
function seenThrough(types: readonly string[], look: Look): () => Pieces {
  const view = (state: StateView): StateView => ({
    range: (prefix) => state.range(prefix),
    get: (key) => look(key, state.get(key)),
  });
  return () => ({
    ...honestPieces(),
    apply: (state, tx, env) => apply(types.includes(tx.body.payload.type) ? view(state) : state, tx, env),
  });
}

/** A drill that is there, as it should not be seen. */
const drillSeen =
  (change: (drill: FullDrill) => object): Look =>
  (key, value) =>
    value !== undefined && key.startsWith('fulldrill/')
      ? { ...(value as FullDrill), ...change(value as FullDrill) }
      : value;

/** Drills with the real keys without one of the ledger's rules. */
export const fullDrillMutants: readonly Mutant[] = [
  {
    name: 'a full drill is a takeover: it is paid, and ends the contract',
    kind: 'fullDrills',
    pieces: seenThrough(['contract/statement'], (key, value) => {
      const { activation } = (value ?? {}) as Partial<ContractRecord>;
      return key.startsWith('contract/') && activation?.drill !== undefined
        ? { ...(value as ContractRecord), activation: { ...activation, owed: true } }
        : value;
    }),
  },
  {
    name: 'a takeover is a full drill: who dies before it has let go owes nothing',
    kind: 'fullDrills',
    pieces: seenThrough(['epoch/take'], (key, value) => {
      if (!key.startsWith('set/')) return value;
      const set = value as SetRecord;
      return { ...set, released: { epoch: set.epoch, at: 0 } };
    }),
  },
  {
    name: 'one word is enough: who did not hear the first pays for a full drill',
    kind: 'fullDrills',
    pieces: seenThrough(
      ['drill/full-end'],
      drillSeen(({ askedAt, lastCallAt = askedAt }) => ({ lastCallAt })),
    ),
  },
  {
    name: 'a provider that the centre opens nothing for pays for a full drill, though it asked on the ledger',
    kind: 'fullDrills',
    pieces: seenThrough(
      ['drill/full-end'],
      drillSeen(() => ({ openAsked: undefined })),
    ),
  },
];
