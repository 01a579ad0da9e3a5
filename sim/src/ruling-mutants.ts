import { apply, type ContractRecord, type CoverageClaimRecord, type Payload } from '@antirio/ledger-machine';
import type { Drill } from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces, type Pieces } from './pieces.ts';

type Seen = (key: string, value: unknown) => unknown;

/** The ledger's rules for transactions of that type see something else than there is. */
const deceived = (type: Payload['type'], seen: Seen): Pieces => ({
  ...honestPieces(),
  apply: (state, tx, env) =>
    apply(
      tx.body.payload.type === type
        ? { range: (prefix) => state.range(prefix), get: (key) => seen(key, state.get(key)) }
        : state,
      tx,
      env,
    ),
});

/** Failed drills look as if they were still open. */
const unfailed: Seen = (key, value) => {
  const failed = key.startsWith('drill/') && (value as Drill | undefined)?.state === 'failed';
  return failed ? { ...(value as Drill), state: 'asked' } : value;
};

/** What the contract knows of its claim, changed. */
const withCoverage =
  (change: Partial<NonNullable<ContractRecord['coverage']>>): Seen =>
  (key, value) => {
    const { coverage } = (value ?? {}) as Partial<ContractRecord>;
    return key.startsWith('contract/') && coverage !== undefined
      ? { ...(value as ContractRecord), coverage: { ...coverage, ...change } }
      : value;
  };
const withoutTime = withCoverage({ until: 0 });

/** Claims look as if the provider had not answered in time. */
const unanswered: Seen = (key, value) =>
  key.startsWith('coverage/')
    ? { ...(value as CoverageClaimRecord), answer: undefined }
    : withoutTime(key, value);

/** Claims look as if they had not been made in time. */
const unclaimed: Seen = (key, value) => (key.startsWith('coverage/') ? undefined : withoutTime(key, value));

/** Providers look as if they had been given time a second time. */
const reminded = withCoverage({ remindedAt: 0 });

const asksForMoney: ReadonlySet<string> = new Set(['contract/close', 'contract/rekeyed']);

/** What the ledger rules of drills, new keys and claims, with a check missing. */
export const rulingMutants: readonly Mutant[] = [
  {
    name: 'a penalty is taken twice: a drill that has failed may fail again',
    kind: 'drills',
    from: 1180,
    pieces: () => deceived('drill/end', unfailed),
  },
  {
    name: 'no bound: a customer whose devices never have new keys is never made to pay',
    pieces: () => ({
      ...honestPieces(),
      apply: (state, tx, env) =>
        apply(state, tx, asksForMoney.has(tx.body.payload.type) ? { ...env, now: 0 } : env),
    }),
  },
  {
    name: 'a customer is believed: a claim is ruled without its provider’s answer',
    kind: 'coverage',
    pieces: () => deceived('coverage/rule', unanswered),
  },
  {
    name: 'silence counts at once: a provider is ruled against that could not reach the ledger',
    kind: 'coverage',
    from: 2050,
    pieces: () => deceived('coverage/rule', reminded),
  },
  {
    name: 'a claim is not judged: whoever threw frames away is paid',
    kind: 'coverage',
    pieces: () => deceived('coverage/rule', unclaimed),
  },
];
