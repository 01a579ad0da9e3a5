import {
  isRekeying,
  type ContractRecord,
  type ContractTerms,
  type ProtectedDevice,
  type RekeyCount,
} from '@antirio/service-contract';
import type { Disclosures } from './key-history.ts';
import type { OwnKeys } from './live-sessions.ts';

const nameOf = ({ devEui, devAddr }: ProtectedDevice): string =>
  `${devEui.toLowerCase()}/${devAddr.toLowerCase()}`;

const euisOf = (all: readonly { readonly devEui: string }[]): Set<string> =>
  new Set(all.map(({ devEui }) => devEui.toLowerCase()));

/**
 * How many of the set's devices have keys that nobody else has seen. `joining`: devices with sessions of joins. `left`: sessions that
 * were seen, and whose devices go on in another one. `rooted`: devices whose root key was seen, which no join helps.
 */
export function rekeyCountOf(
  { set }: Pick<ContractTerms, 'set'>,
  sessions: readonly ProtectedDevice[],
  disclosed: readonly ProtectedDevice[],
  joining: ReadonlySet<string>,
  left: ReadonlySet<string>,
  rooted: ReadonlySet<string> = new Set(),
): RekeyCount {
  const keyed = euisOf(sessions);
  const seen = euisOf(disclosed.filter((one) => !left.has(nameOf(one))));
  const count = { rekeyed: 0, waiting: 0, disclosed: 0 };
  for (const { devEui } of set.devices) {
    if (!keyed.has(devEui)) continue;
    if (rooted.has(devEui)) count.disclosed += 1;
    else count[!seen.has(devEui) ? 'rekeyed' : joining.has(devEui) ? 'waiting' : 'disclosed'] += 1;
  }
  return count;
}

/** What the customer's machine is told of its devices while a contract of its waits for new keys. */
export interface RekeyCounts {
  /** The device service says which of the sessions that were seen its devices have left behind. */
  readonly leave: (left: readonly ProtectedDevice[]) => void;
  of(terms: ContractTerms, record: ContractRecord | undefined): { readonly rekeyed?: RekeyCount };
  /** The same at any time; undefined where the own files cannot be read. */
  now(terms: ContractTerms, record: ContractRecord | undefined): RekeyCount | undefined;
}

export function createRekeyCounts(
  own: Pick<OwnKeys, 'secrets' | 'live'>,
  disclosures: Disclosures,
): RekeyCounts {
  let behind: ReadonlySet<string> = new Set();
  const now: RekeyCounts['now'] = (terms, record) => {
    try {
      const { sessions } = own.secrets();
      // before anything counts as unseen: what the ledger says of these keys
      disclosures.look(terms, record?.keys);
      const rooted = euisOf(disclosures.rootKeys());
      const joining = euisOf(own.live().sessions);
      return rekeyCountOf(terms, sessions, disclosures.all(), joining, behind, rooted);
    } catch {
      // Files that cannot be read say nothing: the contract settles without, when its time has come.
      return undefined;
    }
  };
  return {
    now,
    leave(left) {
      behind = new Set(left.map(nameOf));
    },
    of(terms, record) {
      const rekeyed = isRekeying(record) ? now(terms, record) : undefined;
      return rekeyed === undefined ? {} : { rekeyed };
    },
  };
}
